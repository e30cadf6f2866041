"""What could not be used, kept whole: a value like any other, so nothing is dropped silently and the feed goes on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.events import CORRECTION, DEAL_STEP, EVENT, EventArray
from engine.ring import Message


class Reason(StrEnum):
    """Why a record is in the quarantine; `detail` says it in words."""

    MALFORMED = "malformed"
    """Not JSON, not Arrow IPC, cut off, or empty."""
    INVALID = "invalid_field"
    """Readable, but a field is missing, unknown, of the wrong type or out of range."""
    ENCODING = "unknown_encoding"
    """The header `enc` names neither json nor arrow, or an encoding that this feed does not have."""
    TOO_LONG = "text_too_long"
    UNKNOWN_SECURITY = "unknown_security"
    UNKNOWN_BOOK = "unknown_book"
    UNKNOWN_DEPOT = "unknown_depot"
    UNKNOWN_SOURCE = "unknown_source"
    UNKNOWN_MARKET = "unknown_market"
    UNKNOWN_TEMPERATURE = "unknown_temperature"
    UNKNOWN_COUNTERPARTY = "unknown_counterparty"
    UNKNOWN_UNIT = "unknown_unit"
    UNKNOWN_CURRENCY = "unknown_currency"
    UNKNOWN_DEAL = "unknown_deal"
    """A return, a fill or another step of something that was never opened."""
    UNKNOWN_ORIGINAL = "unknown_original"
    """A correction of what nobody knows. Where that is a record that waits, it waits behind it."""
    TOO_OLD = "too_old"
    """A command that is older than answers are remembered."""
    LEAP = "leap"
    """A number too far beyond all that its source has counted to."""
    AVAILABILITY_LINE = "availability_line"
    """One line of an availability file."""
    AVAILABILITY_REFUSED = "availability_refused"
    """A whole availability file; the former snapshot stays."""


_EXPLICABLE: Final = frozenset(
    {
        Reason.UNKNOWN_SECURITY,
        Reason.UNKNOWN_BOOK,
        Reason.UNKNOWN_DEPOT,
        Reason.UNKNOWN_SOURCE,
        Reason.UNKNOWN_COUNTERPARTY,
        Reason.UNKNOWN_UNIT,
        Reason.UNKNOWN_CURRENCY,
        Reason.UNKNOWN_DEAL,
    }
)


class Unreadable(msgspec.Struct, array_like=True, frozen=True):
    """A record, or some events of a record, that could not be used. `raw` is what to repair and send again."""

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    raw: bytes
    events: int = 1
    """How many events it stands for: the rows of an Arrow batch that are in `raw`, else 1. Counters add this up."""

    @property
    def unknown(self) -> bool:
        """Whether reference data that came later could explain it."""
        return self.reason in _EXPLICABLE


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the records of one poll come from. `partitions` and `offsets`: shape (n,), one per record."""

    topic: str
    topic_index: int
    partitions: NDArray[np.uint16]
    offsets: NDArray[np.int64]
    received_ns: int

    @classmethod
    def of(cls, topic: str, count: int, *, first: int = 0, partition: int = 0, received_ns: int = 0) -> Self:
        """`count` records of one partition, one after the other, from offset `first`."""
        offsets = np.arange(first, first + count, dtype=np.int64)
        return cls(topic, 0, np.full(count, partition, np.uint16), offsets, received_ns)

    def take(self, chosen: NDArray[np.intp]) -> Self:
        """The origin of the records at `chosen`, in that order."""
        return type(self)(self.topic, self.topic_index, self.partitions[chosen], self.offsets[chosen], self.received_ns)

    def place(self, record: int) -> tuple[int, int, int]:
        """Feed, partition and offset of the record of that number."""
        return self.topic_index, int(self.partitions[record]), int(self.offsets[record])

    def unreadable(self, record: int, reason: Reason, detail: str, raw: bytes, events: int = 1) -> Unreadable:
        """The entry for the record of that number."""
        partition, offset = int(self.partitions[record]), int(self.offsets[record])
        return Unreadable(self.topic, partition, offset, reason.value, detail, raw, events)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a poll holds, to be applied in this order: messages, events, steps, what is none of these, corrections.

    `messages` are other ring messages in their order; where the order of events and corrections among themselves matters,
    they are here too. An event with `Flag.PART` belongs to the one before it.
    """

    events: EventArray = field(default_factory=lambda: np.empty(0, EVENT))
    unreadable: list[Unreadable] = field(default_factory=list)
    steps: NDArray[np.void] = field(default_factory=lambda: np.empty(0, DEAL_STEP))
    corrections: NDArray[np.void] = field(default_factory=lambda: np.empty(0, CORRECTION))
    messages: list[tuple[Message, NDArray[Any]]] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Events, steps and corrections, wherever they are."""
        kinds = (Message.EVENTS, Message.DEALS, Message.CORRECTIONS)
        others = sum(len(records) for kind, records in self.messages if kind in kinds)
        return len(self.events) + len(self.steps) + len(self.corrections) + others


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Unreadable])


def encode(entries: Sequence[Unreadable]) -> bytes:
    """The payload of a ring message `QUARANTINE`."""
    return _ENCODER.encode(entries)


def decode(payload: bytes | bytearray | memoryview) -> list[Unreadable]:
    """The entries of a ring message `QUARANTINE`; give it `bytes(array)` or the array's `.data`."""
    return _DECODER.decode(payload)


def count(entries: Sequence[Unreadable]) -> int:
    """Events these entries stand for."""
    return sum(entry.events for entry in entries)
