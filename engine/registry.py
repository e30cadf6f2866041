"""Reference data: records under ids, codes and identifiers that name them, and the facts of a security they give."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.model import HEAD_FACTS, RATE_UNKNOWN, SYMBOL_BYTES, Fact, Namespace, SecurityFlag
from engine.ring import BOOK_UNIT, Message
from engine.symbols import Symbols
from engine.tables import Tables, Word

_KNOWN: Final = {
    Message.SECURITIES: (Namespace.SECURITY, "security", Word.SECURITIES),
    Message.BOOKS: (Namespace.BOOK, "book", Word.BOOKS),
    Message.DEPOTS: (Namespace.DEPOT, "depot", Word.DEPOTS),
    Message.SOURCES: (Namespace.SOURCE, "source", Word.SOURCES),
    Message.CURRENCIES: (Namespace.CURRENCY, "currency", Word.CURRENCIES),
    Message.COUNTERPARTIES: (Namespace.COUNTERPARTY, "counterparty", Word.COUNTERPARTIES),
    Message.UNITS: (Namespace.UNIT, "unit", Word.UNITS),
}


class CapacityError(RuntimeError):
    """A table is full; the message says which, and what to start with."""


class Registry:
    """Writes the reference tables. Call it inside `Tables.writing`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._symbols = Symbols(tables.array["symbols"])
        self._money: dict[bytes, tuple[int, int]] = {}
        self._unplaced: dict[tuple[bytes, int], bytes] = {}
        """By book and market the unit that was named before one of the two was known."""

    def place(self, kind: Message, records: NDArray[Any]) -> NDArray[np.int64]:
        """Write records under the ids of their codes, new codes under new ids, and return the ids. Raises `CapacityError`."""
        if kind == Message.BOOK_UNITS:
            return self._place_books(records)
        namespace, table, word = _KNOWN[kind]
        if kind == Message.CURRENCIES:
            records = self._completed(records)
        codes, first = np.unique(records["code"], return_index=True)
        ids = self._own_ids(codes) if kind == Message.SECURITIES else self._symbols.find(namespace, codes)
        fresh = np.flatnonzero(ids == 0)
        fresh = fresh[np.argsort(first[fresh])]  # ids in the order of arrival
        used, array = self._tables.count(word), self._tables.array[table]
        if used + fresh.size >= array.size:
            plural = word.name.lower()
            raise CapacityError(
                f"{plural}: room for {array.size - 1:,}, {used + fresh.size:,} needed; start with --capacity-{plural} N"
            )
        ids[fresh] = used + 1 + np.arange(fresh.size)
        placed: NDArray[np.int64] = ids[np.searchsorted(codes, records["code"])]
        array[placed] = records
        self._tables.state[word] = used + fresh.size
        self._symbols.put(namespace, codes, ids)
        if kind == Message.SECURITIES:
            self._name(records, placed)
            self._know(np.unique(placed))
        elif kind in (Message.BOOKS, Message.UNITS) and self._unplaced:
            self._place_books(np.empty(0, BOOK_UNIT))
        return placed

    def name(self, names: NDArray[Any]) -> None:
        """Let texts lead to the securities of these own codes (dtype `NAME`), to nobody where there is no code."""
        owners = self._own_ids(names["code"])
        known = (owners != 0) | (names["code"] == b"")
        self._symbols.put(Namespace.SECURITY, names["text"][known], owners[known])

    def _own_ids(self, codes: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """Ids of the securities whose own codes these are, also where a code leads to another one; 0 for none."""
        table = self._tables.array["security"]["code"]
        ids = self._symbols.find(Namespace.SECURITY, codes)
        for at in np.flatnonzero(table[ids] != codes).tolist():
            found = np.flatnonzero(table[: self._tables.count(Word.SECURITIES) + 1] == codes[at])
            ids[at] = found[0] if codes[at] and found.size else 0
        return ids

    def in_currencies(self, records: NDArray[Any]) -> NDArray[np.int32]:
        """Carry what these currencies say to the securities in them, and return those."""
        records = self._tables.array["currency"][np.unique(self._symbols.find(Namespace.CURRENCY, records["code"]))]
        self._money |= {record["code"]: (int(record["day_count"]), int(record["fx"])) for record in records}
        count = self._tables.count(Word.SECURITIES) + 1
        concerned = np.isin(self._tables.array["security"]["currency"][:count], records["code"])
        ids = np.flatnonzero(concerned).astype(np.int32)
        self._know(ids)
        return ids

    def unplaced(self) -> NDArray[np.void]:
        """Which unit a book has in a market, of books and units that are not known yet (dtype `BOOK_UNIT`)."""
        waiting = [(book, unit, market) for (book, market), unit in self._unplaced.items()]
        return np.array(waiting, BOOK_UNIT)

    def restored(self, unplaced: NDArray[np.void]) -> None:
        """The tables were filled from outside; `unplaced`: what waited then."""
        self._unplaced = {(row["book"], int(row["market"])): row["unit"] for row in unplaced}
        self._symbols.restored()
        records = self._tables.array["currency"][1 : self._tables.count(Word.CURRENCIES) + 1]
        self._money = {record["code"]: (int(record["day_count"]), int(record["fx"])) for record in records}

    def _completed(self, records: NDArray[Any]) -> NDArray[Any]:
        """What a currency's record leaves open (0) stays as it was: 0, unknown, where nobody has said."""
        known = self._tables.array["currency"][self._symbols.find(Namespace.CURRENCY, records["code"])]
        completed = records.copy()
        for name in ("day_count", "fx"):
            completed[name] = np.where(records[name] == 0, known[name], records[name])
        return completed

    def _place_books(self, records: NDArray[Any]) -> NDArray[np.int64]:
        """Which unit a book has in a market; what names a book or unit that is not known yet waits. Returns the books."""
        self._unplaced |= {(row["book"], int(row["market"])): row["unit"] for row in records}
        waiting = list(self._unplaced.items())
        books = self._symbols.find(Namespace.BOOK, np.array([book for (book, _), _ in waiting], f"S{SYMBOL_BYTES}"))
        units = self._symbols.find(Namespace.UNIT, np.array([unit for _, unit in waiting], f"S{SYMBOL_BYTES}"))
        for (key, _), book, unit in zip(waiting, books, units, strict=True):
            if book and unit:
                self._tables.array["book_unit"][book, key[1]] = unit
                del self._unplaced[key]
        placed: NDArray[np.int64] = books[(books != 0) & (units != 0)]
        return placed

    def _name(self, records: NDArray[Any], ids: NDArray[np.int64]) -> None:
        """Let identifiers lead to securities."""
        looked_up = (records["flags"] & SecurityFlag.MASKED_ISIN) == 0
        self._symbols.put(Namespace.SECURITY, records["isin"][looked_up], ids[looked_up])
        for identifier in ("cusip", "sedol", "figi"):
            self._symbols.put(Namespace.SECURITY, records[identifier], ids)
        markets = np.array([market.code.encode() for market in self._tables.markets])[records["market"]]
        listed = np.where(
            records["ticker"] == b"", b"", np.strings.add(np.strings.add(records["ticker"], b"@"), markets)
        )
        self._symbols.put(Namespace.SECURITY, listed, ids)

    def _know(self, ids: NDArray[Any]) -> None:
        """The facts that reference data gives."""
        records, head = self._tables.array["security"][ids], self._tables.array["head"]
        money = [self._money.get(code, (0, 0)) for code in records["currency"].tolist()]
        facts: dict[Fact, Any] = {
            Fact.FEE: np.where(records["fee"] == RATE_UNKNOWN, 0, records["fee"]),
            Fact.DAY_COUNT: [day_count for day_count, _ in money],
            Fact.FX: [fx for _, fx in money],
            Fact.VOLUME_30D: records["volume_30d"],
            Fact.OUTSTANDING: records["outstanding"],
        }
        for fact, numbers in facts.items():
            head[ids, HEAD_FACTS + fact] = numbers
