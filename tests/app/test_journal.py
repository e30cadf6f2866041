"""The journal keeps what it has confirmed, on SQLite and on PostgreSQL, and never half of it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from app.database import connect
from app.journal import Journal, JournalError
from app.journal_rows import Answer, Query
from app.journal_schema import HISTORY, IDEMPOTENCY, LOCATES
from engine.locate_desk import LocateDesk
from engine.locates import Change, Locate, LocateRequest, OnInsufficient, State
from engine.orders import Order, OrderChange, OrderRequest, OrderState, Side
from tests.app.journal_urls import STORES, journal_url
from tests.engine.locate_inventory import NOON_NS, PlainInventory, shipped_rules


def change_of(
    desk: LocateDesk, security: str = "X", client: str = "FUND1", quantity: int = 10, **fields: Any
) -> Change:
    request = LocateRequest(security=security, client=client, quantity=quantity, **fields)
    return desk.decide(request, NOON_NS + quantity, NOON_NS * 2)


def order_change(sequence: int) -> OrderChange:
    asked = OrderRequest(order="O1", security="X", client="FUND1", book="B1", side=Side.SHORT, quantity=sequence)
    order = Order(
        sequence=sequence, request=asked, asked_as="X", state=OrderState.APPROVED, reason=None, quantity=sequence,
        executed=0, client_limit=None, unit_limit=None, received_ns=NOON_NS, decided_ns=NOON_NS, updated_ns=NOON_NS,
        expires_ns=NOON_NS * 2, as_of_ns=NOON_NS,
    )  # fmt: skip
    return OrderChange(None, order)


@pytest.fixture
def desk() -> LocateDesk:
    inventory = PlainInventory()
    inventory.add("X", 1_000_000, market="JP")
    inventory.add("Y", 1_000_000, market="JP")
    return LocateDesk(inventory, shipped_rules())


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return journal_url(request.param, request, tmp_path)


@pytest.fixture
async def journal(url: str) -> AsyncIterator[Journal]:
    journal = Journal(url)
    yield journal
    journal.close()


async def reopened(journal: Journal, url: str) -> Journal:
    journal.close()
    return Journal(url)


async def test_what_was_confirmed_is_there_after_a_restart(journal: Journal, url: str, desk: LocateDesk) -> None:
    changes = [change_of(desk, quantity=n) for n in (5, 6, 7)]
    await asyncio.gather(*(journal.write([change]) for change in changes))
    released = desk_end(desk, changes[1])
    await journal.write([released])
    again = await reopened(journal, url)
    try:
        assert again.load_open() == ([changes[0].after, changes[2].after], 3)
        assert await again.get(2) == released.after
        assert await again.get(99) is None
        states = [(t.locate.state, t.evidence) for t in await again.history(2)]
        assert states == [(State.APPROVED, changes[1].evidence), (State.RELEASED, None)]
    finally:
        again.close()


def desk_end(desk: LocateDesk, change: Change) -> Change:
    desk.settle(change)
    return desk.release(change.after.sequence, NOON_NS + 99)


async def test_lists_are_filtered_newest_first_and_go_on_where_they_stopped(journal: Journal, desk: LocateDesk) -> None:
    await journal.write([change_of(desk, "XY"[n % 2], f"C{n % 3}", n + 1) for n in range(12)])

    async def numbers(**wanted: Any) -> list[int]:
        return [locate.sequence for locate in await journal.find(Query(**wanted))]

    assert await numbers() == list(range(12, 0, -1))
    assert await numbers(security="Y") == [12, 10, 8, 6, 4, 2]
    assert await numbers(client="C0", security="X") == [7, 1]
    assert await numbers(state=State.REJECTED) == []
    assert await numbers(limit=2, before=7) == [6, 5]
    assert await numbers(since_ns=NOON_NS + 3, until_ns=NOON_NS + 5) == [4, 3]


async def test_pending_requests_are_loaded_with_the_live_ones(journal: Journal) -> None:
    inventory = PlainInventory()
    inventory.add("X", 0)
    desk = LocateDesk(inventory, shipped_rules())
    waiting = change_of(desk, on_insufficient=OnInsufficient.PEND)
    await journal.write([waiting, change_of(desk)])
    assert journal.load_open() == ([waiting.after], 2)


async def test_the_answer_to_a_key_is_kept_byte_for_byte_until_it_is_forgotten(
    journal: Journal, desk: LocateDesk
) -> None:
    answer = Answer("api", "k1", "ab" * 32, 207, b'{"x":"\xc3\xa9"}', NOON_NS)
    await journal.write([change_of(desk)], answer)
    assert await journal.answer("api", "k1") == answer
    assert await journal.answer("other", "k1") is None
    await journal.forget_answers(NOON_NS)
    assert await journal.answer("api", "k1") == answer
    await journal.forget_answers(NOON_NS + 1)
    assert await journal.answer("api", "k1") is None


async def test_one_refused_request_does_not_take_its_neighbours_along(journal: Journal, desk: LocateDesk) -> None:
    good, twin, other = (change_of(desk, quantity=n) for n in (1, 2, 3))
    twin = Change(None, replace(twin.after, sequence=good.after.sequence), twin.evidence)
    outcomes = await asyncio.gather(*(journal.write([c]) for c in (good, twin, other)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), JournalError, type(None)]
    assert journal.load_open()[0] == [good.after, other.after]


async def test_history_can_only_grow(journal: Journal, url: str, desk: LocateDesk) -> None:
    await journal.write([change_of(desk)])
    engine = connect(url)
    for statement in (sa.update(HISTORY).values(state="rejected"), sa.delete(HISTORY)):
        with pytest.raises(sa.exc.DBAPIError, match="append only"), engine.begin() as connection:
            connection.execute(statement)
    engine.dispose()


async def test_a_commit_whose_outcome_is_unknown_is_taken_back_before_the_next(
    journal: Journal, url: str, desk: LocateDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server commits, but its answer is lost: nobody was granted anything, so nothing may remain."""
    held = change_of(desk, quantity=5)
    await journal.write([held])
    commit = journal._commit

    def lost(entries: Any) -> None:
        commit(entries)
        raise sa.exc.OperationalError("COMMIT", {}, OSError("connection reset"))

    monkeypatch.setattr(journal, "_commit", lost)
    granted, released = change_of(desk, quantity=6), desk_end(desk, held)
    answer = Answer("api", "k1", "ab" * 32, 200, b"{}", NOON_NS)
    with pytest.raises(JournalError, match="cannot be written"):
        await journal.write([granted, released], answer)
    monkeypatch.undo()
    later = change_of(desk, quantity=7)
    await journal.write([later])
    restored, last = journal.load_open()
    assert [(locate.sequence, locate.state, locate.decrement) for locate in restored] == [
        (1, State.APPROVED, 5),
        (3, State.APPROVED, 7),
    ]
    assert last == 3
    assert await journal.answer("api", "k1") is None
    assert [t.locate.state for t in await journal.history(2)] == [State.APPROVED, State.REVOKED]
    assert [t.locate.state for t in await journal.history(1)] == [State.APPROVED, State.RELEASED, State.APPROVED]


async def test_an_order_whose_commit_is_unknown_is_decided_anew_when_it_comes_again(
    journal: Journal, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = journal._commit

    def lost(entries: Any) -> None:
        commit(entries)
        raise sa.exc.OperationalError("COMMIT", {}, OSError("connection reset"))

    first = order_change(1)
    monkeypatch.setattr(journal, "_commit", lost)
    with pytest.raises(JournalError, match="cannot be written"):
        await journal.write([first], Answer("api", "k1", "ab" * 32, 200, b"{}", NOON_NS))
    with pytest.raises(JournalError, match="cannot be written"):
        await journal.answer("api", "k1")
    monkeypatch.undo()
    assert await journal.answer("api", "k1") is None
    assert await journal.order("O1") is None
    assert [order.state for order in await journal.order_history(1)] == [OrderState.APPROVED, OrderState.EXPIRED]
    journal.close()
    again = Journal(url)
    try:
        assert again.load_open_orders() == ([], 1), "its number is not used again"
        await again.write([order_change(2)])
        assert await again.order("O1") == order_change(2).after
    finally:
        again.close()


async def test_old_answers_that_cannot_be_dropped_undo_nothing(tmp_path: Path, desk: LocateDesk) -> None:
    """Another process has the database just when the decisions of the same turn are committed."""
    journal = Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    together, other = journal._together, sqlite3.connect(tmp_path / "journal.db", check_same_thread=False)
    sa.event.listen(journal._engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout = 50"))

    def then_locked(run: Any) -> None:
        together(run)
        other.execute("BEGIN IMMEDIATE")

    journal._together = then_locked  # type: ignore[method-assign]
    kept = change_of(desk, quantity=3)
    outcomes = await asyncio.gather(
        journal.write([kept], Answer("api", "k1", "ab" * 32, 200, b"{}", NOON_NS)),
        journal.forget_answers(NOON_NS - 1),
        return_exceptions=True,
    )
    other.close()
    assert [type(outcome) for outcome in outcomes] == [type(None), JournalError]
    assert await journal.answer("api", "k1") is not None
    assert journal.load_open() == ([kept.after], 1)
    journal.close()


async def test_a_commit_that_fails_is_told_to_everybody_and_the_next_succeeds(tmp_path: Path, desk: LocateDesk) -> None:
    journal = Journal(f"sqlite:///{tmp_path / 'journal.db'}")
    try:
        with sqlite3.connect(tmp_path / "journal.db") as other:
            other.execute("ALTER TABLE locate_history RENAME TO hidden")
        outcomes = await asyncio.gather(
            *(journal.write([change_of(desk, quantity=n)]) for n in (1, 2)), return_exceptions=True
        )
        assert {type(outcome) for outcome in outcomes} == {JournalError}
        with sqlite3.connect(tmp_path / "journal.db") as other:
            other.execute("ALTER TABLE hidden RENAME TO locate_history")
        kept = change_of(desk, quantity=3)
        await journal.write([kept])
        assert journal.load_open() == ([kept.after], 3)
    finally:
        journal.close()


async def test_many_writers_share_commits_and_all_are_kept(journal: Journal, url: str, desk: LocateDesk) -> None:
    changes = [change_of(desk, quantity=n + 1) for n in range(500)]
    await asyncio.gather(*(journal.write([change]) for change in changes))
    engine = connect(url)
    with engine.connect() as connection:
        counts = [
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (LOCATES, HISTORY, IDEMPOTENCY)
        ]
    engine.dispose()
    assert counts == [500, 500, 0]
    kept: list[Locate] = journal.load_open()[0]
    assert kept == [change.after for change in changes]


def test_the_sqlite_journal_is_durable_at_every_commit_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "inner" / "journal.db"
    journal = Journal(f"sqlite:///{path}")
    engine = connect(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    engine.dispose()
    journal.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_database_that_cannot_be_had_is_a_clear_error() -> None:
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
