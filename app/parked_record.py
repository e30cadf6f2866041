"""What a record that could not be used is about: the codes it names, the book, and how many shares, read leniently."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from engine.model import SYMBOL_BYTES, Namespace, Op
from feeds.quarantine import Reason, Unreadable

_NAMES: Final = {
    "src": Namespace.SOURCE,
    "sec": Namespace.SECURITY,
    "book": Namespace.BOOK,
    "depot": Namespace.DEPOT,
    "counterparty": Namespace.COUNTERPARTY,
    "unit": Namespace.UNIT,
    "ccy": Namespace.CURRENCY,
}
"""Key or column of the wire forms, and what it names."""
_NO_SHARES: Final = frozenset(
    name
    for op in (Op.PRICE, Op.CLOSE, Op.NAV, Op.INAV, Op.VOLATILITY, Op.SET_RATE, Op.RESET_BOOK)
    for name in (op.name, int(op))
)
_MOST_ROWS: Final = 1 << 16
MOST_SHARES: Final = 1 << 53
"""Of one record: what says more is no number of shares, and sums of them stay whole."""
_MOST_NUMBER: Final = 1 << 63
"""JSON has numbers that no source counts to, and no snapshot could hold."""
DEAL: Final = 255
"""What stands as the namespace of deals, which are no reference data: a step waits until its deal is opened."""
Wanted = tuple[int, str]
"""A namespace and a code in it."""
Numbered = tuple[str, int]
"""A source and one of its numbers."""


class Concerns(msgspec.Struct, array_like=True, frozen=True):
    """What a record names. `shares`: absolute, by security as it is written there."""

    wants: tuple[Wanted, ...] = ()
    shares: tuple[tuple[str, int], ...] = ()
    books: tuple[str, ...] = ()
    numbers: tuple[Numbered, ...] = ()
    """What it is known by, one of each of its rows."""
    corrects: Numbered | None = None
    """What a correction is about, where that waits: then it waits, too."""


def deal_of(source: str, code: str) -> Wanted:
    """The deal `code` of a source."""
    return DEAL, f"{source} {code}"


def sort_of(namespace: int) -> str:
    """What a namespace holds, as people call it."""
    return "deal" if namespace == DEAL else Namespace(namespace).name.lower()


def encoding_of(raw: bytes) -> bytes:
    """The `enc` header that a record came with: JSON begins with a brace, or white space before one."""
    return b"json" if raw[:64].lstrip()[:1] in (b"{", b"[", b"") else b"arrow"


def concerns(entry: Unreadable) -> Concerns:
    """Every code that the record names, known or not, and its shares; empty where nothing can be read of it."""
    try:
        rows = _json_rows(entry.raw) if encoding_of(entry.raw) == b"json" else _arrow_rows(entry.raw)
    except (ValueError, OSError, MemoryError, EOFError, RecursionError):  # pyarrow's and msgspec's are ValueErrors, too
        return Concerns()
    wants: dict[Wanted, None] = {}
    books: dict[str, None] = {}
    shares: dict[str, int] = {}
    numbers: dict[Numbered, None] = {}
    corrects: Numbered | None = None
    for row in rows:
        if entry.reason == Reason.UNKNOWN_DEAL:
            wants[deal_of(str(row.get("src")), str(row.get("id")))] = None
        for key, namespace in _NAMES.items():
            code = row.get(key)
            if isinstance(code, str) and code:
                wants[int(namespace), _told(code)] = None
        if (own := _number(row, "seq")) is not None:
            numbers[own] = None
        if entry.reason == Reason.UNKNOWN_ORIGINAL:
            corrects = _number(row, "corrects")
            continue  # the shares are those of what it is about
        book, security, quantity = row.get("book"), row.get("sec"), row.get("qty", row.get("sd"))
        if isinstance(book, str) and book:
            books[_told(book)] = None
        if isinstance(security, str) and isinstance(quantity, int) and row.get("op") not in _NO_SHARES:
            told = _told(security)
            shares[told] = min(shares.get(told, 0) + abs(quantity), MOST_SHARES)
    return Concerns(tuple(wants), tuple(shares.items()), tuple(books), tuple(numbers), corrects)


def _number(row: Mapping[str, Any], name: str) -> Numbered | None:
    source, number = row.get("src"), row.get(name)
    if isinstance(source, str) and isinstance(number, int) and 0 < number < _MOST_NUMBER:
        return _told(source), number
    return None


def _told(code: str) -> str:
    """What is longer than a code can be will never be known, and is told by its beginning: it may be a megabyte."""
    return code if len(code.encode()) <= SYMBOL_BYTES else f"{code[:SYMBOL_BYTES]}…"


def _json_rows(raw: bytes) -> list[Mapping[str, Any]]:
    value = msgspec.json.decode(raw)
    return [value] if isinstance(value, dict) else []


def _arrow_rows(raw: bytes) -> Iterable[Mapping[str, Any]]:
    import pyarrow as pa  # noqa: PLC0415  only for such records

    wanted = (*_NAMES, "qty", "op", "seq")
    with pa.ipc.open_stream(raw) as stream:
        batch = stream.read_next_batch()
    batch.validate(full=True)  # dictionary indices that lead nowhere would end the process
    rows: list[Mapping[str, Any]] = batch.select([n for n in batch.schema.names if n in wanted]).to_pylist()
    return rows[:_MOST_ROWS]
