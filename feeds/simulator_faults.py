"""What goes wrong on the way, at known counts: repeats, gaps, records that cannot be read, securities nobody knows.

A repeat is the same record once more, later in its partition. A gap leaves sequence numbers of a source out. What
cannot be read, and what names an unknown security, comes between the others and takes no number of a source that
counts: broken records are damaged copies, and unknown securities are sent by sources of their own. So each count
stands for itself.
"""

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from feeds.wire import Drafts, joined, taken


class Fault(IntEnum):
    """Values of `DRAFT.fault`."""

    NONE = 0
    DUPLICATE = 1
    UNREADABLE = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class FaultRates:
    """Faults per event sent, each at most 0.1; over any stretch their number is the rate's, to within one."""

    duplicates: float = 0.0
    gaps: float = 0.0
    unreadable: float = 0.0
    unknown: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) <= 0.1:  # noqa: PLR2004  the documented limit
                raise ValueError(f"fault rate {field.name} must be between 0 and 0.1")

    @classmethod
    def usual(cls) -> Self:
        """A bad but not an absurd day, so that a short run shows each fault."""
        return cls(duplicates=1e-3, gaps=2e-4, unreadable=4e-4, unknown=4e-4)

    def count(self, name: str, first: int, size: int) -> int:
        """Faults among the events `first` to `first + size`."""
        rate = float(getattr(self, name))
        return int((first + size) * rate) - int(first * rate)


@dataclass(slots=True)
class Expected:
    """What a feed that loses nothing must count of what was handed out."""

    events: int = 0
    """To be applied."""
    duplicates: int = 0
    missing: int = 0
    """Sequence numbers that were never sent."""
    unreadable: int = 0
    unknown: int = 0

    def add(self, drafts: Drafts) -> None:
        """Count these too."""
        counts = np.bincount(drafts["fault"], minlength=len(Fault))
        self.events += int(counts[Fault.NONE])
        self.duplicates += int(counts[Fault.DUPLICATE])
        self.unreadable += int(counts[Fault.UNREADABLE])
        self.unknown += int(counts[Fault.UNKNOWN])
        self.missing += int(drafts["skipped"].sum())


class Strayed:
    """What was sent and names a code that nobody knows, until that is explained: it is applied then."""

    def __init__(self, codes: NDArray[np.bytes_]) -> None:
        self._codes = codes
        self._waiting = np.empty((0, 3), np.int64)
        self._newest: dict[int, int] = {}

    def add(self, code: NDArray[Any], source: NDArray[Any], seq: NDArray[Any]) -> None:
        """These wait; `code`: index of the code that is not known."""
        self._waiting = np.concatenate([self._waiting, np.stack([code, source, seq], axis=1)])

    def explain(self, code: bytes) -> int:
        """The code is known from now on; returns how many were applied because of it."""
        known = self._codes[self._waiting[:, 0]] == code
        for _, source, seq in self._waiting[known].tolist():
            self._newest[source] = max(seq, self._newest.get(source, 0))
        self._waiting = self._waiting[~known]
        return int(known.sum())

    @property
    def missing(self) -> int:
        """Numbers that still wait, and lie before one that was applied."""
        return sum(seq < self._newest.get(source, 0) for _, source, seq in self._waiting.tolist())


MAX_SKIPPED: Final = 3
_LATER: Final = 500
"""A repeat comes at most so many events after the first."""


def skips(size: int, gaps: int, random: np.random.Generator) -> NDArray[np.uint16]:
    """How many numbers are left out before each of `size` events: `gaps` of them, one to three each."""
    skipped = np.zeros(size, np.uint16)
    skipped[random.choice(size, min(gaps, size), replace=False)] = random.integers(
        1, MAX_SKIPPED, min(gaps, size), endpoint=True
    )
    return skipped


def repeats(events: Drafts, count: int, random: np.random.Generator) -> tuple[Drafts, NDArray[np.float64]]:
    """`count` of the events once more, and where they go: behind the event of that number."""
    chosen = random.choice(events.size, min(count, events.size), replace=False)
    return _copies(events, chosen, Fault.DUPLICATE), _behind(chosen, events.size, random)


def broken(events: Drafts, count: int, random: np.random.Generator) -> tuple[Drafts, NDArray[np.float64]]:
    """`count` records that `damaged` will break, and where they go."""
    chosen = random.choice(events.size, min(count, events.size), replace=False)
    return _copies(events, chosen, Fault.UNREADABLE), chosen + np.float64(0.5)


def mixed(events: Drafts, *extras: tuple[Drafts, NDArray[np.float64]]) -> Drafts:
    """The events in their order, and the extras between them."""
    if not any(extra.size for extra, _ in extras):
        return events
    place = np.concatenate([np.arange(events.size, dtype=np.float64), *(where for _, where in extras)])
    return taken(joined([events, *(extra for extra, _ in extras)]), np.argsort(place, kind="stable"))


def damaged(record: bytes, number: int, *, form: bool = False) -> bytes:
    """A JSON event, or a record of another form, made unreadable in one of several ways by `number`."""
    damages = _ANYWHERE if form else _DAMAGES
    return damages[number % len(damages)](record)


def _copies(events: Drafts, chosen: NDArray[np.int64], fault: Fault) -> Drafts:
    made = taken(events, chosen)
    made["fault"], made["skipped"] = fault, 0
    return made


def _behind(chosen: NDArray[np.int64], size: int, random: np.random.Generator) -> NDArray[np.float64]:
    return np.asarray(np.minimum(chosen + random.integers(0, _LATER, chosen.size), size - 1) + 0.5)


_ANYWHERE: Final = (
    lambda record: record[: len(record) // 2],
    lambda record: b"\xff\xfe" + record,
    lambda record: record.replace(b'"seq":', b'"seq":-'),
    lambda record: record[:-1] + b',"colour":"red"}',
    lambda _: b"",
)
_DAMAGES: Final = (
    lambda record: record[: len(record) // 2],
    lambda record: record.replace(b'"qty":', b'"qty":true,"was":'),
    lambda record: record.replace(b'"seq":', b'"seq":"').replace(b',"ts"', b'","ts"'),
    lambda record: record.replace(b'"op":"', b'"op":"RE'),
    lambda record: b"\xff\xfe" + record,
    lambda record: record.replace(b',"flags":', b',"colour":"red","flags":'),
    lambda record: record.replace(b'"trade":', b'"trade":"2026-13-45","day":'),
    lambda _: b"",
)
