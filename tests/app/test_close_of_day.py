"""What was contractual when a business day began is kept: for the markets that it began in, and over a restart."""

from pathlib import Path

import numpy as np

from app.breaks.close_of_day import FILE, CloseOfDay
from engine.model import Kind, Op
from engine.tables import Word
from tests.engine.machines import TW, events, machine


def test_a_close_is_that_of_its_market_and_is_there_after_a_restart(instance: str, tmp_path: Path) -> None:
    with machine(instance) as made:
        made.apply(events({"quantity": 100}, {"security": 1, "quantity": 50}))  # security 1 is of TW
        close = CloseOfDay(made.tables, tmp_path)
        assert not close.turn()
        assert not close.any
        today = np.asarray(made.tables.array["today"]).copy()
        made.apply(events({"op": Op.BUY, "quantity": 7}, first_seq=10))
        today[TW] += 1
        made.roll(today)
        made.apply(events({"security": 1, "op": Op.BUY, "quantity": 5, "trade_date": int(today[TW]),
                           "settle_date": int(today[TW])}, first_seq=20))  # fmt: skip
        assert close.turn()
        assert close.known.tolist() == [0, 1]
        assert close.quantities.tolist() == [0, 50], "what was traded since is not of the close"
        again = CloseOfDay(made.tables, tmp_path)
        assert (again.known.tolist(), again.quantities.tolist()) == ([0, 1], [0, 50])
        made.roll(today + 1)
        assert not CloseOfDay(made.tables, tmp_path).any, "it is another day"
        (tmp_path / FILE).write_bytes(b"no longer what it was")
        assert not CloseOfDay(made.tables, tmp_path).any
        assert made.tables.count(Word.ROWS) == 2
        assert int(made.tables.array["position"]["key"][0]) & 0xFF == Kind.FIRM
