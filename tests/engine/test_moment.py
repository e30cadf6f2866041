"""A copy of the position table is of one moment, however the writer works while it is made."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine import views_kernel
from engine.model import Kind, Op
from engine.ring import Message
from engine.state import Machine
from engine.tables import Tables, TornReadError, Word
from engine.views import POSITION_COLUMNS, Inventory, Query
from tests.engine.machines import TODAY, events, machine, named, security_records
from tests.engine.plain_tables import NUMBERS, plain_rows

EVERYTHING = Query(tuple(column.name for column in POSITION_COLUMNS), table="positions")


def some(rng: np.random.Generator, first_seq: int) -> Any:
    """Trades, settlements, new rows, prices, and now and then a book that begins its day anew."""
    made: list[dict[str, Any]] = []
    for _ in range(20):
        op = rng.choice(
            [Op.BUY, Op.SELL, Op.SHORT_SELL, Op.SET, Op.SET_RESERVED, Op.PRICE, Op.RESET_BOOK],
            p=[0.3, 0.2, 0.1, 0.2, 0.1, 0.05, 0.05],
        )
        made.append(
            {
                "op": op,
                "quantity": int(rng.integers(1, 1_000)) if op != Op.RESET_BOOK else 0,
                "security": int(rng.integers(1, 9)),
                "book": int(rng.integers(1, 5)),
                "depot": int(rng.integers(0, 4)),
                "kind": rng.choice([Kind.FIRM, Kind.CLIENT_FREE, Kind.SLAB_LOAN]),
                "settle_date": TODAY + int(rng.integers(0, 9)) if op <= Op.SHORT_SELL else -1,
                "trade_date": TODAY,
                "time_ns": first_seq,
            }
        )
    return events(*made, first_seq=first_seq)


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], None]], None]:
    """Lets the writer work after each of the copy's passes over rows; it is told which pass that was."""

    def let(work: Callable[[int], None]) -> None:
        copy, passes = views_kernel.copy_rows, iter(range(10**9))

        def copied(*arguments: Any) -> None:
            copy(*arguments)
            work(next(passes))

        monkeypatch.setattr(views_kernel, "copy_rows", copied)

    return let


def cells(tables: Tables) -> list[list[Any]]:
    """The table as it is, in the plainest Python."""
    unknown = {column.name: column.unknown for column in POSITION_COLUMNS}
    return [[unknown[name] if row[name] is None else row[name] for name in NUMBERS] for row in plain_rows(tables)]


@pytest.mark.parametrize("seed", range(4))
def test_what_events_touch_meanwhile_is_copied_again(instance: str, meanwhile: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    with machine(instance) as made:
        made.apply(some(rng, 1))
        made.apply(some(rng, 101))
        meanwhile(lambda number: made.apply(some(rng, 1_001 + 100 * number)) if number < 5 else None)
        lines = Inventory(made.tables).lines(EVERYTHING, 0)
        assert lines.as_of_ns == made.tables.count(Word.LAST_EVENT_NS)
        assert lines.count == made.tables.count(Word.ROWS)
        assert np.array([lines.of(name) for name in NUMBERS]).T.tolist() == cells(made.tables)


def changes() -> list[Callable[[Machine], None]]:
    return [
        lambda made: made.roll(np.full(len(made.markets), TODAY + 1, np.int32)),
        lambda made: made.register(Message.SECURITIES, security_records(9)),
        lambda made: made.register(Message.BOOKS, named(made.tables.array["book"].dtype, "B", 6)),
        lambda made: made.publish(made.book),
    ]


@pytest.mark.parametrize("change", changes(), ids=["day", "securities", "books", "rules"])
def test_what_no_event_tells_makes_it_begin_again(
    instance: str, meanwhile: Any, change: Callable[[Machine], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.views._PATIENCE_S", 300.0)  # what is compiled for the first time is no busy writer
    rng = np.random.default_rng(7)
    with machine(instance) as made:
        made.apply(some(rng, 1))
        meanwhile(lambda number: change(made) if number == 0 else None)
        lines = Inventory(made.tables).lines(EVERYTHING, 0)
        assert np.array([lines.of(name) for name in NUMBERS]).T.tolist() == cells(made.tables)


def test_a_writer_that_never_rests_is_told(instance: str, meanwhile: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    with machine(instance) as made:
        made.apply(some(rng, 1))
        monkeypatch.setattr("engine.views._PATIENCE_S", 0.2)
        meanwhile(lambda number: made.apply(some(rng, 1_001 + 100 * number)))
        with pytest.raises(TornReadError, match="too busy"):
            Inventory(made.tables).lines(EVERYTHING, 0)
