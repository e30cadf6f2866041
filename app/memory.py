"""What a process does with memory that it has given back."""

import contextlib
import ctypes
from typing import Final

_MMAP_THRESHOLD: Final = -3
_TRIM_THRESHOLD: Final = -1
"""Parameters of glibc's mallopt."""
_LARGEST_BYTES: Final = 32 << 20
_KEPT_BYTES: Final = 256 << 20


def keep_freed_memory() -> None:
    """A poll, or a batch, takes tens of megabytes and gives them back: with glibc, keep them, or each pays for pages anew."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)
        library.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
