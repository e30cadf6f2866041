"""Of a snapshot's stream only the rows of some securities: a security has a few of two million."""

from collections.abc import Sequence
from typing import Any, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine import snapshot_pack as pack
from engine.row import KEY, LINKS

_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_ROW, _HASH = pack._ROW, pack._ROW_HASH  # noqa: SLF001  the form of the stream is told there
_FLAG_AT, _KIND_AT, _MASK_AT, _PIECES = pack._FLAG_AT, pack._KIND_AT, pack._MASK_AT, pack.PIECES  # noqa: SLF001
_WORDS: Final = 24
_EVERY: Final = np.uint64((1 << _WORDS) - 1)
_LOW: Final = np.int64(0xFFFFFFFF)


class BrokenStreamError(ValueError):
    """A block that cannot be read."""


def chosen(
    blocks: Sequence[NDArray[np.uint64]], securities: NDArray[np.int64], most: int, seen_words: int, ledger_words: int
) -> tuple[int, NDArray[np.uint64]]:
    """How many rows these securities have, and a block of them, in which they are numbered from 1 in their order here.

    `most`: the highest id of a security; `seen_words`, `ledger_words`: of a source's memories. Raises `BrokenStreamError`.
    """
    number = np.zeros(most + 1, np.int64)
    number[securities] = np.arange(1, securities.size + 1)
    found = []
    for block in blocks:
        count, dates = _pick(block, number, seen_words // _PIECES, ledger_words // _PIECES, _nothing(0), _nothing(0))
        if count < 0:
            raise BrokenStreamError("a block of a snapshot cannot be read")
        rows, later = _nothing(count), _nothing(dates)
        _pick(block, number, seen_words // _PIECES, ledger_words // _PIECES, rows, later)
        found.append((rows, later))
    return _joined(found)


def _nothing(count: int) -> NDArray[np.int64]:
    return np.zeros((count, 1 + _WORDS), np.int64)


@nb.njit(**_JIT)
def _pick(
    block: NDArray[np.uint64],
    number: NDArray[np.int64],
    seen: int,
    ledger: int,
    rows: NDArray[np.int64],
    later: NDArray[np.int64],
) -> tuple[int, int]:
    """Rows (number, words) and their later dates (row, date, receipt, delivery) of a block, as far as there is room."""
    at, count, dates = 0, 0, 0
    words = np.zeros(_WORDS, np.int64)
    while at < block.shape[0]:
        head = block[at]
        kind, flag = head >> np.uint64(_KIND_AT), head >> np.uint64(_FLAG_AT) & np.uint64(15)
        at += 1
        if kind != _ROW:
            if kind > _ROW + 2:
                return -1, 0
            if not flag:
                at += seen if kind == _ROW + 1 else ledger
            continue
        mask = head >> np.uint64(_MASK_AT) & _EVERY
        for word in range(_WORDS):
            words[word] = 0
            if mask >> np.uint64(word) & np.uint64(1):
                words[word] = np.int64(block[at])
                at += 1
        more: Any = np.int64(0)  # a number of the same type whichever way it comes
        if flag:
            more = np.int64(block[at])
            at += 1
        security = words[KEY] >> 40
        if 0 < security < number.shape[0] and number[security] > 0:
            if count < rows.shape[0]:
                rows[count, 0] = np.int64(head & _HASH)
                rows[count, 1:] = words
                rows[count, 1 + KEY] = number[security] << 40 | words[KEY] & ((np.int64(1) << 40) - 1)
                for i in range(more):
                    later[dates + i, 0] = np.int64(head & _HASH)
                    for part in range(3):
                        later[dates + i, 1 + part] = np.int64(block[at + 3 * i + part])
            count += 1
            dates += more
        at += 3 * more
    return count, dates


def _joined(found: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> tuple[int, NDArray[np.uint64]]:
    """One block, with rows numbered from 0 in the order they had, and chained anew."""
    rows = np.concatenate([_nothing(0), *(of for of, _ in found)])
    later = np.concatenate([_nothing(0), *(of for _, of in found)])
    rows = rows[np.argsort(rows[:, 0])]
    dates: dict[int, list[list[int]]] = {}
    for row, *told in later[:, :4].tolist():
        dates.setdefault(row, []).append(told)
    in_security: dict[int, int] = {}
    in_book: dict[int, int] = {}
    made: list[NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
    for place, (row, *words) in enumerate(rows.tolist()):
        security, book = words[KEY] >> 40, words[KEY] >> 24 & 0xFFFF
        words[LINKS] = in_security.get(security, 0) | in_book.get(book, 0) << 32
        in_security[security] = in_book[book] = place + 1
        of = dates.get(row, [])
        head = place | int(_EVERY) << _MASK_AT | (1 if of else 0) << _FLAG_AT | _ROW << _KIND_AT
        tail = [len(of), *(number for told in of for number in told)] if of else []
        made.append(np.array([head], np.uint64))
        made.append(np.array([*words, *tail], np.int64).view(np.uint64))
    return len(rows), np.concatenate(made)
