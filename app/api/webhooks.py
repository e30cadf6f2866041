"""/api/v1/webhooks: who is told of decisions, and how far each is."""

import datetime as dt
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta, Struct

from app.api.answers import time_of
from app.api.base import Base
from app.api.problems import Fault, ProblemError, pointer
from app.api.requests import typed
from app.identity import Role
from app.outbox import Kind, OutboxError
from app.webhooks import NoSuchWebhookError, WebhookError, WebhookNow, Webhooks
from app.webhooks_store import WebhookState
from engine.locates import LIMIT, Name, Remark

_JSON: Final = msgspec.json.Encoder()
_ADMIN: Final = frozenset({Role.ADMIN})
_READERS: Final = frozenset({Role.ADMIN, Role.OPS, Role.COMPLIANCE})


class WebhookRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to send what."""

    url: Annotated[
        str,
        Meta(min_length=1, max_length=2_000, description="Of an origin that the setting `webhook_origins` names."),
    ]
    kinds: Annotated[
        list[Kind], Meta(min_length=1, max_length=3, description="Of what; of alerts, those that say so.")
    ] = msgspec.field(default_factory=lambda: [Kind.LOCATES])
    clients: Annotated[
        list[Annotated[Name, Meta(min_length=1)]] | None, Meta(description="Of these clients; null: of all.")
    ] = None
    comment: Remark = ""


class ReplayRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Send again what came after a step."""

    kind: Kind
    after: Annotated[int, Meta(ge=0, le=LIMIT, description="The sequence of the last event one has; 0: everything.")]


class WebhookAnswer(Struct, frozen=True, kw_only=True):
    """A webhook as it is now."""

    id: str
    url: str
    kinds: tuple[Kind, ...]
    clients: tuple[str, ...] | None
    state: WebhookState
    sequences: Annotated[dict[str, int], Meta(description="The last step of each kind that its receiver has taken.")]
    failures: Annotated[int, Meta(description="How often the message that is under way was not taken.")]
    error: Annotated[str, Meta(description="Why not.")]
    created_by: str
    created_at: dt.datetime
    comment: str


class WebhookMade(WebhookAnswer, frozen=True, kw_only=True):
    """A new webhook."""

    secret: Annotated[str, Meta(description="Signs all messages. It is said this once.")]


class WebhookList(Struct, frozen=True, kw_only=True):
    """All of them, oldest first."""

    webhooks: list[WebhookAnswer]


class _Base(Base):
    """What they have in common."""

    @property
    def desk(self) -> Webhooks:
        """Raises a 503 where there is none."""
        if self.context.webhooks is None:
            raise ProblemError(503, "unavailable", "nobody is told of decisions here")
        return self.context.webhooks

    def unavailable(self, error: OutboxError) -> ProblemError:
        return ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"})


class All(_Base):
    """/api/v1/webhooks."""

    roles: ClassVar = {"GET": _READERS, "POST": _ADMIN}

    async def get(self) -> None:
        """All of them, oldest first."""
        self.checked_body()
        try:
            found = await self.desk.all()
        except OutboxError as error:
            raise self.unavailable(error) from error
        self.answer(_JSON.encode(WebhookList(webhooks=[WebhookAnswer(**_fields(each)) for each in found])))

    async def post(self) -> None:
        """Register one: 201, and its secret."""
        asked = typed(self.checked_body(), WebhookRequest)
        try:
            made, secret = await self.desk.register(
                asked.url, asked.kinds, asked.clients, self.identity.user, asked.comment
            )
        except WebhookError as error:
            raise ProblemError(422, "invalid", str(error), (Fault(str(error), pointer=pointer("url")),)) from error
        except OutboxError as error:
            raise self.unavailable(error) from error
        self.set_header("Location", f"/api/v1/webhooks/{made.webhook.id}")
        self.answer(_JSON.encode(WebhookMade(secret=secret, **_fields(made))), 201)


class One(_Base):
    """/api/v1/webhooks/{id}."""

    roles: ClassVar = {"GET": _READERS}

    async def get(self, name: str) -> None:
        """One of them."""
        self.checked_body()
        try:
            found = await self.desk.get(name)
        except NoSuchWebhookError as error:
            raise _missing(name) from error
        except OutboxError as error:
            raise self.unavailable(error) from error
        self.answer(_JSON.encode(WebhookAnswer(**_fields(found))))


class Replay(_Base):
    """/api/v1/webhooks/{id}/replay."""

    roles: ClassVar = {"POST": _ADMIN}

    async def post(self, name: str) -> None:
        """Go back, or forth, to a step; one that was dead lives again."""
        asked = typed(self.checked_body(), ReplayRequest)
        try:
            found = await self.desk.replay(name, asked.kind, asked.after)
        except NoSuchWebhookError as error:
            raise _missing(name) from error
        except WebhookError as error:
            raise ProblemError(409, "conflict", str(error)) from error
        except OutboxError as error:
            raise self.unavailable(error) from error
        self.answer(_JSON.encode(WebhookAnswer(**_fields(found))))


class Remove(_Base):
    """/api/v1/webhooks/{id}/remove."""

    roles: ClassVar = {"POST": _ADMIN}

    async def post(self, name: str) -> None:
        """Nobody is told there any more."""
        self.checked_body()
        try:
            await self.desk.remove(name)
        except NoSuchWebhookError as error:
            raise _missing(name) from error
        except OutboxError as error:
            raise self.unavailable(error) from error
        self.answer(b"{}")


def _missing(name: str) -> ProblemError:
    return ProblemError(404, "not-found", f"no webhook {name}")


def _fields(now: WebhookNow) -> dict[str, Any]:
    webhook = now.webhook
    return {
        "id": webhook.id,
        "url": webhook.url,
        "kinds": webhook.kinds,
        "clients": webhook.clients,
        "state": webhook.state,
        "sequences": {kind.value: entry for kind, entry in now.sequences.items()},
        "failures": now.failures,
        "error": now.error,
        "created_by": webhook.created_by,
        "created_at": time_of(webhook.created_ns),
        "comment": webhook.comment,
    }


RESOURCES: Final[tuple[tuple[str, type[Base]], ...]] = (
    (r"/api/v1/webhooks", All),
    (r"/api/v1/webhooks/([^/]+)", One),
    (r"/api/v1/webhooks/([^/]+)/replay", Replay),
    (r"/api/v1/webhooks/([^/]+)/remove", Remove),
)
