"""Books that have traded today: their start of day has been, and a file with another one would undo what they did."""

from collections.abc import Iterable

import numpy as np

from engine.tables import Tables, Word

_BOOK_BITS = 0xFFFF


def traded(tables: Tables, books: Iterable[int]) -> tuple[str, ...]:
    """Codes of those of the books (ids) with trades of today, in order."""
    rows = tables.array["position"][: tables.count(Word.ROWS)]
    moved = (rows["intraday_buy"] != 0) | (rows["intraday_sell"] != 0) | (rows["intraday_short"] != 0)
    with_trades = np.unique((rows["key"][moved] >> np.uint64(24)) & np.uint64(_BOOK_BITS)).tolist()
    return codes(tables, set(with_trades) & set(books))


def codes(tables: Tables, books: Iterable[int]) -> tuple[str, ...]:
    """Codes of books by id, in order."""
    known = tables.array["book"]["code"]
    return tuple(sorted(known[book].decode() for book in books))
