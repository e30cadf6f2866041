"""Text columns as codes: every different text once, its place in the column's order, and which of them each member has.

A member is what a text belongs to: a security, a book, a depot. Rows of a table lead to members, so that a column of two
million rows is filtered, sorted and grouped by small numbers, and texts are looked at once each.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

_SPACE: Final = 0x20


@dataclass(frozen=True)
class Texts:
    """`labels`: the different texts, UTF-8; `ranks`: the place of each in the column's order, letter case ignored, -1 for no
    text; `codes`: by member the index of its label."""

    labels: NDArray[np.bytes_]
    ranks: NDArray[np.int64]
    codes: NDArray[np.int32]

    @classmethod
    def of(cls, texts: NDArray[np.bytes_]) -> "Texts":
        """A column of texts by member, ordered by their letters."""
        labels, codes = np.unique(texts, return_inverse=True)
        return cls(labels, letter_ranks(labels), codes.astype(np.int32))

    @classmethod
    def listed(cls, names: Sequence[str], codes: NDArray[np.integer], ranks: Sequence[int] = ()) -> "Texts":
        """A column whose texts are known beforehand, in the order of `ranks`, or of their letters."""
        labels = np.array([name.encode() for name in names])
        by = np.array(ranks, np.int64) if ranks else letter_ranks(labels)
        return cls(labels, by, codes.astype(np.int32))

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """The place of each label among all in the column's order: no two are equal, no text is last."""
        unknown = self.ranks < 0
        order = np.lexsort((self.labels, self.ranks, unknown))
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        return places

    def containing(self, text: str) -> NDArray[np.bool_]:
        """Labels with `text` in them, letter case ignored."""
        needle = text.casefold()
        return self._where(lambda label: needle in label.decode("utf-8", "replace").casefold())

    def among(self, texts: Collection[str]) -> NDArray[np.bool_]:
        """Labels that are one of `texts`."""
        wanted = {text.encode() for text in texts}
        return self._where(lambda label: label in wanted)

    def _where(self, passes: Callable[[bytes], bool]) -> NDArray[np.bool_]:
        return np.fromiter((passes(label) for label in self.labels.tolist()), np.bool_, len(self.labels))


def letter_ranks(labels: NDArray[np.bytes_]) -> NDArray[np.int64]:
    """The place of each text by its letters, case ignored: equal texts share one; -1 for no text."""
    folded = lower(labels)
    ranks: NDArray[np.int64] = np.unique(folded, return_inverse=True)[1].astype(np.int64)
    ranks[folded == b""] = -1
    return ranks


def lower(texts: NDArray[np.bytes_]) -> NDArray[np.bytes_]:
    """ASCII letters in lower case, all else as it is."""
    contiguous = np.ascontiguousarray(texts)
    characters = contiguous.view(np.uint8)
    capital = (characters >= ord("A")) & (characters <= ord("Z"))
    return (characters + capital * np.uint8(_SPACE)).view(contiguous.dtype)
