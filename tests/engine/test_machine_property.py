"""Incremental equals recomputed from scratch, whatever happens: events, rules, days, cut-offs, reference data, decisions."""

import dataclasses
import itertools
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app import world
from engine.events import EVENT, empty
from engine.model import (
    BOOK,
    CURRENCY,
    HEAD_FACTS,
    NAMED,
    NO_DATE,
    QUOTES,
    SECURITY,
    Capacity,
    Clock,
    Decided,
    Flag,
    Kind,
    Op,
    SecurityFlag,
    Temperature,
)
from engine.ring import Message
from engine.rule_model import RuleBook
from engine.state import Calendar, Machine
from engine.tables import Word
from tests.engine.machines import MARKETS, named
from tests.engine.reference_machine import DAYS, Market, Reference, Security, Weights

FIRST = 19_950
TODAY = 20_000
LAST = 20_150
SHIPPED = world.rule_book()
COUNT = len(MARKETS) + 2
"""One security in each market, and two more."""
COLUMNS = (
    "td sd intraday_buy intraday_sell intraday_short hypothecatable hypothecated segregated reserved ca_pending"
).split()
_names = itertools.count()


def _open_days(market: int) -> list[int]:
    """Weekends closed, and a holiday of its own now and then."""
    return [day for day in range(FIRST, LAST + 60) if day % 7 > 1 and day % 23 != market + 3]


def _ordinals(market: int) -> list[int]:
    days = _open_days(market)
    return [next(i for i, day in enumerate(days) if day >= date) for date in range(FIRST, LAST + 50)]


event = st.fixed_dictionaries(
    {
        "source": st.integers(1, 2),
        "seq": st.integers(1, 400),
        "security": st.integers(1, COUNT),
        "book": st.integers(1, 2),
        "depot": st.integers(0, 1),
        "kind": st.sampled_from(list(Kind)),
        "op": st.one_of(st.just(Op.SET), st.sampled_from([Op.INCREASE, Op.BUY, Op.PRICE]), st.sampled_from(list(Op))),
        "quantity": st.one_of(st.integers(1, 1_000), st.integers(100_000, 10**12), st.integers(-1_000, 0)),
        "settle": st.one_of(st.integers(0, 9), st.integers(-2, 14), st.sampled_from([None, 5_000])),
        "trade": st.integers(-1, 0),
        "flags": st.sampled_from([0, 0, Flag.CANCEL, Flag.START_OF_DAY, Flag.QUANTO]),
    }
)


def _batch(rows: list[dict[str, Any]], today: int) -> Any:
    batch = empty(len(rows))
    for i, row in enumerate(rows):
        dates = {
            "settle_date": NO_DATE if row["settle"] is None else today + row["settle"],
            "trade_date": today + row["trade"],
        }
        for name, value in ({k: v for k, v in row.items() if k not in ("settle", "trade")} | dates).items():
            batch[i][name] = value
    return batch


def _security(number: int, change: dict[str, Any]) -> Any:
    record = np.zeros(1, SECURITY)
    record["code"], record["currency"] = f"S{number}".encode(), b"XYZ"
    record["market"] = (number - 1) % len(MARKETS)
    for name, value in change.items():
        record[name] = value
    return record


def _variant(weights: Weights) -> RuleBook:
    """The shipped rules with these weights, as a desk would write them."""
    rules = []
    for of in SHIPPED.rules:
        if (of.calculation, of.input) == ("locate_pool", "external_indicative") and not of.markets:
            plain = dataclasses.replace(of, weight=_weight(weights.indicative))
            rules.append(plain)
            if weights.hard_indicative is not None:
                condition = "temperature = 'HTB'"
                narrowed = _weight(weights.hard_indicative)
                rules.append(
                    dataclasses.replace(of, id="hard", condition=condition, priority=of.priority + 1, weight=narrowed)
                )
        elif of.markets == ("TW",) and of.input == "borrowed":
            rules.append(dataclasses.replace(of, weight=10_000 if weights.tw_lends_borrowed else 0))
        else:
            rules.append(of)
    return dataclasses.replace(SHIPPED, rules=tuple(rules))


def _weight(part: tuple[int, int]) -> int:
    return int(Decimal(part[0]) * 10_000 / part[1])


class Desk(RuleBasedStateMachine):
    """The machine beside the reference, in every market at once."""

    def __init__(self) -> None:
        super().__init__()
        days = [_ordinals(i) for i in range(len(MARKETS))]
        self.markets = [
            Market(m.code, _open_days(i), next(d for d in _open_days(i) if d >= TODAY), m.quanto_days)
            for i, m in enumerate(MARKETS)
        ]
        calendar = Calendar(FIRST, np.array(days, np.int32), np.array([m.today for m in self.markets], np.int32))
        capacity = Capacity(securities=COUNT, books=4, depots=4, sources=4, rows=4_096)
        name = f"property-{next(_names)}.tables"
        self.machine = Machine(name, capacity, SHIPPED, MARKETS, calendar, "test")
        self.slow = Reference({n: Security(self.markets[(n - 1) % len(MARKETS)]) for n in range(1, COUNT + 1)})

    @initialize()
    def known(self) -> None:
        for number in range(1, COUNT + 1):
            self.machine.register(Message.SECURITIES, _security(number, {}))
        self.machine.register(Message.BOOKS, named(BOOK, "B", 2))
        self.machine.register(Message.DEPOTS, named(NAMED, "D", 1))
        self.machine.register(Message.SOURCES, named(NAMED, "s", 2))

    @rule(rows=st.lists(event, min_size=10, max_size=40))
    def events_arrive(self, rows: list[dict[str, Any]]) -> None:
        batch = _batch(rows, min(market.today for market in self.markets))
        self.machine.apply(batch)
        self.slow.apply(batch)

    @rule(security=st.integers(1, COUNT), what=st.sampled_from(list(Decided)), quantity=st.integers(0, 10_000))
    def a_decision_holds_stock(self, security: int, what: Decided, quantity: int) -> None:
        self.machine.set_decided(security, what, quantity)
        self.slow.decided[security, what] = quantity

    @rule(
        number=st.integers(1, COUNT),
        temperature=st.sampled_from([Temperature.GC, Temperature.HTB]),
        designated=st.booleans(),
        event_in=st.one_of(st.none(), st.integers(0, 9), st.integers(-2, 20)),
        fee=st.integers(0, 900_000),
        volume=st.integers(0, 10**10),
    )
    def reference_data_changes(
        self, number: int, temperature: Temperature, designated: bool, event_in: int | None, fee: int, volume: int
    ) -> None:
        about = self.slow.securities[number]
        about.hard, about.designated, about.fee = temperature == Temperature.HTB, designated, fee
        about.event_date = 0 if event_in is None else about.market.today + event_in
        about.volume_30d, about.outstanding = volume, 7 * volume
        change = {
            "temperature": temperature,
            "flags": SecurityFlag.DESIGNATED if designated else 0,
            "event_date": about.event_date,
            "fee": fee,
            "volume_30d": volume,
            "outstanding": 7 * volume,
        }
        self.machine.register(Message.SECURITIES, _security(number, change))

    @rule(fx=st.integers(0, 10**12), day_count=st.sampled_from([0, 360, 365]))
    def a_currency_moves(self, fx: int, day_count: int) -> None:
        self.machine.register(Message.CURRENCIES, np.array([(b"XYZ", day_count, fx)], CURRENCY))
        for about in self.slow.securities.values():
            about.fx, about.day_count = fx or about.fx, day_count or about.day_count or 360

    @rule(
        indicative=st.sampled_from([(1, 2), (1, 4), (1, 3), (0, 1), (1, 1)]),
        hard=st.sampled_from([None, (0, 1), (3, 4)]),
        tw_lends=st.booleans(),
    )
    def the_desk_publishes(self, indicative: tuple[int, int], hard: tuple[int, int] | None, tw_lends: bool) -> None:
        rounded = _weight(indicative), 10_000
        self.slow.weights = Weights(rounded, hard, tw_lends)
        self.machine.publish(_variant(self.slow.weights))

    @rule(number=st.integers(0, len(MARKETS) - 1), steps=st.integers(1, 6))
    @precondition(lambda self: max(market.today for market in self.markets) < TODAY + 40)
    def a_day_begins(self, number: int, steps: int) -> None:
        market = self.markets[number]
        self.slow.roll(market, market.open_days[market.open_days.index(market.today) + steps])
        self.machine.roll(np.array([market.today for market in self.markets], np.int32))

    @rule(number=st.integers(0, len(MARKETS) - 1), is_open=st.booleans())
    def a_cut_off_passes(self, number: int, is_open: bool) -> None:
        self.markets[number].lending_open = is_open
        self.machine.set_clock(number, Clock.LENDING_OPEN, 0, is_open=is_open)

    @rule()
    def everything_is_made_anew(self) -> None:
        before = {name: self.machine.tables.array[name].copy() for name in ("terms", "values")}
        self.machine.publish(self.machine.book)
        for name, array in before.items():
            assert np.array_equal(array, self.machine.tables.array[name])

    @invariant()
    def the_rows_are_equal(self) -> None:
        tables, slow = self.machine.tables, self.slow
        rows = tables.array["position"][: tables.count(Word.ROWS)]
        keys = [(int(k) >> 40, int(k) >> 24 & 0xFFFF, int(k) >> 8 & 0xFFFF, int(k) & 0xFF) for k in rows["key"]]
        assert sorted(keys) == sorted(slow.rows)
        for key, row in zip(keys, rows, strict=True):
            expected = slow.rows[key]
            assert {c: int(row[c]) for c in COLUMNS} == {c: getattr(expected, c) for c in COLUMNS}
            assert row["receipt"].tolist() == slow.ladder(key[0], expected.receipts)
            assert row["deliver"].tolist() == slow.ladder(key[0], expected.deliveries)

    @invariant()
    def the_numbers_are_equal(self) -> None:
        tables, slow = self.machine.tables, self.slow
        catalogue = tables.catalogue
        for security in slow.securities:
            for day in DAYS:
                terms = slow.terms(security, day)
                kept = {t.name: t.component for t in catalogue.terms if t.component >= 0}
                maintained = {n: c for n, c in kept.items() if catalogue.components[c].maintained}
                found = {n: int(tables.array["terms"][security, c, day]) for n, c in maintained.items()}
                assert found == {name: terms.get(name, 0) for name in maintained}
                values = slow.values(security, day)
                at = {c.name: i for i, c in enumerate(catalogue.calculations) if c.scope == "security"}
                assert {name: int(tables.array["values"][security, i, day]) for name, i in at.items()} == values
            quotes = tables.array["head"][security, [HEAD_FACTS + fact for fact in QUOTES.values()]].tolist()
            assert quotes == [getattr(slow.securities[security], fact.name.lower()) for fact in QUOTES.values()]

    @invariant()
    def the_counts_are_equal(self) -> None:
        tables, slow = self.machine.tables, self.slow
        counted = [tables.count(word) for word in (Word.DUPLICATES, Word.MISSING, Word.REJECTED)]
        assert counted == [slow.duplicates, slow.missing, slow.rejected]

    def teardown(self) -> None:
        self.machine.close()


TestDesk = Desk.TestCase
TestDesk.settings = settings(max_examples=80, stateful_step_count=15, deadline=None)


@given(st.lists(event, min_size=1, max_size=40))
@settings(deadline=None)
def test_how_events_are_cut_into_batches_changes_nothing(rows: list[dict[str, Any]]) -> None:
    whole, cut = Desk(), Desk()
    try:
        batch = _batch(rows, TODAY)
        for desk in (whole, cut):
            desk.known()
        whole.machine.apply(batch)
        for i in range(len(batch)):
            cut.machine.apply(batch[i : i + 1])
        for name in ("terms", "values", "price", "updated_ns"):
            assert np.array_equal(whole.machine.tables.array[name], cut.machine.tables.array[name])
        assert (whole.machine.tables.array["position"] == cut.machine.tables.array["position"]).all()
        assert EVENT.itemsize == 64
    finally:
        whole.teardown()
        cut.teardown()
