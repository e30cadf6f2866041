"""Sales use up locates: the one that the order names, or else the client's oldest first (domain.md 4).

Orders and locates change together: what is returned here is written down in one transaction, or undone. Near the market's
close a locate holds no more than what it has been used for and what orders that are working may still use.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from engine.locate_desk import LocateBusyError, LocateDesk, WrongStateError
from engine.locates import Change, Locate, LocateType, sequence_of
from engine.order_desk import OrderDesk
from engine.orders import LOCATES_OF, Order, OrderChange

_SIDES: Final = {kind: side for side, kind in LOCATES_OF.items()}
_Group: TypeAlias = tuple[str, str, LocateType]
"""A code of the security, a client, and what is sold."""


class LocateUsage:
    """Both desks, where one's changes are the other's. `near_ns`: how long before the close locates shrink; 0: never."""

    def __init__(self, locates: LocateDesk, orders: OrderDesk, near_ns: int) -> None:
        self._locates = locates
        self._orders = orders
        self._near_ns = near_ns
        self._touched: set[_Group] = set()

    def execute(self, order: str, executed: int, now_ns: int, by: str = "") -> tuple[OrderChange, list[Change]]:
        """So many shares of an order are sold in all. Raises what `OrderDesk.execute` does, or `LocateBusyError`: then
        nothing has changed."""
        before = self._orders.get(order)
        plan = self._plan(before, executed - before.executed)
        if busy := [sequence for sequence, _shares in plan if self._locates.moving(sequence)]:
            raise LocateBusyError(busy[0])
        change = self._orders.execute(order, executed, now_ns, by, sum(shares for _sequence, shares in plan))
        return change, [self._locates.use_up(sequence, shares, now_ns, by) for sequence, shares in plan]

    def amend(
        self, order: str, quantity: int, now_ns: int, by: str = "", remark: str = ""
    ) -> tuple[OrderChange, list[Change]]:
        """Another quantity; uses up nothing. Raises as `OrderDesk.amend`."""
        return self._orders.amend(order, quantity, now_ns, by, remark), []

    def cancel(self, order: str, now_ns: int, by: str = "", remark: str = "") -> tuple[OrderChange, list[Change]]:
        """No more will be executed. Raises as `OrderDesk.cancel`."""
        return self._orders.cancel(order, now_ns, by, remark), []

    def refuse_needed(self, sequence: int) -> None:
        """Raise `WrongStateError` where orders that are working need what would be given back of a locate, `LocateBusyError`
        while nobody knows whether another one is given back, too."""
        locate = self._locates.get(sequence)
        if not locate.live:
            return
        live, working = self._of(_group(locate))
        others = [one for one in live if one.sequence != sequence]
        if working and (busy := [one.sequence for one in others if self._locates.moving(one.sequence)]):
            raise LocateBusyError(busy[0])
        # an order may name a locate that is smaller than itself: all of its client's count for its limit
        short = max(each(others, working) - each(live, working) for each in (_missing, _beyond))
        if short > 0:
            raise WrongStateError(
                f"{short:,} shares of it are for orders that are working: cancel or amend these first"
            )

    def touch(self, change: OrderChange) -> None:
        """An order has changed, for good or not after all: what its client's locates hold near the close may change with it."""
        request = change.after.request
        self._touched.add((request.security, request.client, LOCATES_OF[request.side]))

    def near_close(self, now_ns: int) -> list[Change]:
        """Locates that come to hold less, or more, because their market closes soon."""
        if not self._near_ns:
            return []
        until_ns = now_ns + self._near_ns
        self._touched.update(map(_group, self._locates.nearing(until_ns)))
        self._locates.leaning.clear()
        touched, self._touched = self._touched, set()
        changes: list[Change] = []
        for group in touched:
            changes += self._follow(group, until_ns, now_ns)
        return changes

    def again(self, changes: Iterable[Change]) -> None:
        """These could not be written down: look at them again."""
        self._touched.update(_group(change.after) for change in changes)

    # parts

    def _plan(self, order: Order, more: int) -> list[tuple[int, int]]:
        """Which locates so many more shares of an order use up, and how much of each."""
        request = order.request
        plan: list[tuple[int, int]] = []
        for locate in self._locates.live_of(request.security, request.client, LOCATES_OF[request.side]):
            if more > 0 and _may_use(order, locate) and locate.remaining:
                plan.append((locate.sequence, min(more, locate.remaining)))
                more -= plan[-1][1]
        return plan

    def _of(self, group: _Group) -> tuple[list[Locate], list[Order]]:
        """A client's live locates on a security, and its orders that may use them."""
        security, client, kind = group
        codes = set(self._locates.codes_of(security)) | set(self._orders.codes_of(security))
        working = self._orders.working(codes, client, _SIDES[kind])
        return self._locates.live_of(security, client, kind), working

    def _follow(self, group: _Group, until_ns: int, now_ns: int) -> list[Change]:
        live, working = self._of(group)
        near = [locate for locate in live if locate.expires_ns <= until_ns]
        needed = _needed(live, working) if near else {}
        changes = []
        for locate in near:
            if self._locates.moving(locate.sequence):
                self._touched.add(group)
            elif change := self._locates.follow(locate.sequence, needed.get(locate.sequence, 0), now_ns):
                changes.append(change)
        return changes


def _group(locate: Locate) -> _Group:
    return locate.request.security, locate.request.client, locate.request.type


def _may_use(order: Order, locate: Locate) -> bool:
    named = order.request.locate
    return not named or sequence_of(named) == locate.sequence


def _needed(live: Sequence[Locate], working: Sequence[Order]) -> dict[int, int]:
    """What working orders may use of each locate: those that name one first, then the oldest first."""
    left = {locate.sequence: locate.remaining for locate in live}
    needed = dict.fromkeys(left, 0)
    for order in sorted(working, key=lambda one: not one.request.locate):
        wanted = order.working
        for locate in live:
            if _may_use(order, locate):
                taken = min(wanted, left[locate.sequence])
                left[locate.sequence] -= taken
                needed[locate.sequence] += taken
                wanted -= taken
    return needed


def _beyond(live: Sequence[Locate], working: Sequence[Order]) -> int:
    """Shares of working orders beyond what is left of all locates."""
    return max(0, sum(order.working for order in working) - sum(locate.remaining for locate in live))


def _missing(live: Sequence[Locate], working: Sequence[Order]) -> int:
    """Shares of working orders for which no locate is left."""
    return sum(order.working for order in working) - sum(_needed(live, working).values())
