"""One security's details by its code, out of whatever engine is there at the moment."""

import threading
from collections.abc import Sequence

import numpy as np

from engine.views import Reader, SecurityDetail, Tables, Word, security_detail

EVENTS_SHOWN = 60


class Lookup:
    """Details for all sessions of a page process. Safe to use from several threads; one reads at a time."""

    def __init__(self, reader: Reader, reporting_currency: str = "", topics: Sequence[str] = ()) -> None:
        """`topics`: of feeds by their numbers."""
        self._reader = reader
        self.topics = tuple(topics)
        self.reporting_currency = reporting_currency
        self._ids: dict[tuple[str, str], int] = {}
        self._turn = threading.Lock()

    def detail(self, code: str) -> SecurityDetail:
        """Everything about a security as of now.

        Raises KeyError for an unknown code, `SegmentMissingError` without an engine, `TornReadError` from a busy one.
        """
        with self._turn:
            tables = self._reader.tables()
            return security_detail(tables, self._id(tables, code), events=EVENTS_SHOWN)

    def _id(self, tables: Tables, code: str) -> int:
        key = (tables.generation, code)
        if key not in self._ids:
            codes = tables.array["security"]["code"][: tables.count(Word.SECURITIES) + 1]
            found = np.flatnonzero(codes == code.encode()) if code else np.empty(0, np.int64)
            if not found.size:
                raise KeyError(f"no security has the code {code!r}")
            self._ids[key] = int(found[0])
        return self._ids[key]
