"""Why two sides may differ: searched for in the rows, the newest events and the other breaks of what they are about. Pure.

An amount explains a difference when booking it on the other side, too, would make both alike: its sign counts. What explains
all of it comes first; of two that do, the one that is nearer to what people find most often.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.break_kinds import BreakKind, Cause, Found, Place
from engine.events import EventArray
from engine.model import BUCKETS, LATER, STOCK, Flag, Kind, Op

_MOST: Final = 8
"""Candidates told of one break."""
_MOST_AMOUNTS: Final = 256
"""Amounts of which pairs are tried."""
_NEAR_DAYS: Final = 3
_MOVES: Final = {
    Op.BUY: 1,
    Op.INCREASE: 1,
    Op.SELL: -1,
    Op.SHORT_SELL: -1,
    Op.DECREASE: -1,
}
_SETTLES: Final = {Op.SETTLE_RECEIPT: 1, Op.SETTLE_DELIVERY: -1}
_ORDER: Final = (
    Cause.WRONG_MAPPING,
    Cause.UNMATCHED_INSTRUCTION,
    Cause.LATE_SETTLEMENT,
    Cause.UNSETTLED_TRADE,
    Cause.CORPORATE_ACTION,
    Cause.START_OF_DAY,
    Cause.FEED,
)
Opposites = Mapping[tuple[BreakKind, int], Sequence[Found]]
"""Breaks by kind and by what they differ."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of them. `quantity`: how much of the difference it explains, signed as that is. `row`, `event`: places in the rows
    and events given, `bucket` of the ladder, -1 for none; `opposite`: the break that makes up for it."""

    cause: Cause
    quantity: int
    row: int = -1
    bucket: int = -1
    event: int = -1
    opposite: Place | None = None
    pair: tuple[int, int] | None = None
    """(row, bucket) of a second amount: both together explain it."""
    together: int = 0
    """How many events, of which `event` is the last, explain it together; 0: that one alone."""


@dataclass(frozen=True, slots=True)
class Around:
    """What a break's security looks like. `rows`: POSITION records; `events`: the newest, oldest first; dates in days."""

    rows: NDArray[np.void]
    events: EventArray
    event_date: int
    today: int


def candidates(found: Found, around: Around, opposites: Opposites) -> list[Candidate]:
    """The likeliest first; nothing where nothing was found."""
    if not found.quantity:
        return []
    searches: dict[BreakKind, tuple[Callable[[Found, Around], list[Candidate]], ...]] = {
        BreakKind.DEPOT: (_ladder, _instructions, _corporate_action, _unstated),
        BreakKind.TD_SD: (_trades, _corporate_action),
        BreakKind.FRONT_BACK: (_trades, _corporate_action),
    }
    some = [one for search in searches.get(found.kind, ()) for one in search(found, around)]
    some += _mapped_elsewhere(found, opposites)
    some.sort(key=lambda one: (abs(found.quantity - one.quantity), _likelihood(found, one), one.bucket))
    return some[:_MOST]


def _likelihood(found: Found, one: Candidate) -> int:
    """Less comes first: the same security in two depots is seldom chance, the same quantity of two securities often is."""
    if one.opposite is not None and one.opposite.security != found.place.security:
        return len(_ORDER)
    return _ORDER.index(one.cause)


def _mine(found: Found, rows: NDArray[np.void]) -> list[int]:
    """Places of the rows that a break is about."""
    key = rows["key"].astype(np.int64)
    depot, book, kind = key >> 8 & 0xFFFF, key >> 24 & 0xFFFF, key & 0xFF
    place = found.place
    chosen = depot == place.depot
    if place.book:
        chosen &= (book == place.book) & (kind == place.row_kind)
    return [int(at) for at in np.flatnonzero(chosen)]


def _ladder(found: Found, around: Around) -> list[Candidate]:
    """What has not settled with us and, by its size, has at the custodian's: one movement, or two together."""
    amounts: list[tuple[int, int, int]] = []
    for at in _mine(found, around.rows):
        row = around.rows[at]
        sign = STOCK[int(row["key"]) & 0xFF]
        for bucket in range(BUCKETS if sign else 0):
            amounts += [
                (sign * int(row["receipt"][bucket]), at, bucket),
                (-sign * int(row["deliver"][bucket]), at, bucket),
            ]
    amounts = [one for one in amounts if one[0]]
    whole = [_moved(found.quantity, at, bucket) for amount, at, bucket in amounts if amount == found.quantity]
    return whole or _pair(found.quantity, amounts[:_MOST_AMOUNTS])


def _moved(quantity: int, row: int, bucket: int) -> Candidate:
    cause = Cause.LATE_SETTLEMENT if bucket == 0 else Cause.UNSETTLED_TRADE
    return Candidate(cause, quantity, row=row, bucket=bucket)


def _pair(quantity: int, amounts: Sequence[tuple[int, int, int]]) -> list[Candidate]:
    before: dict[int, tuple[int, int]] = {}
    for amount, row, bucket in amounts:
        if (other := before.get(quantity - amount)) is not None:
            cause = Cause.LATE_SETTLEMENT if bucket == other[1] == 0 else Cause.UNSETTLED_TRADE
            return [Candidate(cause, quantity, row=other[0], bucket=other[1], pair=(row, bucket))]
        before.setdefault(amount, (row, bucket))
    return []


def _instructions(found: Found, around: Around) -> list[Candidate]:
    """What was confirmed to us as settled after the custodian's statement: one movement, or all of them together."""
    since: list[tuple[int, int]] = []
    for at, event in _events_about(found, around.events):
        if int(event["kind"]) == Kind.DEPOT and int(event["op"]) == Op.SET:
            since = []
        elif sign := STOCK[int(event["kind"])] * _way(event, _SETTLES):
            since.append((at, sign * int(event["quantity"])))
    whole = [
        Candidate(Cause.UNMATCHED_INSTRUCTION, found.quantity, event=at)
        for at, moved in since
        if moved == -found.quantity
    ]
    if not whole and len(since) > 1 and sum(moved for _, moved in since) == -found.quantity:
        return [Candidate(Cause.UNMATCHED_INSTRUCTION, found.quantity, event=since[-1][0], together=len(since))]
    return whole[-2:]


def _trades(found: Found, around: Around) -> list[Candidate]:
    """A trade of that size, which one side has and the other has not."""
    some = []
    for at, event in _events_about(found, around.events):
        if _way(event, _MOVES) and abs(int(event["quantity"])) == abs(found.quantity):
            some.append(Candidate(Cause.UNSETTLED_TRADE, found.quantity, event=at))
    return some[-2:]


def _way(event: Any, signs: Mapping[Op, int]) -> int:
    """1 for what adds, -1 for what takes, 0 for other operations; an event that reverses another one goes the other way."""
    sign = signs.get(Op(int(event["op"])), 0)
    return -sign if int(event["flags"]) & Flag.CANCEL else sign


def _events_about(found: Found, events: EventArray) -> list[tuple[int, Any]]:
    """Those about the rows of a break, with their places; one that was refused is kept as it came, and may say anything."""
    place = found.place
    chosen = (events["depot"] == place.depot) & (events["kind"] < len(Kind)) & (events["op"] < len(Op))
    if place.book:
        chosen &= (events["book"] == place.book) & (events["kind"] == place.row_kind)
    return [(int(at), events[at]) for at in np.flatnonzero(chosen)]


def _unstated(found: Found, around: Around) -> list[Candidate]:
    """A custodian who has stated nothing of it, not even that there is nothing: his line is late, or missing."""
    kinds = (around.rows["key"][_mine(found, around.rows)] & 0xFF).tolist()
    return [] if found.theirs or Kind.DEPOT in kinds else [Candidate(Cause.START_OF_DAY, found.quantity)]


def _corporate_action(found: Found, around: Around) -> list[Candidate]:
    """Shares that a corporate action will give or take; or one that is near, whatever it does to the quantity."""
    mine = _mine(found, around.rows)
    pending = [(int(around.rows["ca_pending"][at]), at) for at in mine]
    exact = [
        Candidate(Cause.CORPORATE_ACTION, found.quantity, row=at)
        for ca, at in pending
        if abs(ca) == abs(found.quantity)
    ]
    total = sum(ca for ca, _ in pending)
    if not exact and total and abs(total) == abs(found.quantity):
        exact = [Candidate(Cause.CORPORATE_ACTION, found.quantity)]
    if not exact and around.event_date and abs(around.event_date - around.today) <= _NEAR_DAYS:
        return [Candidate(Cause.CORPORATE_ACTION, 0)]
    return exact[:1]


def _mapped_elsewhere(found: Found, opposites: Opposites) -> list[Candidate]:
    """An equal and opposite break: of the same security elsewhere, or of another one in the same place."""
    same, other = [], []
    for one in opposites.get((found.kind, -found.quantity), ()):
        if one.place == found.place:
            continue
        if one.place.security == found.place.security:
            same.append(one)
        elif found.kind == BreakKind.DEPOT and one.place.depot == found.place.depot:
            other.append(one)
    return [Candidate(Cause.WRONG_MAPPING, found.quantity, opposite=one.place) for one in (*same[:2], *other[:1])]


def opposites_of(breaks: Sequence[Found]) -> Opposites:
    """The breaks in which shares may have been booked in a wrong place, by what they differ."""
    by: dict[tuple[BreakKind, int], list[Found]] = {}
    for one in breaks:
        if one.kind in (BreakKind.DEPOT, BreakKind.TD_SD, BreakKind.FRONT_BACK):
            by.setdefault((one.kind, one.quantity), []).append(one)
    return by


# the last moment both sides agreed


def agreed_before(found: Found, events: EventArray) -> tuple[int, int] | None:
    """The event, by its place, after which a depot's two sides differed, and what they had agreed on: the newest events are
    taken back one by one. None where what was there before them is not known any more."""
    if found.kind != BreakKind.DEPOT:
        return None
    ours, theirs = found.ours, found.theirs
    for at, event in reversed(_events_about(found, events)):
        op, kind, quantity = Op(int(event["op"])), int(event["kind"]), int(event["quantity"])
        if kind == Kind.DEPOT and op == Op.SET:
            before = _stated_before(found, events, at)
            if before is None:
                return None
            theirs = before
        elif STOCK[kind] and op in _SETTLES:
            ours -= STOCK[kind] * _way(event, _SETTLES) * quantity
        elif STOCK[kind] and op == Op.SET:
            return None
        else:
            continue
        if ours == theirs:
            return at, ours
    return None


def _stated_before(found: Found, events: EventArray, at: int) -> int | None:
    """What the custodian had stated before an event, where a statement of one book is all there is."""
    event = events[at]
    earlier = [
        place
        for place, one in _events_about(found, events[:at])
        if int(one["kind"]) == Kind.DEPOT and int(one["op"]) == Op.SET and one["book"] == event["book"]
    ]
    return int(events[earlier[-1]]["quantity"]) if earlier else None


def bucket_name(bucket: int) -> str:
    """SD0 to SD4, or later."""
    return "later" if bucket == LATER else f"SD{bucket}"
