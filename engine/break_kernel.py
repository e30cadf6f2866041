"""Rows held against themselves and against what custodians state of them, security by security: compiled leaves."""

from typing import Any, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.model import BUCKETS, STOCK, Kind
from engine.prefetch import prefetch
from engine.row import BUY, DELIVER, KEY, LINKS, RECEIPT, SD, SELL, SHORT, TD

_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_LOW: Final = np.int64(0xFFFFFFFF)
_MOST_DEPOTS: Final = 64
"""Of one security; the rows of further ones are not held against statements, and counted."""
_DEPOT, _FIRM = Kind.DEPOT.value, Kind.FIRM.value
_SEGREGATED, _FREE = Kind.CLIENT_SEGREGATED.value, Kind.CLIENT_FREE.value
SIGNS: Final = np.array(STOCK, np.int64)
# what is found, one line each
TD_SD: Final = 0
DEPOT: Final = 1
FRONT_BACK: Final = 2
STATED: Final = 3
"""Not a break: a counterparty's statement, to be held against contracts."""
FOUND_WORDS: Final = 5
"""What, security, row (of TD_SD, FRONT_BACK and STATED) or depot, ours, theirs."""


@nb.njit(inline="always", nogil=True)
def _write(found: NDArray[np.int64], at: int, what: int, security: int, where: Any, ours: Any, theirs: Any) -> None:
    found[at, 0], found[at, 1], found[at, 2], found[at, 3], found[at, 4] = what, security, where, ours, theirs


@nb.njit(**_JIT)
def examine(
    ids: NDArray[np.int32],
    first_in_security: NDArray[np.int32],
    position: NDArray[np.int64],
    market_of: NDArray[np.uint8],
    signs: NDArray[np.int64],
    closing: NDArray[np.int64],
    closed: NDArray[np.uint8],
    states: NDArray[np.uint8],
    holds: NDArray[np.uint8],
    found: NDArray[np.int64],
) -> tuple[int, int, int]:
    """Look at all rows of these securities.

    `position`: (rows, words); `closing`, `closed`: by row, the contractual quantity of the last close and whether there is one;
    `states`: by depot, 1 where its custodian states anything, written, too; `holds`: (books, markets), set to 1 where a book
    has something of ours or a client's; `found`: (most, FOUND_WORDS), filled. Returns how many of `ids` were looked at whole,
    how many lines there are, and how many rows lie in a depot beyond the sixty-fourth of their security.
    """
    depots = np.empty(_MOST_DEPOTS, np.int64)
    expected, stated = np.empty(_MOST_DEPOTS, np.int64), np.empty(_MOST_DEPOTS, np.int64)
    named = np.empty(_MOST_DEPOTS, np.uint8)
    written = beyond = 0
    for place in range(ids.shape[0]):
        security = ids[place]
        before, used, market = written, 0, market_of[security]
        at = np.int64(first_in_security[security])
        while at:
            row = at - 1
            at = position[row, LINKS] & _LOW
            # a chain goes all over the table: what comes next is on its way while this row is looked at
            prefetch(position, at - 1, 0)
            prefetch(position, at - 1, RECEIPT)
            prefetch(position, at - 1, DELIVER)
            if written + _MOST_DEPOTS + 3 > found.shape[0]:
                return place, before, beyond
            key = position[row, KEY]
            kind, depot, book = key & 0xFF, (key >> 8) & 0xFFFF, (key >> 24) & 0xFFFF
            td, sd = position[row, TD], position[row, SD]
            coming = np.int64(0)
            for bucket in range(BUCKETS):
                coming += position[row, RECEIPT + bucket] - position[row, DELIVER + bucket]
            if td != sd + coming:
                _write(found, written, TD_SD, security, row, td, sd + coming)
                written += 1
            if kind in (_FIRM, _SEGREGATED, _FREE):
                if td != 0 or sd != 0:
                    holds[book, market] = 1
                began = td - position[row, BUY] + position[row, SELL] + position[row, SHORT]
                if row < closed.shape[0] and closed[row] and began != closing[row]:
                    _write(found, written, FRONT_BACK, security, row, closing[row], began)
                    written += 1
            if kind == _DEPOT and depot == 0:
                _write(found, written, STATED, security, row, 0, sd)
                written += 1
                continue
            sign = signs[kind]
            if depot == 0 or (sign == 0 and kind != _DEPOT):
                continue
            which = 0
            while which < used and depots[which] != depot:
                which += 1
            if which == used:
                if used == _MOST_DEPOTS:
                    beyond += 1
                    continue
                depots[which], expected[which], stated[which], named[which] = depot, 0, 0, 0
                used += 1
            if kind == _DEPOT:
                stated[which] += sd
                named[which] = states[depot] = 1
            else:
                expected[which] += sign * sd
        for which in range(used):
            # what a custodian that states other things does not name, it does not have; but nobody states less than nothing
            silent = named[which] == 0
            if silent and (states[depots[which]] == 0 or expected[which] <= 0):
                continue
            if stated[which] != expected[which]:
                _write(found, written, DEPOT, security, depots[which], expected[which], stated[which])
                written += 1
    return ids.shape[0], written, beyond
