"""Runs the lines of `tests.engine.fact_lines` on real machines: one security per line, one machine per sort of day.

Lines share a machine where they may: every line has its own security and its own books, but a business day, a clock and a
roll are a market's, so lines that want these otherwise are kept on another machine.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app import world
from app.business_days import DayState
from engine.events import empty
from engine.explain import explain
from engine.model import DAYS, NO_DATE, RATE_UNKNOWN, Capacity, Clock, Decided, Flag, Op, SecurityFlag, row_key
from engine.records import BOOK, CURRENCY, NAMED, POSITION, SECURITY
from engine.ring import Message
from engine.rule_model import RuleBook, Scope
from engine.state import Calendar, Machine
from engine.tables import CALENDAR_DAYS, Word
from feeds.calendars import day_of, minute_of, moment_ns
from tests.engine.fact_days import BASE, CALENDAR_RESULTS, MARKET, MARKETS, Days
from tests.engine.fact_lines import (
    Becomes,
    Context,
    Decision,
    Expected,
    FactError,
    Happening,
    Line,
    Reset,
    Roll,
    Row,
    Step,
    row_of,
)

PLAIN_TODAY: Final = day_of(dt.date(2024, 10, 4))
PARTIES: Final = {
    "B1": ("C1", "A1"),
    "B2": ("C1", "A1"),
    "B3": ("C1", "A2"),
    "B4": ("C2", "A1"),
    "B5": ("C2", "A2"),
    "B6": ("C3", "A3"),
    "B7": ("", "A1"),
    "B8": ("", "A2"),
    "B9": ("", "A3"),
}
"""The client and the aggregation unit of each book."""
OPS: Final = {
    "set": Op.SET,
    "+": Op.INCREASE,
    "-": Op.DECREASE,
    "buy": Op.BUY,
    "sell": Op.SELL,
    "short": Op.SHORT_SELL,
    "in": Op.SETTLE_RECEIPT,
    "out": Op.SETTLE_DELIVERY,
    "free": Op.SET_HYPOTHECATABLE,
    "hypothecated": Op.SET_HYPOTHECATED,
    "segregated": Op.SET_SEGREGATED,
    "reserved": Op.SET_RESERVED,
    "ca": Op.SET_CA_PENDING,
    "rate": Op.SET_RATE,
    "td": Op.SET_TD,
}
ROW_RESULTS: Final = {"projected", "break", *(POSITION.names or ())}


class Setting(NamedTuple):
    """What a market must be told before its lines run."""

    on: dt.date | None
    at: str
    closed: tuple[int, ...]


def results(lines: Sequence[Line], days: Days, instance: str) -> dict[str, list[str]]:
    """By file: every line whose numbers are not the machine's, as events made them or as publishing makes them anew.

    Raises `FactError` for an unknown market or result.
    """
    for line in lines:
        if line.context.market not in MARKET:
            raise FactError(f"{line.place}: unknown market {line.context.market!r}")
    book = world.rule_book()
    wrong: dict[str, list[str]] = defaultdict(list)
    for number, group in enumerate(_groups(lines)):
        with_machine = Desk(group, days, book, f"{instance}.facts{number}.tables")
        try:
            with_machine.play()
            for made in ("by its events", "from scratch"):
                if made == "from scratch":
                    with_machine.machine.publish(book)
                for index, line in enumerate(group):
                    wrong[line.place.partition(":")[0]] += with_machine.differences(index, made)
        finally:
            with_machine.close()
    return wrong


def _groups(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Lines that can share a machine: the same rolls, the same years, one setting per market."""
    places: dict[tuple[Any, ...], dict[Setting, int]] = defaultdict(dict)
    found: dict[tuple[Any, ...], list[Line]] = defaultdict(list)
    for line in lines:
        context = line.context
        year = context.on.year if context.on else 0
        known = places[line.rolls, year, context.market]
        at = known.setdefault(_setting(context), len(known))
        found[line.rolls, year, at].append(line)
    yield from found.values()


def _setting(context: Context) -> Setting:
    return Setting(context.on, context.at, context.closed)


class Desk:
    """One machine and the lines that it plays."""

    def __init__(self, lines: Sequence[Line], days: Days, book: RuleBook, name: str) -> None:
        self.lines, self.days = lines, days
        self.settings = {MARKET[line.context.market]: _setting(line.context) for line in lines}
        self.decided: dict[tuple[str, str], dict[Decided, int]] = defaultdict(dict)
        self.seq = 0
        calendar = self._calendar()
        books = sum(len(_books(line)) for line in lines) + len(PARTIES) + 1
        size = len(lines) + 1
        capacity = Capacity(securities=size, books=books, depots=4, sources=2, rows=8 * size)
        self.machine = Machine(name, capacity, book, MARKETS, calendar, "facts")
        self.today = calendar.today
        self.base, self.table = calendar.base_date, calendar.business_day
        self._register()

    def close(self) -> None:
        self.machine.close()

    # before the events

    def _calendar(self) -> Calendar:
        dates = [setting.on for setting in self.settings.values() if setting.on]
        count = len(MARKETS)
        if not dates:
            every_day = np.tile(np.arange(CALENDAR_DAYS, dtype=np.int32), (count, 1))
            return Calendar(PLAIN_TODAY - 100, every_day, np.full(count, PLAIN_TODAY, np.int32))
        base = max(BASE, day_of(dt.date(min(dates).year, 1, 1)) - 60)
        today = np.empty(count, np.int32)
        for market in range(count):
            setting = self.settings.get(market, Setting(min(dates), "", ()))
            assert setting.on is not None
            today[market] = self.days.session(market, day_of(setting.on))
        return Calendar(base, self.days.slice(base), today)

    def _register(self) -> None:
        contexts = [line.context for line in self.lines]
        contexts += [step.context for line in self.lines for step in line.steps if isinstance(step, Becomes)]
        moneys = sorted({_money(context) for context in contexts})
        self.currency = {money: f"{index:03d}" for index, money in enumerate(moneys)}
        currencies = np.zeros(len(moneys), CURRENCY)
        for record, (fx, day_count) in zip(currencies, moneys, strict=True):
            record["code"], record["fx"], record["day_count"] = self.currency[fx, day_count], fx, day_count
        books = {name: (name, *PARTIES[name]) for name in PARTIES}
        for index, line in enumerate(self.lines):
            books |= {f"{index}.{name}": (name, *PARTIES[name]) for name in _books(line)}
        of_books = np.zeros(len(books), BOOK)
        for record, (code, (name, client, unit)) in zip(of_books, books.items(), strict=True):
            record["code"], record["client"], record["aggregation_unit"] = code, client, unit
            record["entity"] = "E1" if name < "B6" else "E2"
        self.books = {code: number for number, code in enumerate(books, 1)}
        self.machine.register(Message.CURRENCIES, currencies)
        securities = [self._security(index, line.context) for index, line in enumerate(self.lines)]
        self.machine.register(Message.SECURITIES, np.concatenate(securities))
        self.machine.register(Message.BOOKS, of_books)
        self.machine.register(Message.DEPOTS, np.array([(f"D{i}", "") for i in (1, 2, 3)], NAMED))
        self.machine.register(Message.SOURCES, np.array([("s1", "")], NAMED))

    def _security(self, index: int, context: Context) -> NDArray[Any]:
        records = np.zeros(1, SECURITY)
        record, market = records[0], MARKET[context.market]
        record["code"], record["market"] = f"S{index}", market
        record["currency"] = self.currency[_money(context)]
        record["temperature"], record["classification"] = context.temperature, context.classification
        for flag in context.flags:
            record["flags"] |= SecurityFlag[flag.upper()]
        record["fee"] = context.facts.get("fee", RATE_UNKNOWN)
        record["volume_30d"], record["outstanding"] = (context.facts.get(name, 0) for name in ("volume", "outstanding"))
        if context.event is not None:
            record["event_date"] = self._date(market, context.event)
        return records

    def _date(self, market: int, day: int | dt.date) -> int:
        """A date, or so many business days from the market's today."""
        if isinstance(day, dt.date):
            return day_of(day)
        ordinals = self.table[market]
        wanted = ordinals[self.today[market] - self.base] + day
        return self.base + int(np.searchsorted(ordinals, wanted, side="right")) - 1

    # events

    def play(self) -> None:
        """Everything that happens, all lines together up to each roll."""
        phases = [_phases(line) for line in self.lines]
        for number in range(len(self.lines[0].rolls) + 1):
            for index, line in enumerate(self.lines):
                if number == 0 and "price" in line.context.facts:
                    self._apply([self._event(index, op=Op.PRICE, quantity=line.context.facts["price"])])
                self._play(index, phases[index][number])
            if number < len(self.lines[0].rolls):
                steps = self.lines[0].rolls[number]
                self.today = np.array([self._date(market, steps) for market in range(len(MARKETS))], np.int32)
                self.machine.roll(self.today)
        for market, setting in self.settings.items():
            for day in self._closed(market, setting):
                self.machine.set_clock(market, Clock.LENDING_OPEN, day, is_open=False)

    def _closed(self, market: int, setting: Setting) -> tuple[int, ...]:
        if not setting.at:
            return setting.closed
        assert setting.on is not None
        now_ns = moment_ns(MARKETS[market].time_zone, day_of(setting.on), minute_of(setting.at))
        state = DayState.at(MARKETS, self.table, self.base, now_ns)
        assert state.today[market] == self.today[market]
        return tuple(np.flatnonzero(~state.lending_open[market]).tolist())

    def _play(self, index: int, steps: Iterable[Step]) -> None:
        for by_event, some in groupby(steps, key=_is_event):
            if by_event:
                self._apply([self._event_of(index, step) for step in some])
                continue
            for step in some:
                match step:
                    case Decision():
                        self._decide(index, step)
                    case Becomes():
                        self.machine.register(Message.SECURITIES, self._security(index, step.context))

    def _decide(self, index: int, step: Decision) -> None:
        if step.party:
            self.decided[f"{index}", step.party][step.what] = step.quantity
        else:
            self.machine.set_decided(index + 1, step.what, step.quantity)

    def _event_of(self, index: int, step: Step) -> dict[str, Any]:
        if isinstance(step, Reset):
            return self._event(index, op=Op.RESET_BOOK, book=self.books[f"{index}.{step.book}"])
        assert isinstance(step, Happening)
        market = MARKET[self.lines[index].context.market]
        flags = (Flag.CANCEL if "cancel" in step.manners else 0) | (Flag.QUANTO if "quanto" in step.manners else 0)
        return self._event(
            index,
            op=OPS[step.word],
            quantity=step.quantity,
            book=self.books[f"{index}.{step.row.book}"],
            depot=int(step.row.depot[1]),
            kind=step.row.kind,
            flags=flags,
            trade_date=self._date(market, -1 if "old" in step.manners else 0),
            settle_date=NO_DATE if step.day is None else self._date(market, step.day),
        )

    def _event(self, index: int, **fields: Any) -> dict[str, Any]:
        self.seq += 1
        return {"security": index + 1, "source": 1, "seq": self.seq, "time_ns": self.seq, **fields}

    def _apply(self, happened: Sequence[dict[str, Any]]) -> None:
        batch = empty(len(happened))
        for event, fields in zip(batch, happened, strict=True):
            for name, value in fields.items():
                event[name] = value
        self.machine.apply(batch)

    # what came out

    def differences(self, index: int, made: str) -> list[str]:
        """What the machine has otherwise than the line says."""
        line = self.lines[index]
        wrong = []
        for expected in line.expected:
            found = self._found(index, expected)
            if set(found) != {expected.result}:
                wrong.append(f"{line.place}: {line.name}: {expected}, but {made} it is {found}")
        return wrong

    def _found(self, index: int, expected: Expected) -> list[int]:
        """The number on each day; for one that is kept also what the explanation of the first of these days makes it."""
        if expected.what in CALENDAR_RESULTS:
            return self.days.result(self.lines[index].context, expected)
        catalogue = self.machine.tables.catalogue
        names = [info.name for info in catalogue.calculations]
        if expected.what in ROW_RESULTS:
            return self._of_row(index, expected)
        if expected.what not in names:
            raise FactError(f"{self.lines[index].place}: unknown result {expected.what!r}")
        at = names.index(expected.what)
        days = expected.days or range(DAYS)
        scope = catalogue.calculations[at].scope
        if scope == Scope.SECURITY:
            values = self.machine.tables.array["values"][index + 1, at]
            explained = explain(self.machine.tables, index + 1, expected.what, days[0]).value
            return [*(int(values[day]) for day in days), explained]
        party: dict[str, Any] = {"client" if scope == Scope.CLIENT else "aggregation_unit": expected.where}
        decided = self.decided.get((f"{index}", expected.where), {})
        tables = self.machine.tables
        return [explain(tables, index + 1, expected.what, day, decided=decided, **party).value for day in days]

    def _of_row(self, index: int, expected: Expected) -> list[int]:
        rows = [step.row for step in self.lines[index].steps if isinstance(step, Happening)]
        at = self._row(index, row_of(expected.where) if expected.where else rows[0])
        if at is None:
            return [0]
        position = self.machine.tables.array["position"][at]
        expect = position["receipt"] - position["deliver"]
        if expected.what == "break":
            return [int(position["td"] - position["sd"] - expect.sum())]
        if expected.what == "projected":
            ladder = position["sd"] + expect.cumsum()
            return [int(ladder[day]) for day in expected.days]
        value = position[expected.what]
        return [int(value[day]) for day in expected.days] if expected.days else [int(value)]

    def _row(self, index: int, row: Row) -> int | None:
        tables = self.machine.tables
        key = row_key(index + 1, self.books[f"{index}.{row.book}"], int(row.depot[1]), row.kind)
        found = np.flatnonzero(tables.array["position"]["key"][: tables.count(Word.ROWS)] == key)
        return int(found[0]) if found.size else None


def _phases(line: Line) -> list[list[Step]]:
    """The steps between rolls."""
    phases: list[list[Step]] = [[]]
    for step in line.steps:
        if isinstance(step, Roll):
            phases.append([])
        else:
            phases[-1].append(step)
    return phases


def _is_event(step: Step) -> bool:
    return isinstance(step, Reset | Happening)


def _books(line: Line) -> list[str]:
    """The books that a line uses, each once."""
    used = {step.row.book for step in line.steps if isinstance(step, Happening)}
    used |= {step.book for step in line.steps if isinstance(step, Reset)}
    return sorted(used)


def _money(context: Context) -> tuple[int, int]:
    return context.facts.get("fx", 0), context.facts.get("days", 0)
