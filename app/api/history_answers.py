"""What the resources of history and events answer, as types: the OpenAPI document is made from them."""

import datetime as dt
from typing import Annotated

from msgspec import Meta, Struct

Moment = Annotated[dt.datetime, Meta(description="UTC.")]


class HistoryPoint(Struct, frozen=True, kw_only=True):
    """From `at` on the number was this, until the next point or the end of what is covered."""

    at: Moment
    calculation: str
    day: Annotated[int, Meta(description="Business days from today, as counted then.")]
    value: Annotated[int, Meta(description="In the unit of its line; divide by the line's scale to show it.")]


class SpanAnswer(Struct, frozen=True, kw_only=True):
    """A time in which the recorder looked as often as it should."""

    since: Moment
    until: Moment


class LineAnswer(Struct, frozen=True, kw_only=True):
    """A calculation on a day."""

    calculation: str
    day: int
    title: str
    unit: Annotated[str, Meta(description="shares; money, reporting: hundredths of a currency; basis_points")]
    scale: int
    points: Annotated[int, Meta(description="How often it changed.")]
    thinned: Annotated[
        bool, Meta(description="Not all of these are shown: first, least, most and last of every stretch.")
    ]
    covered: Annotated[list[SpanAnswer], Meta(description="When it was known.")]


class ChoiceAnswer(Struct, frozen=True, kw_only=True):
    """A calculation that there is."""

    calculation: str
    title: str
    unit: str


class HistoryPage(Struct, frozen=True, kw_only=True):
    """Numbers of a security, or of somebody's limits in it, over time: by line, then by time."""

    points: list[HistoryPoint]
    security: str
    scope: Annotated[str, Meta(description="Whose limits: client or au; empty: numbers of the security.")]
    owner: str
    lines: list[LineAnswer]
    choices: Annotated[list[ChoiceAnswer], Meta(description="What else may be asked for.")]
    covered: Annotated[list[SpanAnswer], Meta(description="When anything was recorded.")]
    samples: Annotated[int, Meta(description="How often all numbers were looked at in that time.")]
    every_s: Annotated[float, Meta(description="How often they are looked at.")]
    as_of: Annotated[dt.datetime | None, Meta(description="The newest look.")]
    next_cursor: None = None


class MarketPoint(Struct, frozen=True, kw_only=True):
    """How scarce stock was in a market."""

    at: Moment
    market: str
    securities: Annotated[int, Meta(description="That have stock.")]
    utilisation: Annotated[
        float, Meta(description="Percent: the median over these of what is used of what can be lent.")
    ]
    pool: Annotated[int, Meta(description="Shares that short locates are approved from.")]
    left: Annotated[int, Meta(description="What of it is not located.")]
    scarce: Annotated[int, Meta(description="Securities with nothing left.")]


class MarketPage(Struct, frozen=True, kw_only=True):
    """Markets over time, in the order of time."""

    points: list[MarketPoint]
    covered: list[SpanAnswer]
    every_s: float
    next_cursor: None = None


class MarkAnswer(Struct, frozen=True, kw_only=True):
    """Something that happened, or was so for a time."""

    at: Moment
    until: Moment
    kind: Annotated[str, Meta(description="action, trade, rules, day, decision, stale or gap")]
    text: str


class MarkPage(Struct, frozen=True, kw_only=True):
    """What happened to a security that a chart of its numbers should show; in the order of time."""

    marks: list[MarkAnswer]
    complete: Annotated[bool, Meta(description="False: the archive does not reach as far, or was not kept.")]
    note: Annotated[str, Meta(description="Why it is not complete.")]
    next_cursor: None = None


class EventAnswer(Struct, frozen=True, kw_only=True):
    """An event as the machine was told it, and what became of it."""

    at: Annotated[dt.datetime, Meta(description="When it was applied, UTC.")]
    time: Annotated[dt.datetime | None, Meta(description="Its own time, UTC.")]
    received: Annotated[dt.datetime | None, Meta(description="When its record came, UTC.")]
    source: str
    seq: int
    topic: str
    partition: int
    offset: int
    op: str
    kind: str
    book: str
    depot: str
    quantity: int
    trade_date: dt.date | None
    settle_date: dt.date | None
    cancel: bool
    start_of_day: bool
    outcome: Annotated[str, Meta(description="`applied`, or why not.")]
    told: Annotated[
        str, Meta(description="events, prices, corrections, deals, or effects: what these two did to rows.")
    ]
    place: Annotated[int, Meta(description="Of the message in the machine's log.")]


class EventPage(Struct, frozen=True, kw_only=True):
    """Events of a security, the newest first."""

    events: list[EventAnswer]
    searched_from: Annotated[dt.datetime, Meta(description="Everything after it was looked through.")]
    next_cursor: Annotated[str | None, Meta(description="Ask with it for what came before; null at the end.")]
