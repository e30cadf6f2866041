"""What the machine says before it changes anything that a snapshot is being taken of."""

from typing import Protocol

from engine.events import EventArray


class Preserve(Protocol):
    """Told before a change, so that what was there can be kept; `engine.snapshot` is the one that listens."""

    def events(self, events: EventArray) -> None:
        """These events are about to be applied: their rows, their numbers and their places in the ledger change."""

    def ledger(self, events: EventArray) -> None:
        """The ledger's entries of these events' (source, seq) are about to change, though they are not applied."""

    def securities(self, ids: list[int]) -> None:
        """Any row of these securities may change."""

    def deals(self) -> None:
        """Deals are about to change."""

    def reference(self) -> None:
        """Reference data, symbols or the facts of securities are about to change."""

    def everything(self) -> None:
        """The day rolls: nothing stays as it was."""
