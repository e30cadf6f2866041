"""Codes and identifiers -> ids: an open-addressing hash in shared memory, one writer, any number of readers.

A slot is four 64-bit words: the code in three (UTF-8, padded with zeros), then namespace << 32 | id, written last, which
publishes the slot. An entry may get another id, but is never removed.
"""

from typing import Any, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.model import SYMBOL_BYTES, Namespace

WORDS: Final = 4
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}


class SymbolsFullError(RuntimeError):
    """The table of codes has no room: start with a larger capacity."""


@nb.njit(**_JIT)
def slot_of(a: int, b: int, c: int, namespace: int, mask: int) -> np.int64:
    """Where the search for a code begins."""
    mixed = np.uint64(a) ^ (np.uint64(b) * np.uint64(0x9E3779B97F4A7C15)) ^ np.uint64(namespace)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= np.uint64(c) * np.uint64(0x94D049BB133111EB)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(mask))


@nb.njit(**_JIT)
def find(table: NDArray[np.uint64], a: int, b: int, c: int, namespace: int) -> np.int64:
    """The id of a code given as three words; 0 where it is unknown. `table`: shape (2**k, 4)."""
    mask = np.int64(table.shape[0] - 1)
    at = slot_of(a, b, c, namespace, mask)
    while True:
        tag = table[at, 3]
        if tag == 0:
            return np.int64(0)
        if table[at, 0] == a and table[at, 1] == b and table[at, 2] == c and tag >> np.uint64(32) == namespace:
            return np.int64(tag & np.uint64(0xFFFFFFFF))
        at = (at + 1) & mask


@nb.njit(**_JIT)
def _insert(table: NDArray[np.uint64], words: NDArray[np.uint64], namespace: int, ids: NDArray[np.int64]) -> int:
    """Add or change codes; returns how many slots were newly taken."""
    mask = np.int64(table.shape[0] - 1)
    taken = 0
    for i in range(words.shape[0]):
        a, b, c = words[i, 0], words[i, 1], words[i, 2]
        at = slot_of(a, b, c, namespace, mask)
        while table[at, 3] != 0:
            same = table[at, 0] == a and table[at, 1] == b and table[at, 2] == c
            if same and table[at, 3] >> np.uint64(32) == namespace:
                break
            at = (at + 1) & mask
        taken += table[at, 3] == 0
        table[at, 0], table[at, 1], table[at, 2] = a, b, c
        table[at, 3] = (np.uint64(namespace) << np.uint64(32)) | np.uint64(ids[i])
    return taken


@nb.njit(**_JIT)
def _find_all(table: NDArray[np.uint64], words: NDArray[np.uint64], namespace: int) -> NDArray[np.int64]:
    ids = np.empty(words.shape[0], np.int64)
    for i in range(words.shape[0]):
        ids[i] = find(table, words[i, 0], words[i, 1], words[i, 2], np.uint64(namespace))
    return ids


@nb.njit(**_JIT)
def used_slots(table: NDArray[np.uint64], first: int, stop: int, out: NDArray[np.uint64]) -> int:
    """The used slots of the table of codes from `first`, shape (n, 4); returns how many there are."""
    count = 0
    for slot in range(first, stop):
        if table[slot, 3] != 0:
            out[count] = table[slot]
            count += 1
    return count


@nb.njit(**_JIT)
def put_slots(table: NDArray[np.uint64], slots: NDArray[np.uint64]) -> None:
    """Slots that `used_slots` gave, into a table of codes that knows none of them."""
    mask = np.int64(table.shape[0] - 1)
    for i in range(slots.shape[0]):
        at = slot_of(slots[i, 0], slots[i, 1], slots[i, 2], slots[i, 3] >> np.uint64(32), mask)
        while table[at, 3] != 0:
            at = (at + 1) & mask
        table[at] = slots[i]


def words_of(codes: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    """Fixed-width codes (any S dtype up to 24 bytes) as an (n, 3) array of words."""
    return np.ascontiguousarray(codes.astype(f"S{SYMBOL_BYTES}")).view("<u8").reshape(-1, 3)


def slots_for(codes: int) -> int:
    """Slots that keep the table at most half full."""
    return 1 << max(10, (2 * codes - 1).bit_length())


class Symbols:
    """The table over its shared array."""

    def __init__(self, table: NDArray[np.uint64]) -> None:
        self.table = table
        self._taken = 0

    def restored(self) -> None:
        """The table was filled from outside."""
        self._taken = int(np.count_nonzero(self.table[:, 3]))

    def put(self, namespace: Namespace, codes: NDArray[np.bytes_], ids: NDArray[np.int64]) -> None:
        """Name ids by codes; empty codes are passed over. Raises `SymbolsFullError` before the table overflows."""
        named = codes != b""
        codes, ids = codes[named], ids[named]
        if self._taken + codes.size > self.table.shape[0] * 3 // 4:
            raise SymbolsFullError(f"no room for {codes.size:,} more codes beside {self._taken:,}")
        self._taken += _insert(self.table, words_of(codes), int(namespace), ids.astype(np.int64))

    def find(self, namespace: Namespace, codes: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """Ids of codes, 0 where unknown. Shape of `codes`."""
        ids: NDArray[np.int64] = _find_all(self.table, words_of(codes), int(namespace))
        return ids

    def find_one(self, namespace: Namespace, code: str) -> int:
        """The id of one code; 0 where it is unknown or longer than a code can be."""
        raw = code.encode()
        if not 0 < len(raw) <= SYMBOL_BYTES:
            return 0
        return int(self.find(namespace, np.array([raw], f"S{SYMBOL_BYTES}"))[0])
