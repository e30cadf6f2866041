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
from engine.events import EVENT
from engine.model import HEAD_FACTS, QUOTES, Capacity, Clock, DealState, Decided, Flag, SecurityFlag, Temperature
from engine.records import BOOK, CURRENCY, NAMED, SECURITY
from engine.ring import Message
from engine.rule_model import RuleBook
from engine.state import Calendar, Machine
from engine.tables import Word
from tests.engine.arrivals import SECURITIES, correction, corrections_of, event, events_of, execution, step, steps_of
from tests.engine.machines import MARKETS, named
from tests.engine.reference_deals import Market
from tests.engine.reference_machine import DAYS, Reference, Security, Weights

FIRST = 19_950
TODAY = 20_000
LAST = 20_150
SHIPPED = world.rule_book()
COUNT = SECURITIES
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
        capacity = Capacity(
            securities=COUNT, books=4, depots=4, sources=4, rows=4_096, deals=16, counterparties=4, units=4
        )
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
        batch = events_of(rows, self._today)
        self.machine.apply(batch)
        self.slow.apply(batch)

    @rule(rows=st.lists(correction, min_size=1, max_size=8))
    @precondition(lambda self: self.slow.moved)
    def events_are_corrected(self, rows: list[dict[str, Any]]) -> None:
        known = sorted(self.slow.moved)
        chosen = [known[row["which"] % len(known)] for row in rows]
        drawn = self._numbered([row | {"source": of[0]} for row, of in zip(rows, chosen, strict=True)])
        records = corrections_of(
            [row | {"corrects": of[1]} for row, of in zip(drawn, chosen, strict=True)], self._today
        )
        self.machine.correct(records)
        self.slow.correct(records)

    @rule(rows=st.lists(st.one_of(step, step, execution), min_size=5, max_size=20))
    def deals_take_steps(self, rows: list[dict[str, Any]]) -> None:
        sources = [row.get("fill", row) for row in rows]
        records = steps_of(
            self._numbered(
                [{"source": of["source"], "skips": of["skips"]} | row for of, row in zip(sources, rows, strict=True)]
            ),
            self._today,
        )
        self.machine.step(records)
        self.slow.step(records)

    @property
    def _today(self) -> int:
        return min(market.today for market in self.markets)

    def _numbered(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """With numbers after the newest ones, a few left out, a few again."""
        newest = dict(self.slow.newest)
        numbered = []
        for row in rows:
            newest[row["source"]] = max(1, newest.get(row["source"], 0) + 1 + row["skips"])
            numbered.append(row | {"seq": newest[row["source"]]})
        return numbered

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
            about.fx, about.day_count = fx or about.fx, day_count or about.day_count

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
        self.slow.deals.forget()
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
    def the_deals_are_equal(self) -> None:
        tables = self.machine.tables
        found = {(int(deal["source"]), bytes(deal["code"])): deal for deal in tables.array["deal"] if deal["state"]}
        assert set(found) == set(self.slow.deals.known)
        for name, deal in self.slow.deals.known.items():
            recalled = {date: quantity for date, quantity in deal.recalled.items() if quantity}
            assert found[name]["state"] == DealState[deal.state.upper()]
            assert found[name]["quantity"] == deal.quantity
            assert (found[name]["recalled"], found[name]["due_date"]) == (
                sum(recalled.values()),
                min(recalled, default=-1),
            )

    @invariant()
    def the_counts_are_equal(self) -> None:
        tables, slow = self.machine.tables, self.slow
        counted = [tables.count(word) for word in (Word.DUPLICATES, Word.MISSING, Word.REJECTED, Word.CORRECTED)]
        assert counted == [slow.duplicates, slow.missing, slow.rejected, slow.corrected]
        for source in (1, 2):
            gaps = [seq for first, last in self.machine.gaps(source) for seq in range(first, last + 1)]
            assert gaps == slow.gaps(source)
            assert tables.array["missing"][source] == len(gaps)
            assert tables.array["newest"][source] == slow.newest[source]

    def teardown(self) -> None:
        self.machine.close()


TestDesk = Desk.TestCase
TestDesk.settings = settings(max_examples=80, stateful_step_count=15, deadline=None)


@given(st.lists(event, min_size=1, max_size=40))
@settings(deadline=None)
def test_how_events_are_cut_into_batches_changes_nothing(rows: list[dict[str, Any]]) -> None:
    whole, cut = Desk(), Desk()
    try:
        batch = events_of(rows, TODAY)
        for desk in (whole, cut):
            desk.known()
        whole.machine.apply(batch)
        heads = [*np.flatnonzero(batch["flags"] & Flag.PART == 0).tolist(), len(batch)]
        for first, last in itertools.pairwise(heads):
            cut.machine.apply(batch[first:last])
        for name in ("terms", "values", "price", "updated_ns"):
            assert np.array_equal(whole.machine.tables.array[name], cut.machine.tables.array[name])
        assert (whole.machine.tables.array["position"] == cut.machine.tables.array["position"]).all()
        assert EVENT.itemsize == 64
    finally:
        whole.teardown()
        cut.teardown()
