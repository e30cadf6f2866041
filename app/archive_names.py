"""Which security a code or an identifier named, by what the archive knows of securities."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.model import Market

_COLUMNS: Final = ("code", "isin", "cusip", "sedol", "figi", "ticker", "market")


class NothingError(LookupError):
    """The archive has nothing of that time, or nothing by that name."""


class Names:
    """Securities as they were when the machine was last told of each."""

    def __init__(
        self, tables: Sequence[pa.Table], markets: Sequence[Market], known: NDArray[np.void] | None = None
    ) -> None:
        """`tables`: of the kind securities, in order; `known`: those of a snapshot before them, by id."""
        self._id: dict[str, int] = {}
        self._code: dict[int, str] = {}
        codes = [market.code for market in markets]
        if known is not None:
            self._know(range(1, len(known)), {name: _texts(known[name][1:]) for name in _COLUMNS}, codes)
        for table in tables:
            self._know(table["id"].to_pylist(), {name: table[name].to_pylist() for name in _COLUMNS}, codes)

    def _know(self, ids: Iterable[int], columns: dict[str, list[Any]], markets: Sequence[str]) -> None:
        for number, code, *identifiers, ticker, market in zip(ids, *columns.values(), strict=True):
            self._code[number] = code
            listed = f"{ticker}@{markets[market]}" if ticker else ""
            for text in (listed, *identifiers):
                self._id.setdefault(text, number) if text else None
            self._id[code] = number

    def find(self, text: str) -> int:
        """The id of a security by code, ISIN, CUSIP, SEDOL, FIGI or TICKER@MARKET. Raises `NothingError`."""
        if text not in self._id:
            raise NothingError(f"no security was known by {text!r} then")
        return self._id[text]

    def of(self, code: str) -> int:
        """The id of the security with this very code or identifier; 0 for none."""
        return self._id.get(code, 0)

    def code(self, number: int) -> str:
        return self._code[number]


def _texts(values: NDArray[Any]) -> list[Any]:
    """A field of records as a table's column would have it."""
    listed = values.tolist()
    return [value.decode("utf-8", "replace") for value in listed] if values.dtype.kind == "S" else listed
