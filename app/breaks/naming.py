"""What was found in the tables, in words: who and what it is about, what it is worth, what hangs on it and why it may be."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.breaks.facts import CauseFound, Facts, Subject
from engine.break_causes import Around, Candidate, bucket_name
from engine.break_kinds import BreakKind, Cause, Found, Place
from engine.model import DAYS, HEAD_FACTS, PRICE_UNIT, Decided, Fact, Kind, Op, Temperature
from engine.rule_model import Role
from engine.tables import Tables

_FX_UNIT: Final = 10**9
_EPOCH: Final = dt.date(1970, 1, 1)
_NUMBERS: Final = {Role.LEFT_SHORT: "short locates", Role.LEFT_LONG: "long locates"}


@dataclass(frozen=True, slots=True)
class Reach:
    """Shares that hang on a break."""

    sellable: int
    lendable: int
    located: int


class Namer:
    """Of one attachment to the tables."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._array = tables.array

    def market(self, security: int) -> str:
        return self.tables.markets[int(self._array["security"]["market"][security])].code

    def code(self, table: str, number: int) -> str:
        """Nothing for none."""
        return bytes(self._array[table][number]["code"]).decode("utf-8", "replace") if number else ""

    def subject(self, place: Place) -> Subject:
        """Who and what."""
        array, security = self._array, place.security
        names: dict[str, str] = {}
        if security:
            record = array["security"][security]
            names = {name: bytes(record[name]).decode("utf-8", "replace") for name in ("isin", "name")}
            names |= {"security": self.code("security", security), "market": self.market(security)}
            names["temperature"] = Temperature(int(record["temperature"])).name
        elif place.market >= 0:
            names["market"] = self.tables.markets[place.market].code
        if place.book:
            names |= self._of_book(place.book, security)
        if place.deal:
            names["contract"] = self.code("deal", place.deal)
            names["source"] = self.code("source", int(array["deal"][place.deal]["source"]))
        return Subject(
            depot=self.code("depot", place.depot),
            position_type=Kind(place.row_kind).name if place.row_kind >= 0 else "",
            counterparty=self.code("counterparty", place.counterparty),
            number=place.number,
            **names,
        )

    def subject_of(self, security: int) -> Subject:
        """Of a security alone."""
        return self.subject(Place(security=security))

    def value(self, security: int, role: Role) -> int:
        """A number of the security, on the day on which a trade of today settles."""
        day = min(self.tables.markets[int(self._array["security"]["market"][security])].settle_days, DAYS - 1)
        return int(self._array["values"][security, self.tables.catalogue.playing(role), day])

    def worth(self, security: int, quantity: int) -> float | None:
        """In the reporting currency; None where price or rate are unknown."""
        facts = self._array["head"][security, HEAD_FACTS:]
        price, fx = int(facts[Fact.PRICE]), int(facts[Fact.FX])
        return round(quantity * price / PRICE_UNIT * fx / _FX_UNIT, 2) if price and fx else None

    def reach(self, security: int, missing: int) -> Reach:
        """What would not be there if so many shares of a security were not: see `reach_of`."""
        if not security or missing <= 0:
            return Reach(0, 0, 0)
        located = int(self._array["decided"][security, Decided.SHORT_LOCATES])
        lend, long_left, short_left = (
            self.value(security, role) for role in (Role.LEND, Role.LEFT_LONG, Role.LEFT_SHORT)
        )
        return reach_of(missing, lend, long_left, short_left, located)

    def facts(self, found: Found, causes: Sequence[CauseFound], tolerance: int) -> Facts:
        """All that is known of it but how bad it is."""
        place, about = found.place, self.subject(found.place)
        missing = max(0, -found.quantity) if found.kind == BreakKind.DEPOT else abs(found.quantity)
        reach = Reach(0, 0, 0)
        if found.kind == BreakKind.AVAILABILITY:
            short = place.number == Role.LEFT_SHORT
            reach = Reach(0 if short else missing, 0, missing if short else 0)
        elif found.kind == BreakKind.PARTY:
            reach = Reach(self._held_by(place.book, place.market), 0, 0)
        else:
            reach = self.reach(place.security, missing)
        counted = found.kind != BreakKind.PARTY
        return Facts(
            key=key_of(found.kind, about),
            kind=found.kind,
            title=title_of(found, about),
            about=about,
            unit="shares" if counted else "books",
            ours=found.ours if counted else None,
            theirs=found.theirs if counted else None,
            quantity=found.quantity,
            tolerance=tolerance,
            value=self.worth(place.security, found.quantity) if place.security else None,
            causes=tuple(causes),
            sellable=reach.sellable,
            lendable=reach.lendable,
            located=reach.located,
        )

    def cause(self, found: Found, one: Candidate, around: Around) -> CauseFound:
        """A candidate in words."""
        amount, on, row = f"{abs(one.quantity):,}", None, None
        text = {Cause.CORPORATE_ACTION: "A corporate action is near"}.get(one.cause, one.cause.value)
        book = depot = security = key = ""
        if one.row >= 0:
            row = around.rows[one.row]
            number = int(row["key"])
            book, depot = self.code("book", number >> 24 & 0xFFFF), self.code("depot", number >> 8 & 0xFFFF)
            text = f"{amount} of a corporate action in book {book}"
        if one.bucket >= 0:
            assert row is not None
            comes = int(row["receipt"][one.bucket]) != 0 and abs(int(row["receipt"][one.bucket])) == abs(one.quantity)
            what = "receipt" if comes else "delivery"
            text = f"A {what} of {amount} due {bucket_name(one.bucket)} in book {book}"
            if one.pair is not None:
                text = f"Movements due {bucket_name(one.bucket)} and {bucket_name(one.pair[1])} that come to {amount} together"
        elif one.event >= 0:
            event = around.events[one.event]
            book, depot = self.code("book", int(event["book"])), self.code("depot", int(event["depot"]))
            text = f"{Op(int(event['op'])).name} of {amount} in book {book}, number {int(event['seq'])} of its source"
            on = day_of(int(event["settle_date"]))
            if one.together:
                text = f"{one.together} settlements since the statement, which come to {amount} together"
                book = ""
        elif one.opposite is not None:
            other = self.subject(one.opposite)
            security, depot, book, key = other.security, other.depot, other.book, key_of(found.kind, other)
            text = f"The same quantity the other way: {' '.join(filter(None, (security, book, depot)))}"
        elif one.cause == Cause.START_OF_DAY:
            depot = self.code("depot", found.place.depot)
            text = f"{depot} has stated nothing of it: its line is late, or missing"
        elif one.cause == Cause.CORPORATE_ACTION and around.event_date:
            on = day_of(around.event_date)
            text = f"{text}: {on}" if one.quantity == 0 else f"{amount} of corporate actions in all"
        return CauseFound(
            cause=one.cause, quantity=one.quantity, text=text, book=book, depot=depot, security=security, on=on, key=key
        )

    # parts

    def _of_book(self, book: int, security: int) -> dict[str, str]:
        array, record = self._array, self._array["book"][book]
        unit = int(array["book_unit"][book, array["security"]["market"][security]]) if security else 0
        named = array["unit"][unit]["code"] if unit else record["aggregation_unit"]
        return {
            "book": self.code("book", book),
            "client": bytes(record["client"]).decode("utf-8", "replace"),
            "aggregation_unit": bytes(named).decode("utf-8", "replace"),
        }

    def _held_by(self, book: int, market: int) -> int:
        """Long positions of a book in a market: none of it can be sold while it has no unit there."""
        array, held = self._array, 0
        row, position = int(array["first_in_book"][book]), array["position"]
        while row:
            record = position[row - 1]
            key = int(record["key"])
            if array["security"]["market"][key >> 40] == market and key & 0xFF in (Kind.FIRM, Kind.CLIENT_FREE):
                held += max(0, int(record["td"]))
            row = int(record["next_in_book"])
        return held


def reach_of(missing: int, lend: int, long_left: int, short_left: int, located: int) -> Reach:
    """What hangs on shares that may not be there: what could be sold or lent of them, and what is promised to clients that the
    pool would not cover without them."""
    return Reach(
        sellable=max(0, min(missing, long_left)),
        lendable=max(0, min(missing, lend)),
        located=max(0, min(located, missing - max(0, short_left))),
    )


def key_of(kind: BreakKind, about: Subject) -> str:
    """The same for the same thing in every run."""
    parts: dict[BreakKind, tuple[str, ...]] = {
        BreakKind.DEPOT: (about.security, about.depot),
        BreakKind.TD_SD: (about.book, about.security, about.depot, about.position_type),
        BreakKind.FRONT_BACK: (about.book, about.security, about.depot, about.position_type),
        BreakKind.CONTRACT: (
            (about.source, about.contract, about.number) if about.contract else (about.security, about.counterparty)
        ),
        BreakKind.IDENTIFIER: (about.security, about.number, about.reason),
        BreakKind.REFERENCE: (about.reason, about.number),
        BreakKind.PARTY: (about.book, about.market or about.aggregation_unit),
        BreakKind.LIMIT: (about.number, about.client or about.aggregation_unit, about.security),
        BreakKind.AVAILABILITY: (about.number, about.security),
        BreakKind.FEED: (about.feed,),
        BreakKind.GAP: (about.source,),
        BreakKind.MESSAGE: (about.topic, about.reason),
    }  # fmt: skip
    return f"{kind}:{'/'.join(parts[kind])}"


def title_of(found: Found, about: Subject) -> str:
    """One line for a person."""
    apart, less = f"{abs(found.quantity):,}", "less" if found.quantity < 0 else "more"
    match found.kind:
        case BreakKind.DEPOT:
            return f"{about.depot} states {apart} shares {less} than our books"
        case BreakKind.TD_SD:
            return f"{about.book} has {found.ours:,} contractual, and {found.theirs:,} settled and expected"
        case BreakKind.FRONT_BACK:
            return f"Start of day of {about.book} states {apart} shares {less} than the close before"
        case BreakKind.CONTRACT if about.number == "recall_overdue":
            return f"{apart} shares of contract {about.contract} were recalled, and have not come"
        case BreakKind.CONTRACT if about.contract:
            return f"Contract {about.contract} is past its end, with {apart} shares open"
        case BreakKind.CONTRACT:
            return f"{about.counterparty} states {apart} shares {less} than our contracts"
        case BreakKind.PARTY:
            return f"Book {about.book} has no aggregation unit in {about.market}: nothing of it can be sold there"
        case _:
            return f"{apart} shares more promised for {_NUMBERS.get(Role(about.number), about.number)} than there are"


def day_of(days: int) -> dt.date | None:
    """The date of days since 1970; None for none."""
    return _EPOCH + dt.timedelta(days=days) if days > 0 else None


def around_of(tables: Tables, security: int, rows: Any, events: Any) -> Around:
    """What a security looks like, for the search of causes."""
    record = tables.array["security"][security]
    today = int(tables.array["today"][int(record["market"])])
    return Around(rows, events, int(record["event_date"]), today)
