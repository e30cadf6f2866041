"""The resources of the API, one class each."""

from typing import Any, ClassVar, Final

import msgspec
from tornado import web

from app.api import (
    alerts,
    asof,
    availability,
    breaks,
    feeds,
    files,
    history,
    latencies,
    limit_history,
    limit_list,
    limits_watched,
    lists,
    master,
    orders,
    positions,
    posting,
    quotes,
    reviews,
    rules,
    scarcity,
    stream,
    views,
    webhooks,
)
from app.api.answers import HistoryAnswer, locate_answer, transition_answer
from app.api.base import Base, Context
from app.api.clients import own_locate
from app.api.explain import Explain
from app.api.lists import list_locates
from app.api.metrics import MEDIA_TYPE as METRICS_TYPE
from app.api.parameters import sequence_or_missing
from app.api.problems import ProblemError
from app.api.requests import end_request
from app.identity import WRITERS, acting
from engine.locates import State

_JSON: Final = msgspec.json.Encoder()


class Locates(Base):
    """/api/v1/locates: ask for one or many, list them."""

    roles: ClassVar = {"POST": posting.LOCATES.roles}
    for_clients = True

    async def post(self) -> None:
        """Decide. 200, 202 where all is pending, 207 where lines went different ways."""
        reply = await posting.LOCATES.serve(self.context, self.posted())
        self.answer(reply.body, reply.status)

    async def get(self) -> None:
        """List, newest first."""
        await list_locates(self)


class Locate(Base):
    """/api/v1/locates/{id}."""

    for_clients = True

    async def get(self, text: str) -> None:
        """The locate as it was last written down."""
        self.checked_body()
        sequence = await own_locate(self, text)
        locate = await self.context.decisions.journal.get(sequence)
        if locate is None:
            raise ProblemError(404, "not-found", f"no locate {text}")
        self.answer(_JSON.encode(locate_answer(locate)))


class Evidence(Base):
    """/api/v1/locates/{id}/evidence."""

    async def get(self, text: str) -> None:
        """Every step of the locate's life, and what each decision was made on."""
        self.checked_body()
        transitions = await self.context.decisions.journal.history(sequence_or_missing(text))
        if not transitions:
            raise ProblemError(404, "not-found", f"no locate {text}")
        steps = [transition_answer(step.locate, step.evidence) for step in transitions]
        self.answer(_JSON.encode(HistoryAnswer(id=text, transitions=steps)))


class End(Base):
    """/api/v1/locates/{id}/release and /cancel."""

    roles: ClassVar = {"POST": WRITERS}
    for_clients = True

    async def post(self, text: str, action: str) -> None:
        """End the locate. Asking again gives the same answer; another end of an ended locate is a 409."""
        posted = self.posted()
        request = end_request(posted.body)
        state = State.RELEASED if action == "release" else State.CANCELLED
        sequence = await own_locate(self, text)
        decisions, key, by = (
            self.context.decisions,
            self.key(posted),
            acting(posted.identity.user, request.requested_by),
        )
        reply = await decisions.once(key, lambda: decisions.end(sequence, state, by, request.comment, key))
        self.answer(reply.body, reply.status)


class Open(Base):
    """What needs no token."""

    guarded = False


class Document(Open):
    """The OpenAPI document and the page that shows it."""

    async def get(self) -> None:
        self.checked_body()
        media_type, body = self.context.documents[self.request.path]
        self.set_header("Cache-Control", "no-cache")
        self.set_header(
            "Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"
        )
        self.answer(body, media_type=media_type)

    def compute_etag(self) -> str | None:
        return web.RequestHandler.compute_etag(self)


class Live(Open):
    """/health/live."""

    async def get(self) -> None:
        """The process answers."""
        self.checked_body()
        self.answer(b'{"status":"live"}')

    head = get


class Ready(Open):
    """/health/ready."""

    async def get(self) -> None:
        """503 until decisions can be made."""
        self.checked_body()
        missing = self.context.readiness()
        body = {"status": "waiting" if missing else "ready", "waiting_for": missing}
        self.answer(_JSON.encode(body), 503 if missing else 200)

    head = get


class MetricsPage(Open):
    """/metrics."""

    async def get(self) -> None:
        """For Prometheus."""
        self.checked_body()
        self.answer(self.context.metrics.text(), media_type=METRICS_TYPE)


class Nothing(Open):
    """Every other path."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Any method: there is nothing here."""
        super().prepare()
        self.refusal = self.refusal or ProblemError(404, "not-found", f"there is nothing at {self.request.path}")

    async def get(self) -> None:
        self.checked_body()

    post = put = delete = patch = head = options = get


def make_app(context: Context) -> web.Application:
    """All resources. Nothing is logged per request: the metrics count."""
    given: dict[str, Any] = {"context": context}
    documents = "|".join(path.replace(".", r"\.") for path in context.documents)
    return web.Application(
        [
            (posting.LOCATES.path, Locates, given),
            *(
                (pattern, handler, given)
                for pattern, handler in (*reviews.RESOURCES, *quotes.RESOURCES, *lists.RESOURCES)
            ),
            (r"/api/v1/locates/([^/]+)", Locate, given),
            (r"/api/v1/locates/([^/]+)/evidence", Evidence, given),
            (r"/api/v1/locates/([^/]+)/(release|cancel)", End, given),
            (r"/api/v1/explain/([^/]+)/([^/]+)", Explain, given),
            *(
                (pattern, handler, given)
                for pattern, handler in (
                    *asof.RESOURCES,
                    *history.RESOURCES,
                    *limit_history.RESOURCES,
                    *limits_watched.RESOURCES,
                    *scarcity.RESOURCES,
                    *latencies.RESOURCES,
                    *availability.RESOURCES,
                    *positions.RESOURCES,
                    *breaks.RESOURCES,
                    *limit_list.RESOURCES,
                    *rules.RESOURCES,
                    *orders.RESOURCES,
                    *feeds.RESOURCES,
                    *master.RESOURCES,
                    *views.RESOURCES,
                    *files.RESOURCES,
                    *stream.RESOURCES,
                    *webhooks.RESOURCES,
                    *alerts.RESOURCES,
                )
            ),
            (f"(?:{documents})", Document, given),
            (r"/health/live", Live, given),
            (r"/health/ready", Ready, given),
            (r"/metrics", MetricsPage, given),
        ],
        default_handler_class=Nothing,
        default_handler_args=given,
        log_function=lambda _handler: None,
    )
