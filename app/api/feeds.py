"""The resources of feeds, of what waits and of what was set aside."""

import base64
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from tornado.web import RequestHandler

from app.api import health_answers as told
from app.api.base import Base
from app.api.parameters import Parameters, number
from app.api.problems import ProblemError
from app.api.requests import typed
from app.health import HealthDesk
from app.identity import Role
from app.parked_record import sort_of
from app.parking import Parking
from app.parking_store import Parked
from app.quarantine_store import Entry

HANDLERS: Final = frozenset({Role.OPS, Role.ADMIN})
"""Who may read records again, and give them up."""
MAX_PAGE: Final = 1_000
_RAW_SHOWN: Final = 16_384
"""Bytes of a record in an answer; all of it is exported by `ims quarantine export`."""
_LAST: Final = 2**62
_JSON: Final = msgspec.json.Encoder()


class HealthBase(Base):
    """What is asked of the health desk."""

    @property
    def health(self) -> HealthDesk:
        """Raises `ProblemError` where there is none."""
        if self.context.health is None:
            raise ProblemError(503, "unavailable", "the health of feeds is not watched here")
        return self.context.health

    def json(self, value: Any) -> None:
        self.answer(_JSON.encode(value))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if isinstance(error, SQLAlchemyError):
            problem = ProblemError(503, "unavailable", f"the disk does not do its part: {error}")
            kwargs["exc_info"] = (type(problem), problem, None)
            status_code = 503
        super().write_error(status_code, **kwargs)


class Status(HealthBase):
    """/api/v1/status."""

    async def get(self) -> None:
        """Everything the page Health shows, at once."""
        self.checked_body()
        self.json(await self.health.look())


class Feeds(HealthBase):
    """/api/v1/feeds."""

    async def get(self) -> None:
        """Every feed."""
        self.checked_body()
        self.json(told.Feeds(await self.health.feeds()))


class Feed(HealthBase):
    """/api/v1/feeds/{name}."""

    async def get(self, name: str) -> None:
        """One feed, its sources with their gaps, and how far its partitions are."""
        self.checked_body()
        detail = await self.health.feed(name)
        if detail is None:
            raise ProblemError(404, "not-found", f"no feed {name}: there are {', '.join(self.health.names)}")
        self.json(detail)


class ParkedRecords(HealthBase):
    """/api/v1/parked."""

    async def get(self) -> None:
        """What waits, in the order in which it will be used."""
        self.checked_body()
        parameters = Parameters(self, ("feed", "code", "limit", "cursor"))
        feed = parameters.read("feed", str)
        code = parameters.read("code", str)
        limit = parameters.read("limit", _page_size) or 100
        after = parameters.read("cursor", _cursor) or 0
        parameters.check()
        health, parking = self.health, self.health.keeping.parking
        found = [each for each in parking.records() if _wanted(each, after, code) and _of(health, each, feed)]
        page = [_parked_answer(health, parking, each) for each in found[:limit]]
        # a record that is left over from another one has its place: the cursor is a place, and pages end between places
        more = str(found[limit - 1].place) if len(found) > limit else None
        self.json(told.ParkedPage(records=page, next_cursor=more))


class ParkedRetry(HealthBase):
    """/api/v1/parked/retry."""

    roles: ClassVar[Mapping[str, frozenset[Role]]] = {"POST": HANDLERS}

    async def post(self) -> None:
        """Read records again now, without waiting for reference data."""
        request = typed(self.checked_body(), told.RetryRequest)
        used, left = self.health.keeping.parking.retry(request.ids)
        self.json(told.Retried(used=used, left=left))


class ParkedDiscard(HealthBase):
    """/api/v1/parked/discard."""

    roles: ClassVar[Mapping[str, frozenset[Role]]] = {"POST": HANDLERS}

    async def post(self) -> None:
        """Give records up for good."""
        request = typed(self.checked_body(), told.DiscardRequest)
        gone = self.health.keeping.parking.discard(request.ids, self.identity.user, request.comment)
        self.json(told.Discarded(discarded=len(gone)))


class QuarantinedRecords(HealthBase):
    """/api/v1/quarantine."""

    async def get(self) -> None:
        """What was set aside, newest first."""
        self.checked_body()
        parameters = Parameters(self, ("feed", "reason", "limit", "cursor"))
        feed = parameters.read("feed", str)
        reason = parameters.read("reason", str)
        limit = parameters.read("limit", _page_size) or 100
        before = parameters.read("cursor", _cursor)
        parameters.check()
        health = self.health
        topic = None if feed is None else health.read.topic(feed)
        store = health.keeping.quarantine
        found = await health.keeping.beside.ask(store.page, limit + 1, before, topic, reason)
        more = str(found[limit - 1].id) if len(found) > limit else None
        page = [_quarantine_answer(health, entry) for entry in found[:limit]]
        self.json(told.QuarantinePage(records=page, next_cursor=more))


class QuarantineRetry(HealthBase):
    """/api/v1/quarantine/retry."""

    roles: ClassVar[Mapping[str, frozenset[Role]]] = {"POST": HANDLERS}

    async def post(self) -> None:
        """Read records again; what can be used by now is used, and leaves the quarantine."""
        request = typed(self.checked_body(), told.RetryRequest)
        used, left = await self.health.set_aside.retry(request.ids or [])
        self.json(told.Retried(used=used, left=left))


class QuarantineDiscard(HealthBase):
    """/api/v1/quarantine/discard."""

    roles: ClassVar[Mapping[str, frozenset[Role]]] = {"POST": HANDLERS}

    async def post(self) -> None:
        """Give records up for good."""
        request = typed(self.checked_body(), told.DiscardRequest)
        gone = await self.health.set_aside.discard(request.ids, self.identity.user, request.comment)
        self.json(told.Discarded(discarded=gone))


def _wanted(parked: Parked, after: int, code: str | None) -> bool:
    if parked.place <= after:
        return False
    return code is None or any(code == named for _, named in parked.concerns.wants)


def _of(health: HealthDesk, parked: Parked, feed: str | None) -> bool:
    return feed is None or health.read.feed(parked.entry.topic) == feed


def _parked_answer(health: HealthDesk, parking: Parking, parked: Parked) -> told.ParkedAnswer:
    entry = parked.entry
    return told.ParkedAnswer(
        id=parked.id,
        feed=health.read.feed(entry.topic),
        topic=entry.topic,
        partition=entry.partition,
        offset=entry.offset,
        reason=entry.reason,
        detail=entry.detail,
        events=entry.events,
        missing=[told.Code(sort_of(space), code) for space, code in parking.missing(parked)],
        shares=[told.SharesOf(security, shares) for security, shares in parked.concerns.shares],
        parked_at=told.moment(parked.parked_ns),
        **_raw(entry.raw),
    )


def _quarantine_answer(health: HealthDesk, entry: Entry) -> told.QuarantineAnswer:
    return told.QuarantineAnswer(
        id=entry.id,
        feed=health.read.feed(entry.topic),
        topic=entry.topic,
        partition=entry.partition,
        offset=entry.offset,
        reason=entry.reason,
        detail=entry.detail,
        events=entry.events,
        received_at=entry.received_at,
        **_raw(entry.raw),
    )


def _raw(raw: bytes) -> dict[str, Any]:
    """The beginning of a record, as text where it is one."""
    shown = raw[:_RAW_SHOWN]
    try:
        return {"raw_bytes": len(raw), "raw": shown.decode()}
    except UnicodeDecodeError:
        return {"raw_bytes": len(raw), "raw_base64": base64.b64encode(shown).decode()}


_page_size = partial(number, least=1, most=MAX_PAGE)
_cursor = partial(number, least=0, most=_LAST)

RESOURCES: Final[tuple[tuple[str, type[RequestHandler]], ...]] = (
    (r"/api/v1/status", Status),
    (r"/api/v1/feeds", Feeds),
    (r"/api/v1/feeds/([^/]+)", Feed),
    (r"/api/v1/parked", ParkedRecords),
    (r"/api/v1/parked/retry", ParkedRetry),
    (r"/api/v1/parked/discard", ParkedDiscard),
    (r"/api/v1/quarantine", QuarantinedRecords),
    (r"/api/v1/quarantine/retry", QuarantineRetry),
    (r"/api/v1/quarantine/discard", QuarantineDiscard),
)
"""Path and handler, in the order in which they are tried."""
