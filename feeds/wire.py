"""Events as a producer makes them -> records of the topic: canonical JSON, or Arrow batches.

A draft names its source, security, book and depot by index into a `Vocabulary`; -1 is the empty code. The wire format
is that of feeds/json_events.py and feeds/arrow_events.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec
import numba as nb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.model import NO_DATE, Kind, Op

DRAFT: Final = np.dtype(
    [
        ("seq", "<i8"),
        ("time_ns", "<i8"),
        ("quantity", "<i8"),
        ("ref", "<i8"),
        ("source", "<i4"),
        ("security", "<i4"),
        ("book", "<i4"),
        ("depot", "<i4"),
        ("trade_date", "<i4"),
        ("settle_date", "<i4"),
        ("rate", "<i4"),
        ("partition", "<u2"),
        ("skipped", "<u2"),
        ("op", "u1"),
        ("kind", "u1"),
        ("flags", "u1"),
        ("fault", "u1"),
        ("feed", "u1"),
        ("action", "u1"),
        ("spare", "<u2"),
    ]
)
"""`skipped`: sequence numbers of the source left out just before this event; `fault`: feeds.simulator_faults.Fault; `feed`: a
number of `feeds.simulator_routes`. `ref`: the number of the event that this one corrects, or, where `action` is one of
`engine.model.DealAction` + 1, of the deal it is a step of; `rate`: what the deal costs, in RATE_UNIT."""
CORRECTS: Final = 17
"""The `action` of a draft that corrects another one."""
Drafts = NDArray[np.void]
"""Shape (n,), dtype `DRAFT`, in the order of sending."""

_WORDS: Final = DRAFT.itemsize // 8


def taken(drafts: Drafts, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Drafts:
    """`drafts[chosen]`; as rows of words, because numpy copies records field by field."""
    return words_of(drafts)[chosen].view(DRAFT).reshape(-1)


def joined(parts: Sequence[Drafts]) -> Drafts:
    """The parts one after the other, copied as words too."""
    return np.concatenate([words_of(part) for part in parts]).view(DRAFT).reshape(-1)


def words_of(drafts: Drafts) -> NDArray[np.int64]:
    """The drafts as words, shape (n, DRAFT.itemsize // 8)."""
    return drafts.view(np.int64).reshape(-1, _WORDS)


_KEYS: Final = (
    b'{"src":', b',"seq":', b',"ts":', b',"op":', b',"sec":', b',"book":', b',"depot":', b',"kind":', b',"trade":',
    b',"settle":', b',"qty":', b',"flags":', b',"corrects":',
)  # fmt: skip
_SRC, _SEQ, _TS, _OP, _SEC, _BOOK, _DEPOT, _KIND, _TRADE, _SETTLE, _QTY, _FLAGS, _CORRECTS = range(len(_KEYS))
_LONGEST_NUMBERS: Final = 20 * 5 + 12 * 2 + 8
"""More than all numbers, dates and the end of a record take."""
_BLOCK: Final = 16_384
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}


class _Texts(NamedTuple):
    """Texts one after the other; text i is `bytes[start[i]:start[i + 1]]`."""

    bytes: NDArray[np.uint8]
    start: NDArray[np.int64]


def _texts(parts: Sequence[bytes]) -> _Texts:
    starts = np.cumsum([0, *map(len, parts)]).astype(np.int64)
    return _Texts(np.frombuffer(b"".join(parts), np.uint8), starts)


def _quoted(codes: Sequence[str]) -> _Texts:
    """The codes as JSON strings; the last one is the empty string, so that index -1 finds it."""
    return _texts([*map(msgspec.json.encode, codes), b'""'])


@dataclass(frozen=True)
class Vocabulary:
    """The codes that drafts name by index."""

    sources: tuple[str, ...]
    securities: tuple[str, ...]
    books: tuple[str, ...]
    depots: tuple[str, ...]
    json: tuple[_Texts, ...]
    """Keys, ops, kinds, sources, securities, books, depots."""
    longest: int
    """The most bytes that a JSON record can take."""

    @classmethod
    def of(
        cls, sources: Sequence[str], securities: Sequence[str], books: Sequence[str], depots: Sequence[str]
    ) -> "Vocabulary":
        codes = (tuple(sources), tuple(securities), tuple(books), tuple(depots))
        names = tuple(_texts([msgspec.json.encode(member.name) for member in enum]) for enum in (Op, Kind))
        json = (_texts(_KEYS), *names, *map(_quoted, codes))
        longest = int(json[0].start[-1]) + sum(int(np.diff(texts.start).max()) for texts in json[1:]) + _LONGEST_NUMBERS
        return cls(*codes, json, longest)

    @cached_property
    def arrow(self) -> tuple[pa.StringArray, ...]:
        """Sources, securities, books, depots, each with the empty code at its end."""
        return tuple(map(_strings, (self.sources, self.securities, self.books, self.depots)))


def json_records(drafts: Drafts, vocabulary: Vocabulary) -> list[bytes]:
    """One record per draft, canonical form."""
    records: list[bytes] = []
    room = np.empty(min(_BLOCK, max(1, drafts.size)) * vocabulary.longest, np.uint8)
    for first in range(0, drafts.size, _BLOCK):
        block = drafts[first : first + _BLOCK]
        ends = np.zeros(block.size + 1, np.int64)
        written = _format(block, *vocabulary.json, room, ends)
        joined = room[:written].tobytes()
        records.extend([joined[start:end] for start, end in pairwise(ends.tolist())])
    return records


def arrow_records(drafts: Drafts, vocabulary: Vocabulary, per_record: int) -> list[bytes]:
    """One IPC stream (schema and one batch) for every `per_record` drafts; the last one may hold fewer."""
    return [
        _arrow_record(drafts[first : first + per_record], vocabulary) for first in range(0, drafts.size, per_record)
    ]


_SCHEMA: Final = pa.schema(
    [
        ("src", pa.dictionary(pa.int32(), pa.string())),
        ("seq", pa.int64()),
        ("ts", pa.int64()),
        ("op", pa.uint8()),
        ("sec", pa.dictionary(pa.int32(), pa.string())),
        ("book", pa.dictionary(pa.int32(), pa.string())),
        ("depot", pa.dictionary(pa.int32(), pa.string())),
        ("kind", pa.uint8()),
        ("trade", pa.date32()),
        ("settle", pa.date32()),
        ("qty", pa.int64()),
        ("flags", pa.uint8()),
    ]
)

_CORRECTING: Final = _SCHEMA.append(pa.field("corrects", pa.int64()))
"""Where an event of the record corrects another one."""


def _arrow_record(drafts: Drafts, vocabulary: Vocabulary) -> bytes:
    sources, securities, books, depots = vocabulary.arrow
    columns = [
        _coded(drafts["source"], sources),
        _numbers(drafts["seq"], pa.int64()),
        _numbers(drafts["time_ns"], pa.int64()),
        _numbers(drafts["op"], pa.uint8()),
        _coded(drafts["security"], securities),
        _coded(drafts["book"], books),
        _coded(drafts["depot"], depots),
        _numbers(drafts["kind"], pa.uint8()),
        _dates(drafts["trade_date"]),
        _dates(drafts["settle_date"]),
        _numbers(drafts["quantity"], pa.int64()),
        _numbers(drafts["flags"], pa.uint8()),
    ]
    schema, corrects = _SCHEMA, drafts["action"] == CORRECTS
    if corrects.any():
        schema = _CORRECTING
        columns.append(_numbers(drafts["ref"], pa.int64(), np.packbits(corrects, bitorder="little")))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return bytes(sink.getvalue())


def _coded(indices: NDArray[np.int32], codes: pa.StringArray) -> pa.DictionaryArray:
    """The codes of `indices`; the dictionary has only those that occur, for it travels with every record."""
    used, dense = np.empty(indices.size, np.int32), np.empty(indices.size, np.int32)
    count = _densely(indices, np.zeros(len(codes), np.int32), used, dense)
    present = codes.take(_numbers(used[:count], pa.int32()))
    return pa.DictionaryArray.from_arrays(_numbers(dense, pa.int32()), present)


def _dates(days: NDArray[np.int32]) -> pa.Array:
    return _numbers(days, pa.date32(), np.packbits(days != NO_DATE, bitorder="little"))


def _strings(codes: Sequence[str]) -> pa.StringArray:
    raw = [code.encode() for code in codes]
    offsets = np.cumsum([0, *map(len, raw), 0]).astype(np.int32)
    return pa.StringArray.from_buffers(len(raw) + 1, pa.py_buffer(offsets), pa.py_buffer(b"".join(raw)))


def _numbers(column: NDArray[Any], kind: pa.DataType, known: NDArray[np.uint8] | None = None) -> pa.Array:
    """Over the column's own memory; pyarrow's `array` would import pandas to ask whether this is one of its own."""
    mask = None if known is None else pa.py_buffer(known)
    return pa.Array.from_buffers(kind, column.size, [mask, pa.py_buffer(np.ascontiguousarray(column))])


@nb.njit(**_JIT)
def _densely(indices: Any, number: NDArray[np.int32], used: NDArray[np.int32], dense: NDArray[np.int32]) -> int:
    """Number the different indices in order of appearance: `indices[i] == used[dense[i]]`; returns how many there are."""
    count = 0
    for i in range(indices.shape[0]):
        index = indices[i] if indices[i] >= 0 else number.shape[0] - 1
        if number[index] == 0:
            used[count] = index
            count += 1
            number[index] = count
        dense[i] = number[index] - 1
    return count


@nb.njit(**_JIT)
def _put(out: Any, at: int, texts: Any, index: int) -> int:
    """Copy a text; -1 is the last. Returns the position behind it, as all that follow do."""
    if index < 0:
        index = texts.start.shape[0] - 2
    for i in range(texts.start[index], texts.start[index + 1]):
        out[at] = texts.bytes[i]
        at += 1
    return at


@nb.njit(**_JIT)
def _put_number(out: Any, at: int, number: int) -> int:
    if number < 0:
        out[at] = 45
        at += 1
    rest = np.uint64(-number) if number < 0 else np.uint64(number)
    digits = 1
    scale = rest // np.uint64(10)
    while scale > 0:
        digits += 1
        scale //= np.uint64(10)
    for i in range(at + digits - 1, at - 1, -1):
        out[i] = 48 + rest % np.uint64(10)
        rest //= np.uint64(10)
    return at + digits


@nb.njit(**_JIT)
def _put_padded(out: Any, at: int, number: int, width: int) -> int:
    for i in range(at + width - 1, at - 1, -1):
        out[i] = 48 + number % 10
        number //= 10
    return at + width


@nb.njit(**_JIT)
def _put_date(out: Any, at: int, day: int) -> int:
    """A day number as an ISO date in quotes, or null. The year begins in March here, so a leap day is its last."""
    if day < 0:
        for i, letter in enumerate((110, 117, 108, 108)):
            out[at + i] = letter
        return at + 4
    shifted = np.int64(day) + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    next_year = month // 10
    out[at] = 34
    at = _put_padded(out, at + 1, year + era * 400 + next_year, 4)
    out[at] = 45
    at = _put_padded(out, at + 1, month + 3 - 12 * next_year, 2)
    out[at] = 45
    at = _put_padded(out, at + 1, of_year - (153 * month + 2) // 5 + 1, 2)
    out[at] = 34
    return at + 1


@nb.njit(**_JIT)
def _format(
    drafts: Any,
    keys: Any,
    ops: Any,
    kinds: Any,
    sources: Any,
    securities: Any,
    books: Any,
    depots: Any,
    out: NDArray[np.uint8],
    ends: NDArray[np.int64],
) -> int:
    """Write records one after the other; record i ends at `ends[i + 1]`. Returns the end of all."""
    at = 0
    for i in range(drafts.shape[0]):
        draft = drafts[i]
        at = _put(out, _put(out, at, keys, _SRC), sources, draft.source)
        at = _put_number(out, _put(out, at, keys, _SEQ), draft.seq)
        at = _put_number(out, _put(out, at, keys, _TS), draft.time_ns)
        at = _put(out, _put(out, at, keys, _OP), ops, np.int64(draft.op))
        at = _put(out, _put(out, at, keys, _SEC), securities, draft.security)
        at = _put(out, _put(out, at, keys, _BOOK), books, draft.book)
        at = _put(out, _put(out, at, keys, _DEPOT), depots, draft.depot)
        at = _put(out, _put(out, at, keys, _KIND), kinds, np.int64(draft.kind))
        at = _put_date(out, _put(out, at, keys, _TRADE), draft.trade_date)
        at = _put_date(out, _put(out, at, keys, _SETTLE), draft.settle_date)
        at = _put_number(out, _put(out, at, keys, _QTY), draft.quantity)
        at = _put_number(out, _put(out, at, keys, _FLAGS), np.int64(draft.flags))
        if draft.action == CORRECTS:
            at = _put_number(out, _put(out, at, keys, _CORRECTS), draft.ref)
        out[at] = 125
        at += 1
        ends[i + 1] = at
    return at
