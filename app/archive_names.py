"""Which security a code or an identifier named, by what the archive knows of securities."""

from collections.abc import Sequence

import pyarrow as pa

from engine.model import Market


class NothingError(LookupError):
    """The archive has nothing of that time, or nothing by that name."""


class Names:
    """Securities as they were when the machine was last told of each."""

    def __init__(self, tables: Sequence[pa.Table], markets: Sequence[Market]) -> None:
        """`tables`: of the kind securities, in order."""
        self._id: dict[str, int] = {}
        self._code: dict[int, str] = {}
        codes = [market.code for market in markets]
        columns = ("id", "code", "isin", "cusip", "sedol", "figi", "ticker", "market")
        for table in tables:
            for number, code, *identifiers, ticker, market in zip(
                *(table[name].to_pylist() for name in columns), strict=True
            ):
                self._code[number] = code
                listed = f"{ticker}@{codes[market]}" if ticker else ""
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
