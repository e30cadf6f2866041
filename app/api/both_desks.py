"""Locates and orders as one, for what is written down together: one recorder, one answer to each change."""

from collections.abc import Callable, Hashable, Sequence

from app.api.recording import Recorder
from app.journal import Journal
from app.journal_rows import AnyChange
from engine.locate_desk import LocateDesk, LocateInvariantError
from engine.locate_usage import LocateUsage
from engine.order_desk import OrderDesk, OrderInvariantError
from engine.orders import OrderChange


class BothDesks:
    """Settles and undoes each change where it was made."""

    def __init__(self, locates: LocateDesk, orders: OrderDesk, usage: LocateUsage) -> None:
        self._locates = locates
        self._orders = orders
        self._usage = usage

    def settle(self, change: AnyChange) -> None:
        """It is kept for good."""
        if isinstance(change, OrderChange):
            self._orders.settle(change)
            self._usage.touch(change)
        else:
            self._locates.settle(change)

    def undo(self, change: AnyChange) -> None:
        """It has not happened."""
        if isinstance(change, OrderChange):
            self._orders.undo(change)
            self._usage.touch(change)
        else:
            self._locates.undo(change)


def recorder_of(
    desks: BothDesks, journal: Journal, changed: Callable[[Sequence[AnyChange]], None]
) -> Recorder[AnyChange]:
    """Writes changes of both; `changed` is called with what will last."""
    broken = LocateInvariantError, OrderInvariantError
    return Recorder(desks, journal, named=_name, changed=changed, invariant=broken)


def _name(change: AnyChange) -> Hashable:
    """Numbers are locates', texts are orders'."""
    return change.after.request.order if isinstance(change, OrderChange) else change.after.sequence
