"""Which Kafka partition a key goes to, for many keys at once: what Kafka's own default partitioner says (murmur2)."""

from typing import Any, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_M: Final = np.uint32(0x5BD1E995)
_SEED: Final = np.uint32(0x9747B28C)


def partitions_of(keys: NDArray[np.bytes_], partitions: int) -> NDArray[np.uint16]:
    """Partition of every key, shape (n,). `keys`: ASCII or UTF-8 bytes, any width."""
    if partitions == 1:
        return np.zeros(keys.size, np.uint16)
    width = keys.dtype.itemsize
    text = np.ascontiguousarray(keys).view(np.uint8).reshape(-1, width)
    hashes = _murmur2(text, np.strings.str_len(keys).astype(np.int64))
    return np.asarray((hashes & np.uint32(0x7FFFFFFF)) % np.uint32(partitions)).astype(np.uint16)


@nb.njit(**_JIT)
def _murmur2(text: NDArray[np.uint8], lengths: NDArray[np.int64]) -> NDArray[np.uint32]:
    hashes = np.empty(lengths.size, np.uint32)
    for row in range(lengths.size):
        length = lengths[row]
        mixed = _SEED ^ np.uint32(length)
        words = length // 4
        for i in range(words):
            word = np.uint32(0)
            for j in range(3, -1, -1):
                word = np.uint32((word << np.uint32(8)) | np.uint32(text[row, 4 * i + j]))
            word = np.uint32(word * _M)
            word ^= word >> np.uint32(24)
            mixed = np.uint32(np.uint32(mixed * _M) ^ np.uint32(word * _M))
        rest = length - 4 * words
        for j in range(rest - 1, -1, -1):
            mixed ^= np.uint32(text[row, 4 * words + j]) << np.uint32(8 * j)
        if rest:
            mixed = np.uint32(mixed * _M)
        mixed ^= mixed >> np.uint32(13)
        mixed = np.uint32(mixed * _M)
        hashes[row] = mixed ^ (mixed >> np.uint32(15))
    return hashes
