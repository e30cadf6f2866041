"""Opening one security: the detail adds up to the numbers on the screen, over a real machine."""

import datetime as dt
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import views_security
from engine.events import EventArray
from engine.model import DAYS, RATE_UNKNOWN, Decided, Kind, Op, SecurityFlag, Temperature
from engine.records import SECURITY
from engine.ring import Message
from engine.rule_model import Role, Scope
from engine.state import HISTORY_EVERY_NS, Machine
from engine.tables import HISTORY_SLOTS
from engine.views import Inventory, Query, security_detail
from engine.views_columns import playing
from tests.engine.machines import TODAY, events, machine, named

WRITTEN = [
    {"op": Op.SET, "kind": Kind.FIRM, "quantity": 10_000, "book": 1},
    {"op": Op.BUY, "kind": Kind.FIRM, "quantity": 500, "book": 1, "settle_date": TODAY + 2},
    {"op": Op.SELL, "kind": Kind.FIRM, "quantity": 200, "book": 1, "settle_date": TODAY + 9},
    {"op": Op.SET, "kind": Kind.SLAB_BORROW, "quantity": 4_000, "book": 2, "depot": 3},
    {"op": Op.SET, "kind": Kind.EXTERNAL_INDICATIVE, "quantity": 301, "book": 3},
    {"op": Op.SET, "kind": Kind.FIRM, "quantity": 77, "book": 1, "security": 3},
    {"op": Op.PRICE, "quantity": 12_340_000, "book": 0},
]


@pytest.fixture
def made(instance: str) -> Iterator[Machine]:
    with machine(instance) as running:
        yield running


def test_the_rows_of_a_security_are_all_its_rows_with_their_ladder(made: Machine) -> None:
    made.apply(events(*WRITTEN))
    detail = security_detail(made.tables, 2)
    rows = detail.rows
    assert rows.book == ("B3", "B2", "B1")
    assert rows.kind == ("EXTERNAL_INDICATIVE", "SLAB_BORROW", "FIRM")
    assert rows.depot == ("", "D3", "")
    assert rows.record["td"].tolist() == [301, 4_000, 10_300]
    assert rows.record["sd"].tolist() == [301, 4_000, 10_000]
    assert rows.projected[2].tolist() == [10_000, 10_000, 10_500, 10_500, 10_500]
    assert detail.receipts.tolist() == [0, 0, 500, 0, 0, 0]
    assert detail.deliveries.tolist() == [0, 0, 0, 0, 0, 200]


def test_a_detail_explains_its_own_numbers_on_every_day(made: Machine) -> None:
    made.apply(events(*WRITTEN))
    for security in (2, 3):
        detail = security_detail(made.tables, security)
        names = [info.name for info in detail.catalogue.calculations if info.scope == Scope.SECURITY]
        for name, day in itertools.product(names, range(DAYS)):
            told = detail.explain(detail.catalogue.calculation(name), day)
            assert told.evaluated() == told.value
    assert detail.value(Role.LEND, 0) == detail.explain(detail.catalogue.playing(Role.LEND), 0).value == 77


def test_the_documents_that_weigh_in_its_market_are_named(made: Machine) -> None:
    in_tw, elsewhere = security_detail(made.tables, 3), security_detail(made.tables, 2)
    assert (in_tw.market.code, in_tw.rules) == ("TW", "default v1, tw v1")
    assert elsewhere.rules == "default v1"


def test_reference_data_is_readable_and_unknown_rates_are_none(made: Machine) -> None:
    record = named(SECURITY, "S", 1)
    record["name"], record["isin"], record["temperature"] = "Ärzte AG".encode(), b"DE0001234567", Temperature.HTB
    record["flags"], record["fee"], record["rebate"] = SecurityFlag.AT_LEAST, RATE_UNKNOWN, -12_500
    made.register(Message.SECURITIES, record)
    made.apply(events({"op": Op.PRICE, "quantity": 12_340_000, "security": 1, "book": 0}))
    detail = security_detail(made.tables, 1)
    assert (detail.text["name"], detail.text["isin"], detail.temperature) == ("Ärzte AG", "DE0001234567", "HTB")
    assert (detail.at_least, detail.fee_percent, detail.rebate_percent, detail.price) == (True, None, -1.25, 12.34)
    assert security_detail(made.tables, 2).price is None


def test_the_days_of_the_ladder_are_business_days(made: Machine) -> None:
    days = made.tables.array["business_day"]
    days[0, 100:] = [*([0] + [1] * 3 + [2, 3, 4]), *range(5, 5 + days.shape[1] - 107)]  # day 1 and 2 are a weekend
    epoch = dt.date(1970, 1, 1)
    expected = tuple(epoch + dt.timedelta(days=TODAY + n) for n in (0, 3, 4, 5, 6))
    assert security_detail(made.tables, 2).days == expected


def test_history_is_told_from_the_oldest_kept_sample_to_the_newest(made: Machine) -> None:
    samples = HISTORY_SLOTS + 5
    for sample in range(1, samples + 1):
        made.apply(events({"quantity": sample}, first_seq=sample))
        made.tick(sample * HISTORY_EVERY_NS)
    history = security_detail(made.tables, 2).history
    assert history.lend.tolist() == list(range(6, samples + 1))
    assert history.left.tolist() == history.pool.tolist() == history.lend.tolist()
    assert history.time_ns.tolist() == [n * HISTORY_EVERY_NS for n in range(6, samples + 1)]


def test_recent_events_are_the_newest_first_and_readable(made: Machine) -> None:
    made.apply(events(*WRITTEN))
    told = security_detail(made.tables, 2, events=2).events
    assert [(event.op, event.quantity, event.seq) for event in told] == [("PRICE", 12_340_000, 7), ("SET", 301, 5)]
    assert told[1].source == "s1"
    assert (told[1].book, told[1].depot, told[1].kind) == ("B3", "", "EXTERNAL_INDICATIVE")
    assert told[1].trade_date == dt.date(1970, 1, 1) + dt.timedelta(days=TODAY)
    assert told[0].settle_date is None
    assert len(security_detail(made.tables, 2).events) == 6


def test_an_event_that_was_refused_or_came_twice_made_no_number_and_is_not_shown(made: Machine) -> None:
    batch = events({"quantity": 3}, {"op": 99, "kind": 88, "book": 60_000, "quantity": 1})
    made.apply(batch)
    made.apply(batch)
    assert [event.seq for event in security_detail(made.tables, 2).events] == [1]


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8), limit=st.integers(1, 30))
def test_recent_events_survive_the_turn_of_the_ring(sizes: list[int], limit: int) -> None:
    ring, margin = 64, 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.tables.RECENT_EVENTS", ring)
        patch.setattr("engine.tally.RECENT_EVENTS", ring)
        patch.setattr(views_security, "_CHUNK", 7)
        patch.setattr(views_security, "_BEING_WRITTEN", margin)
        numbers = itertools.count(1)
        with machine(f"test-recent-{id(sizes)}") as made:
            for size in sizes:
                made.apply(_batch([next(numbers) for _ in range(size)]))
            last = sum(sizes)
            told = [event.seq for event in security_detail(made.tables, 2, events=limit).events]
    kept = [n for n in range(last, 0, -1) if _security(n) == 2][:limit]
    assert told == [n for n in kept if n > last - ring + margin]


def _security(number: int) -> int:
    return 2 if number % 3 else 3


def _batch(numbers: list[int]) -> EventArray:
    return events(*({"quantity": n, "security": _security(n)} for n in numbers), first_seq=numbers[0])


@pytest.mark.parametrize("security", [0, 9, -1])
def test_a_security_that_does_not_exist_is_a_key_error(made: Machine, security: int) -> None:
    with pytest.raises(KeyError, match=f"no security has id {security}"):
        security_detail(made.tables, security)


def test_detail_and_grid_show_the_same_numbers(made: Machine) -> None:
    made.apply(events(*WRITTEN))
    made.set_decided(2, Decided.SHORT_LOCATES, 1_000)
    detail = security_detail(made.tables, 2)
    day = detail.market.settle_days
    roles = {Role.POOL_SHORT: day, Role.LEFT_SHORT: day, Role.OVERBORROW: day, Role.UTILISATION: day}
    columns = {role: playing(detail.catalogue, role).name for role in roles}
    cells = Inventory(made.tables).lines(Query(tuple(columns.values())), 0)
    for role, name in columns.items():
        assert cells.of(name)[1] == detail.value(role, roles[role])
    assert detail.value(Role.POOL_SHORT, day) - detail.value(Role.LEFT_SHORT, day) == 1_000
