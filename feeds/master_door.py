"""Where reference records enter the security master: what whoever reads them hands over and gets back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

from engine.ring import Message
from feeds.master_records import Record
from feeds.quarantine import Reason


@dataclass(frozen=True, slots=True)
class Taken:
    """A record, its number in the poll, and its place: (feed, partition, offset); None where it has none."""

    record: Record
    number: int = 0
    at: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Ring messages in the order in which to push them, and records that cannot be used: number, reason, detail."""

    messages: list[tuple[Message, NDArray[Any]]] = field(default_factory=list)
    refused: list[tuple[int, Reason, str]] = field(default_factory=list)


class Door(Protocol):
    """The security master, seen from the feeds."""

    def take(self, records: Sequence[Taken]) -> Answer:
        """Use records in order and write down what they change; what was taken before changes nothing.

        It may take seconds: not for an event loop.
        """
        ...

    def own(self, text: str) -> str:
        """The own code of the security that a name leads to now; "" where it leads to nobody."""
        ...

    def used(self, feed: int, partition: int) -> int:
        """The offset behind the last record of a partition that was taken; 0 where none was."""
        ...
