"""Both sides of a break beside each other: rows with their ladders, the events that made them, and when they last agreed."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any, Final

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from app.api.answers import time_of
from app.breaks.answers import break_id, moment
from app.breaks.books import SOURCE
from app.breaks.facts import Subject
from app.breaks.life import Life
from app.breaks.naming import Namer, day_of
from engine.break_causes import agreed_before
from engine.break_kinds import BreakKind, Found, Place
from engine.break_reading import events_of, no_events, rows_of
from engine.events import EventArray
from engine.explain_rows import days_of
from engine.model import DAYS, STOCK, Kind, Namespace, Op
from engine.symbols import Symbols
from engine.tables import Tables

_EVENTS: Final = 200
_LADDERS: Final = frozenset(
    {BreakKind.DEPOT, BreakKind.TD_SD, BreakKind.FRONT_BACK, BreakKind.CONTRACT, BreakKind.AVAILABILITY}
)
_CONTRACTS: Final = ("SLAB_", "REPO_", "SWAP_PLEDGE_")


class LadderRow(Struct, frozen=True, kw_only=True):
    """A row with its ladder. `sign`: which way its stock counts in this break; `counted`: what it adds."""

    row: int
    book: str
    depot: str
    position_type: str
    client: str
    sign: int
    td: int
    settled: int
    receipt: Annotated[list[int], Meta(description="SD0 to SD4, and later.")]
    deliver: Annotated[list[int], Meta(description="SD0 to SD4, and later.")]
    projected: Annotated[list[int], Meta(description="SD0 to SD4.")]
    ca_pending: int
    intraday_buy: int
    intraday_sell: int
    intraday_short: int
    counted: int


class FactLine(Struct, frozen=True, kw_only=True):
    """What is known besides rows."""

    label: str
    value: str


class BreakSide(Struct, frozen=True, kw_only=True):
    """One of the two."""

    label: str
    quantity: int | None
    as_of: dt.datetime | None
    rows: list[LadderRow]
    facts: list[FactLine]


class EventLine(Struct, frozen=True, kw_only=True):
    """An event that made our side or theirs. `offset`: null where the machine does not know it."""

    at: dt.datetime
    op: str
    quantity: int
    book: str
    depot: str
    position_type: str
    source: str
    seq: int
    topic: str
    partition: int
    offset: int | None
    trade_date: dt.date | None
    settle_date: dt.date | None


class BreakSides(Struct, frozen=True, kw_only=True):
    """Ours, theirs, and how they came apart."""

    id: str
    days: Annotated[list[dt.date], Meta(description="SD0 to SD4 in its market; empty for what is of none.")]
    ours: BreakSide
    theirs: BreakSide
    events: Annotated[
        list[EventLine], Meta(description="Of the machine's newest million: those about our side, newest first.")
    ]
    statement: Annotated[EventLine | None, Meta(description="What the other side said last.")]
    statement_known: Annotated[bool, Meta(description="Whether that is still among the newest events.")]
    last_agreed_at: dt.datetime | None
    last_agreed_quantity: int | None
    last_agreed_text: str


class Drill:
    """Of one attachment to the tables. `topics`: names of the feeds' topics, by their number."""

    def __init__(self, tables: Tables, namer: Namer, topics: Sequence[str]) -> None:
        self._tables = tables
        self._namer = namer
        self._topics = topics

    def sides(self, life: Life) -> BreakSides:
        """Raises `TornReadError`."""
        place = self._place(life.facts.about)
        if life.facts.kind not in _LADDERS or not place.security:
            return self._facts_only(life)
        numbers, rows = rows_of(self._tables, place.security)
        events = events_of(self._tables, [place.security]).get(place.security, no_events())
        mine, theirs = self._split(life.facts.kind, place, rows)
        about = _events_about(life.facts.kind, place, events)
        statements = about[(about["kind"] == Kind.DEPOT) & (about["op"] == Op.SET)]
        made = about[about["kind"] != Kind.DEPOT]
        statement = self._event(statements[-1]) if statements.size else None
        agreed_ns, quantity, text = self._agreed(life, place, events)
        labels = _labels(life)
        facts = life.facts
        return BreakSides(
            id=break_id(life.number),
            days=self._days(place.security),
            ours=BreakSide(
                label=labels[0],
                quantity=facts.ours,
                as_of=time_of(int(made["time_ns"].max())) if made.size else None,
                rows=self._rows(numbers, rows, mine),
                facts=[],
            ),
            theirs=BreakSide(
                label=labels[1],
                quantity=facts.theirs,
                as_of=statement.at if statement else None,
                rows=self._rows(numbers, rows, theirs),
                facts=self._said(life),
            ),
            events=[self._event(event) for event in made[::-1][:_EVENTS]],
            statement=statement,
            statement_known=statement is not None,
            last_agreed_at=moment(agreed_ns),
            last_agreed_quantity=quantity,
            last_agreed_text=text,
        )

    # parts

    def _place(self, about: Subject) -> Place:
        symbols = Symbols(self._tables.array["symbols"])

        def number(namespace: Namespace, code: str) -> int:
            return symbols.find_one(namespace, code) if code else 0

        return Place(
            security=number(Namespace.SECURITY, about.security),
            book=number(Namespace.BOOK, about.book),
            depot=number(Namespace.DEPOT, about.depot),
            row_kind=Kind[about.position_type] if about.position_type else -1,
            counterparty=number(Namespace.COUNTERPARTY, about.counterparty),
        )

    def _split(self, kind: BreakKind, place: Place, rows: NDArray[np.void]) -> tuple[list[int], list[int]]:
        """Places of the rows of either side."""
        key = rows["key"].astype(np.int64)
        depot, book, sort = key >> 8 & 0xFFFF, key >> 24 & 0xFFFF, key & 0xFF
        stated = sort == Kind.DEPOT
        match kind:
            case BreakKind.DEPOT:
                moves = np.array(STOCK)[sort] != 0
                return _at(moves & (depot == place.depot)), _at(stated & (depot == place.depot))
            case BreakKind.TD_SD | BreakKind.FRONT_BACK:
                same = _at((depot == place.depot) & (book == place.book) & (sort == place.row_kind))
                return same, same
            case BreakKind.CONTRACT:
                contract = np.array([each.name.startswith(_CONTRACTS) for each in Kind])[sort]
                return _at(contract & ((book == place.book) | (place.book == 0))), _at(stated & (depot == 0))
        return _at(~stated), []

    def _rows(self, numbers: NDArray[np.int64], rows: NDArray[np.void], chosen: Sequence[int]) -> list[LadderRow]:
        return [self._row(int(numbers[at]), rows[at]) for at in chosen]

    def _row(self, number: int, row: Any) -> LadderRow:
        key = int(row["key"])
        kind, book = Kind(key & 0xFF), key >> 24 & 0xFFFF
        receipt, deliver = row["receipt"].tolist(), row["deliver"].tolist()
        settled, sign = int(row["sd"]), 1 if kind == Kind.DEPOT else STOCK[kind]
        moved = np.cumsum(np.array(receipt[:DAYS]) - np.array(deliver[:DAYS]))
        client = bytes(self._tables.array["book"][book]["client"]).decode("utf-8", "replace")
        return LadderRow(
            row=number,
            book=self._namer.code("book", book),
            depot=self._namer.code("depot", key >> 8 & 0xFFFF),
            position_type=kind.name,
            client=client,
            sign=sign,
            td=int(row["td"]),
            settled=settled,
            receipt=receipt,
            deliver=deliver,
            projected=(settled + moved).tolist(),
            ca_pending=int(row["ca_pending"]),
            intraday_buy=int(row["intraday_buy"]),
            intraday_sell=int(row["intraday_sell"]),
            intraday_short=int(row["intraday_short"]),
            counted=sign * settled,
        )

    def _event(self, event: Any) -> EventLine:
        # an event that was refused is kept as it came: its numbers may name nothing
        def code(table: str) -> str:
            number = int(event[table])
            return self._namer.code(table, number) if number < len(self._tables.array[table]) else f"#{number}"

        source, topic, offset = code("source"), int(event["topic"]), int(event["offset"])
        by_hand = source == SOURCE
        return EventLine(
            at=time_of(int(event["time_ns"])),
            op=Op(int(event["op"])).name if int(event["op"]) in set(Op) else f"#{event['op']}",
            quantity=int(event["quantity"]),
            book=code("book"),
            depot=code("depot"),
            position_type=Kind(int(event["kind"])).name if int(event["kind"]) in set(Kind) else f"#{event['kind']}",
            source=source,
            seq=int(event["seq"]),
            topic="" if by_hand or topic >= len(self._topics) else self._topics[topic],
            partition=int(event["partition"]),
            offset=None if by_hand or offset < 0 else offset,
            trade_date=day_of(int(event["trade_date"])),
            settle_date=day_of(int(event["settle_date"])),
        )

    def _agreed(self, life: Life, place: Place, events: EventArray) -> tuple[int, int | None, str]:
        """When both sides last agreed, on how much, and how that is known."""
        facts = life.facts
        if facts.ours is not None and facts.theirs is not None:
            asked = Place(security=place.security, depot=place.depot)
            found = agreed_before(Found(facts.kind, asked, facts.ours, facts.theirs), events)
            if found is not None:
                event = self._event(events[found[0]])
                told = f"before {event.op} of {event.quantity:,} in book {event.book}, number {event.seq} of {event.source}"
                return int(events["time_ns"][found[0]]), found[1], told
        if life.agreed_ns:
            return life.agreed_ns, None, "the last look before it was found"
        return 0, None, "it was there when this was first looked at"

    def _days(self, security: int) -> list[dt.date]:
        market = int(self._tables.array["security"]["market"][security])
        return list(days_of(self._tables, market))

    def _facts_only(self, life: Life) -> BreakSides:
        """Of what has no ladders."""
        nothing = BreakSide(label="", quantity=None, as_of=None, rows=[], facts=[])
        facts = life.facts
        return BreakSides(
            id=break_id(life.number),
            days=[],
            ours=BreakSide(label="What there is", quantity=facts.ours, as_of=None, rows=[], facts=self._said(life)),
            theirs=nothing,
            events=[],
            statement=None,
            statement_known=False,
            last_agreed_at=moment(life.agreed_ns),
            last_agreed_quantity=None,
            last_agreed_text="the last look before it was found" if life.agreed_ns else "",
        )

    def _said(self, life: Life) -> list[FactLine]:
        """What a break is about, in lines."""
        about = life.facts.about
        told = {name: getattr(about, name) for name in Subject.__struct_fields__}
        lines = [FactLine(label=name.replace("_", " "), value=value) for name, value in told.items() if value]
        return [FactLine(label="what", value=life.facts.title), *lines]


def _labels(life: Life) -> tuple[str, str]:
    about = life.facts.about
    return {
        BreakKind.DEPOT: ("Our books", about.depot),
        BreakKind.TD_SD: ("Contractual", "Settled and expected"),
        BreakKind.FRONT_BACK: ("Trades, at the last close", "Start of day"),
        BreakKind.CONTRACT: ("Our contracts", about.counterparty),
    }.get(life.facts.kind, ("What there is", "What it must not be below"))


def _events_about(kind: BreakKind, place: Place, events: EventArray) -> EventArray:
    if kind == BreakKind.AVAILABILITY:
        return events
    if kind == BreakKind.CONTRACT:
        chosen = (events["book"] == place.book) | (place.book == 0)
    else:
        chosen = events["depot"] == place.depot
        if place.book:
            chosen &= (events["book"] == place.book) & (events["kind"] == place.row_kind)
    found: EventArray = events[chosen]
    return found


def _at(chosen: NDArray[np.bool_]) -> list[int]:
    return [int(at) for at in np.flatnonzero(chosen)]
