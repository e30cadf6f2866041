"""What does not agree besides rows: feeds, sequences, messages, names nobody knows, sources that differ, limits."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from app import feed_rules, master_schema
from app.breaks import elsewhere
from app.breaks.elsewhere import MOST, CannotLookError, Kept, Overdrawn
from app.breaks.naming import Namer
from app.database import connect
from app.feed_rules import FeedState, HealthWord
from app.master_books import MasterBooks
from app.parked_record import concerns
from app.parking_store import Parked, ParkingStore
from app.quarantine_store import QuarantineStore
from engine.break_kinds import BreakKind
from engine.model import Op
from engine.ring import FeedWord
from engine.state import Machine
from feeds.master_cases import Case, CaseState
from feeds.master_records import FaultKind
from feeds.quarantine import Reason, Unreadable
from feeds.registry import FEEDS, feed_named
from tests.engine.machines import events, machine

RULES = feed_rules.shipped(tuple(feed.name for feed in FEEDS))
S = 10**9


@pytest.fixture
def made(instance: str) -> Iterator[Machine]:
    with machine(instance) as running:
        running.apply(events({"quantity": 100}))
        yield running


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    url = f"sqlite:///{tmp_path / 'master.db'}"
    opened = Kept(ParkingStore(tmp_path / "parked.db"), QuarantineStore(tmp_path / "quarantine.db"), MasterBooks(url))
    yield opened
    for store in (opened.parked, opened.quarantine, opened.master):
        store.close()


def test_a_feed_is_a_break_from_its_limit_on_and_the_same_one_until_the_next(made: Machine) -> None:
    number, words = feed_named("trades").index, made.tables.array["feed"]
    assert elsewhere.feeds(made.tables, RULES, 100 * S) == []
    words[number, HealthWord.STATE], words[number, FeedWord.ALIVE_NS] = FeedState.STALE, 80 * S
    (late,) = elsewhere.feeds(made.tables, RULES, 95 * S)
    (later,) = elsewhere.feeds(made.tables, RULES, 99 * S)
    assert (late.about.feed, late.quantity, late.lendable) == ("trades", 10, 100)
    assert late == later
    (much_later,) = elsewhere.feeds(made.tables, RULES, 101 * S)
    assert (much_later.key, much_later.quantity) == (late.key, 20)
    words[number, HealthWord.STATE] = FeedState.MISSING
    (missing,) = elsewhere.feeds(made.tables, RULES, 101 * S)
    assert "read by nobody" in missing.title


def test_a_source_that_left_numbers_out_is_named(made: Machine) -> None:
    made.tables.array["missing"][1] = 7
    (found,) = elsewhere.gaps(made.tables, Namer(made.tables))
    assert (found.kind, found.about.source, found.quantity) == (BreakKind.GAP, "s1", 7)


def test_messages_of_a_topic_that_cannot_be_read_for_one_reason_are_one_break(kept: Kept) -> None:
    kept.quarantine.add([Unreadable("ims.trades", 0, at, Reason.MALFORMED, "no JSON", b"x%d" % at) for at in range(3)])
    kept.quarantine.add([Unreadable("ims.trades", 0, 9, Reason.INVALID, "qty", b"{}")])
    found = {one.about.reason: one.quantity for one in elsewhere.messages(kept)}
    assert found == {"malformed": 3, "invalid_field": 1}


def parked(number: int, **named: object) -> Parked:
    record = {"src": "s1", "seq": number, "op": Op.BUY.name, "sec": "S1", "book": "B1", "qty": 10} | named
    raw = msgspec.json.encode(record)
    entry = Unreadable("ims.trades", 0, number, Reason.UNKNOWN_BOOK, "", raw)
    return Parked(number, number, entry, concerns(entry), 1)


def test_many_records_of_one_unknown_book_hide_no_other(made: Machine, kept: Kept) -> None:
    kept.parked.change((), [parked(number, book="OLD") for number in range(1, MOST + 2)])
    kept.parked.change((), [parked(MOST + 2, book="NEW"), parked(MOST + 3, sec="S99")])
    found = {one.key: one.quantity for one in elsewhere.waiting(kept, made.tables)}
    assert found == {"party:OLD/": MOST + 1, "party:NEW/": 1, "reference:security/S99": 1}


def test_what_records_wait_for_is_told_once_and_books_apart(made: Machine, kept: Kept) -> None:
    kept.parked.change((), [parked(1, book="NEW"), parked(2, book="NEW"), parked(3, sec="S99")])
    found = {one.key: one for one in elsewhere.waiting(kept, made.tables)}
    assert set(found) == {"party:NEW/", "reference:security/S99"}
    book = found["party:NEW/"]
    assert (book.kind, book.quantity, book.sellable, book.about.book) == (BreakKind.PARTY, 2, 20, "NEW")
    assert found["reference:security/S99"].kind == BreakKind.REFERENCE


def test_sources_that_differ_are_a_break_until_a_person_has_decided(made: Machine, kept: Kept, tmp_path: Path) -> None:
    values = (("US0378331005", ("one",)), ("US5949181045", ("two",)))
    case = Case("c1", FaultKind.CONFLICT, "S2", "ISIN", values, "ISIN differs", CaseState.OPEN, 1, 1)
    engine = connect(f"sqlite:///{tmp_path / 'master.db'}")
    with engine.begin() as connection:
        row = {"id": "c1", "state": case.state, "security": "S2", "changed_ns": 1}
        row |= {"document": msgspec.json.encode(case).decode(), "kind": case.kind}
        connection.execute(sa.insert(master_schema.CASES), row)
    engine.dispose()
    (found,) = elsewhere.conflicts(kept, made.tables, Namer(made.tables))
    assert (found.kind, found.about.security, found.about.number, found.quantity) == (
        BreakKind.IDENTIFIER, "S2", "ISIN", 2
    )  # fmt: skip
    assert found.lendable == 100, "nobody can ask for it by that name"


def test_an_overdrawn_limit_is_told_with_whose_it_is(made: Machine) -> None:
    told = [Overdrawn(scope="au", owner="AU1", security="S2", side="short", left=-30)]
    (found,) = elsewhere.overdrawn(told, made.tables, Namer(made.tables))
    assert (found.about.aggregation_unit, found.about.number, found.ours, found.quantity) == (
        "AU1",
        "au_short",
        -30,
        -30,
    )
    assert found.sellable == 30


def test_where_a_store_cannot_be_read_nothing_is_taken_for_solved(kept: Kept, tmp_path: Path) -> None:
    kept.quarantine.close()
    (tmp_path / "quarantine.db").write_bytes(b"no database, and long enough to be seen as none " * 20)
    for beside in tmp_path.glob("quarantine.db-*"):
        beside.unlink()
    with pytest.raises(CannotLookError, match="quarantine"):
        elsewhere.messages(kept)
    failed: dict[str, str] = {}
    assert elsewhere.tried(lambda: elsewhere.messages(kept), failed, "quarantine") is None
    assert "quarantine" in failed
