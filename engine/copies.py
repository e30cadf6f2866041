"""Copies of batches of records. Numpy copies records field by field; words go at the speed of memory: twenty times as fast."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def words(records: NDArray[np.void]) -> NDArray[np.uint64]:
    """The same memory, shape (n, 64-bit words of a record), of contiguous records that consist of whole words."""
    return records.view("<u8").reshape(len(records), records.dtype.itemsize // 8)


def copied(records: NDArray[np.void]) -> NDArray[np.void]:
    """A copy of its own."""
    return _records(words(records).copy(), records.dtype)


def joined(parts: Sequence[NDArray[np.void]]) -> NDArray[np.void]:
    """One behind the other; of at least one part."""
    return parts[0] if len(parts) == 1 else _records(np.concatenate([words(part) for part in parts]), parts[0].dtype)


def chosen(records: NDArray[np.void], which: NDArray[np.bool_]) -> NDArray[np.void]:
    """Those that are marked."""
    return _records(words(records)[which], records.dtype)


def beginnings(records: NDArray[np.void], dtype: np.dtype[Any]) -> NDArray[np.void]:
    """The record of another kind that each of these begins with."""
    return _records(words(records)[:, : dtype.itemsize // 8].copy(), dtype)


def _records(of: NDArray[np.uint64], dtype: np.dtype[Any]) -> NDArray[np.void]:
    return of.reshape(-1).view(dtype)
