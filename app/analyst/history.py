"""`POST /history`, `/markets`, `/marks`, `/events`: numbers over time and what happened, from the recorder and the archive."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from app.analyst.handlers import Guarded, Refusal
from app.settings import Settings

if TYPE_CHECKING:
    from app.api.history_answers import EventPage, HistoryPage, MarketPage, MarkPage

T = TypeVar("T")
MOST_LINES: Final = 40
MOST_POINTS: Final = 20_000
MOST_EVENTS: Final = 1_000


class AskedLine(Struct, frozen=True, forbid_unknown_fields=True):
    """A calculation on a day, and how it is shown. `now`: what it is at this moment."""

    name: str
    day: int
    now: int
    title: str = ""
    unit: str = "shares"
    scale: int = 1


class Choice(Struct, frozen=True, forbid_unknown_fields=True):
    """A calculation that there is."""

    name: str
    title: str
    unit: str


class HistoryRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`security`: our code; `points`: about so many of each line at the most; `now_ns`: the moment of what lines say of now;
    `scope` (client or au) and `owner`: whose limits in it, empty: numbers of the security.
    """

    security: str
    now_ns: int
    from_ns: int
    to_ns: int
    lines: Annotated[list[AskedLine], Meta(max_length=MOST_LINES)]
    choices: list[Choice]
    points: int = 2_000
    form: str = "application/json"
    scope: str = ""
    owner: str = ""


class MarketsRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """All markets, or one."""

    from_ns: int
    to_ns: int
    market: str = ""
    points: int = 2_000
    form: str = "application/json"


class MarksRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """What happened to a security, by our code."""

    security: str
    from_ns: int
    to_ns: int
    form: str = "application/json"


class EventsRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Events of a security, by our code; `before`: place and index of the last one known; empty texts: of any."""

    security: str
    from_ns: int
    to_ns: int
    book: str = ""
    depot: str = ""
    kind: str = ""
    quotes: bool = False
    before: tuple[int, int] = (2**62, 0)
    limit: int = 100
    form: str = "application/json"


class _Asked(Guarded):
    """A question of one type, answered from files only: no engine is needed."""

    kind: ClassVar[type[Struct]]

    async def post(self) -> None:
        """404 where nothing of it is kept; 429 and 503: come again."""
        try:
            asked = msgspec.json.decode(self.request.body, type=self.kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal(400, str(error)) from error
        await self.answer(partial(_told, self.made, self.context.settings, asked), self.context.reads)

    def made(self, settings: Settings, asked: Any) -> bytes:
        """The body. Raises `Refusal`, OSError, `DamagedError`."""
        raise NotImplementedError


def _told(made: Callable[[Settings, T], bytes], settings: Settings, asked: T) -> bytes:
    # the archive takes a second to import: after the port is open
    from app.archive_events import NOTHING, TROUBLE  # noqa: PLC0415

    try:
        return made(settings, asked)
    except NOTHING as error:
        raise Refusal(404, str(error)) from error
    except TROUBLE as error:
        raise Refusal(503, str(error)) from error


class HistoryHandler(_Asked):
    """Answers with `app.api.history_answers.HistoryPage`."""

    kind = HistoryRequest

    def made(self, settings: Settings, asked: HistoryRequest) -> bytes:
        from app.api.formats import Form, body_of  # noqa: PLC0415  see `_told`
        from app.api.history_answers import HistoryPoint  # noqa: PLC0415  the same

        return body_of(Form(asked.form), history_page(settings, asked), HistoryPoint)


class MarketsHandler(_Asked):
    """Answers with `app.api.history_answers.MarketPage`."""

    kind = MarketsRequest

    def made(self, settings: Settings, asked: MarketsRequest) -> bytes:
        from app.api.formats import Form, body_of  # noqa: PLC0415  see `_told`
        from app.api.history_answers import MarketPoint  # noqa: PLC0415  the same

        return body_of(Form(asked.form), market_page(settings, asked), MarketPoint)


class MarksHandler(_Asked):
    """Answers with `app.api.history_answers.MarkPage`."""

    kind = MarksRequest

    def made(self, settings: Settings, asked: MarksRequest) -> bytes:
        from app.api.formats import Form, body_of  # noqa: PLC0415  see `_told`
        from app.api.history_answers import MarkAnswer  # noqa: PLC0415  the same

        return body_of(Form(asked.form), mark_page(settings, asked), MarkAnswer)


class EventsHandler(_Asked):
    """Answers with `app.api.history_answers.EventPage`."""

    kind = EventsRequest

    def made(self, settings: Settings, asked: EventsRequest) -> bytes:
        from app.api.formats import Form, body_of  # noqa: PLC0415  see `_told`
        from app.api.history_answers import EventAnswer  # noqa: PLC0415  the same

        return body_of(Form(asked.form), event_page(settings, asked), EventAnswer)


def history_page(settings: Settings, asked: HistoryRequest) -> "HistoryPage":
    """Numbers of a security, or of somebody's limits in it, thinned where there are too many."""
    from app.api.answers import time_of  # noqa: PLC0415  see `_told`
    from app.api.history_answers import ChoiceAnswer, HistoryPage, HistoryPoint, LineAnswer  # noqa: PLC0415  the same
    from app.history_place import history_of, limit_key, limits_of  # noqa: PLC0415  the same
    from app.history_series import series, thinned  # noqa: PLC0415  the same

    names = sorted({line.name for line in asked.lines})
    folder, key = history_of(settings), asked.security
    if asked.scope:
        folder, key = limits_of(settings), limit_key(asked.scope, asked.owner, asked.security)
    found = series(folder, key, asked.from_ns, asked.to_ns, names)
    by_name = {line.name: line for line in found.lines}
    points: list[HistoryPoint] = []
    lines: list[LineAnswer] = []
    for line in asked.lines:
        of = by_name.get(line.name)
        chosen, count = ([], 0) if of is None else thinned(of, line.day, asked.points)
        known = _spans(of.covered if of is not None else [])
        if asked.from_ns <= asked.now_ns <= asked.to_ns:  # what the recorder has not seen yet is in memory
            chosen, count = [*chosen, (asked.now_ns, line.now)], count + 1
        lines.append(
            LineAnswer(
                calculation=line.name,
                day=line.day,
                title=line.title or line.name,
                unit=line.unit,
                scale=line.scale,
                points=count,
                thinned=len(chosen) < count,
                covered=known,
            )
        )
        points += [
            HistoryPoint(at=time_of(at_ns), calculation=line.name, day=line.day, value=value) for at_ns, value in chosen
        ]
    newest = found.samples[-1].at_ns if found.samples else 0
    return HistoryPage(
        points=points,
        security=asked.security,
        scope=asked.scope,
        owner=asked.owner,
        lines=lines,
        choices=[ChoiceAnswer(calculation=each.name, title=each.title, unit=each.unit) for each in asked.choices],
        covered=_spans(found.covered),
        samples=len(found.samples),
        every_s=settings.history_s,
        as_of=time_of(newest) if newest else None,
    )


def market_page(settings: Settings, asked: MarketsRequest) -> "MarketPage":
    """Markets as they were in every sample, or in every so many."""
    from app.api.answers import time_of  # noqa: PLC0415  see `_told`
    from app.api.history_answers import MarketPage, MarketPoint  # noqa: PLC0415  the same
    from app.history_place import history_of  # noqa: PLC0415  the same
    from app.history_series import covered, looks  # noqa: PLC0415  the same

    found = looks(history_of(settings), asked.from_ns, asked.to_ns)
    step = max(1, -(-len(found) // max(1, asked.points)))
    points = [
        MarketPoint(
            at=time_of(sample.at_ns),
            market=each.market,
            securities=each.securities,
            utilisation=each.utilisation / 100,
            pool=each.pool,
            left=each.left,
            scarce=each.scarce,
        )
        for sample in found[(len(found) - 1) % step :: step]
        for each in sample.markets
        if asked.market in ("", each.market)
    ]
    return MarketPage(points=points, covered=_spans(covered(found, asked.to_ns)), every_s=settings.history_s)


def mark_page(settings: Settings, asked: MarksRequest) -> "MarkPage":
    """What is known, though the archive may not reach as far as the recorder."""
    from app.api.answers import time_of  # noqa: PLC0415  see `_told`
    from app.api.history_answers import MarkAnswer, MarkPage  # noqa: PLC0415  the same
    from app.archive_events import NOTHING  # noqa: PLC0415  the same
    from app.archive_place import folder_of  # noqa: PLC0415  the same
    from app.history_marks import doubts, marks  # noqa: PLC0415  the same
    from app.history_place import history_of  # noqa: PLC0415  the same
    from app.history_series import covered, looks  # noqa: PLC0415  the same

    samples = looks(history_of(settings), asked.from_ns, asked.to_ns)
    spans = covered(samples, asked.to_ns)
    found, note = doubts(samples, spans, asked.from_ns, asked.to_ns), ""
    try:
        found += marks(folder_of(settings), asked.security, asked.from_ns, asked.to_ns)
    except NOTHING as error:
        note = str(error)
    told = [
        MarkAnswer(at=time_of(mark.at_ns), until=time_of(mark.to_ns), kind=mark.kind, text=mark.text)
        for mark in sorted(found, key=lambda mark: mark.at_ns)
    ]
    return MarkPage(marks=told, complete=not note, note=note)


def event_page(settings: Settings, asked: EventsRequest) -> "EventPage":
    """A page of events, the newest first."""
    from app.api.answers import time_of  # noqa: PLC0415  see `_told`
    from app.api.history_answers import EventAnswer, EventPage  # noqa: PLC0415  the same
    from app.archive_events import Wanted, events  # noqa: PLC0415  the same
    from app.archive_place import folder_of  # noqa: PLC0415  the same
    from engine.model import Flag  # noqa: PLC0415  the same
    from feeds.topic_names import topics  # noqa: PLC0415  the same

    names = topics(settings.events_topic, settings.reference_topic)
    fields = msgspec.structs.asdict(asked)
    found = events(folder_of(settings), Wanted(**{name: fields[name] for name in Wanted._fields}))
    rows = [
        EventAnswer(
            at=time_of(row["at"]),
            time=time_of(row["time"]) if row["time"] else None,
            received=time_of(row["received"]) if row["received"] else None,
            topic=names[row["topic"]] if row["topic"] < len(names) else f"#{row['topic']}",
            cancel=bool(row["flags"] & Flag.CANCEL),
            start_of_day=bool(row["flags"] & Flag.START_OF_DAY),
            **{name: row[name] for name in _AS_THEY_ARE},
        )
        for row in found.rows
    ]
    before = (found.rows[-1]["place"], found.rows[-1]["index"]) if found.rows else asked.before
    cursor = None if found.next_ns is None else f"{before[0]}.{before[1]}.{found.next_ns}"
    return EventPage(events=rows, searched_from=time_of(found.searched_ns), next_cursor=cursor)


_AS_THEY_ARE: Final = (
    "source seq partition offset op kind book depot quantity trade_date settle_date outcome told place".split()
)


def _spans(spans: Any) -> list[Any]:
    from app.api.answers import time_of  # noqa: PLC0415  see `_told`
    from app.api.history_answers import SpanAnswer  # noqa: PLC0415  the same

    return [SpanAnswer(since=time_of(span.from_ns), until=time_of(span.to_ns)) for span in spans]


HANDLERS: Final = (
    ("/history", HistoryHandler),
    ("/markets", MarketsHandler),
    ("/marks", MarksHandler),
    ("/events", EventsHandler),
)
