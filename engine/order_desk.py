"""The one desk that lets orders sell: both limits are checked and taken in one step, and given back once (domain.md 5).

As with locates, every door returns a change that somebody journals, then calls `settle` for, or `undo`. Until then limits are
counted as if the worse of the two had come true: what is taken is taken at once, what is given back only when settled.

Executed shares that have used up a locate are counted there for the client's limit, and here no more: the locate's remaining
shares have fallen by as many. A unit has no locates; its limit counts every share.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from msgspec.structs import replace

from engine.holdings import Holdings, Told
from engine.model import Decided, Market
from engine.orders import NEXT, LimitSeen, Order, OrderChange, OrderReason, OrderRequest, OrderState, Side

MAX_OPEN: Final = 1_000_000
MAX_CHANGES: Final = 1_000
"""The most that one `expire_due` returns: what is left comes with the next."""
Held = Mapping[Decided, int]


class Limits(Told, Protocol):
    """What is asked of the inventory. A limit is what is left of it now; None where the owner has none."""

    def market(self, security: int) -> Market: ...
    def unit_of(self, book: str, security: int) -> str | None: ...
    def owner_of(self, book: str) -> str: ...
    def client_left(self, security: int, client: str, request: OrderRequest, sells: Held) -> int | None: ...
    def lean(self, security: int, request: OrderRequest, shares: int) -> None: ...
    def located(self, request: OrderRequest) -> bool: ...
    def unit_left(self, security: int, unit: str, request: OrderRequest, sells: Held) -> int | None: ...
    @property
    def as_of_ns(self) -> int: ...
    @property
    def stale(self) -> bool: ...


class OrderInvariantError(RuntimeError):
    """More was given back than was taken, or the inventory counts other sells than orders hold: the writer must stop."""


class OrderDeskFullError(RuntimeError):
    """More orders are open than the desk can hold."""


class NoSuchOrderError(LookupError):
    """No open order has this id: never asked for, rejected, or its day is over."""


class OrderBusyError(RuntimeError):
    """An earlier change of this order is not settled."""


class WrongOrderStateError(ValueError):
    """The order cannot take this step."""


class OrderDesk:
    """All orders of the day that hold something, and what they hold per security, client and aggregation unit."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: dict[str, Order] = {}
        self._moving: dict[str, Order | None] = {}
        """Orders whose last change is not settled, as they were before it."""
        self._holdings = Holdings(limits, OrderInvariantError)
        self._expiry: list[tuple[int, str]] = []
        self._working: dict[tuple[str, str, Side], set[str]] = {}
        """Approved orders that are not executed, by code, client and side."""
        self._next = 1

    @property
    def open_count(self) -> int:
        return len(self._open)

    def get(self, order: str) -> Order:
        """Raises `NoSuchOrderError` unless the order is open."""
        try:
            return self._open[order]
        except KeyError:
            raise NoSuchOrderError(order) from None

    def sells_of(self, security: str, scope: str, owner: str) -> Held:
        """What orders hold of a security, by a code that leads to it, for a "client" or a "unit", or ("", "") for all."""
        return self._holdings.held(security, (scope, owner))

    def largest_holders(self, scope: str, most: int) -> list[tuple[str, str, Held]]:
        """Who ("client" or "unit") holds most by orders: security (a code that leads to it), name, and what; largest first."""
        return [*self._holdings.largest(scope, most)]

    def codes_of(self, security: str) -> Sequence[str]:
        """The codes under which orders on a security, by a code that leads to it, came."""
        return self._holdings.together(security)

    def working(self, codes: Iterable[str], client: str, side: Side) -> list[Order]:
        """A client's orders in these codes that are still to be executed, or may be where a change of them cannot be kept: as
        they work most; oldest first."""
        names = [(code, client, side) for code in codes]
        found = {order: self._open[order] for place in names for order in self._working.get(place, ())}
        for order, before in self._moving.items():
            if before is not None and _place(before) in names:
                found[order] = max(before, found.get(order, before), key=lambda one: one.working)
        return sorted((order for order in found.values() if order.working), key=lambda order: order.sequence)

    def sellers(self, scope: str, security: str) -> set[str]:
        """The clients ("client") or units ("unit") whose orders on a security, by a code that leads to it, hold something."""
        return self._holdings.owners(security, scope)

    def sold_by(self, scope: str, owner: str) -> set[int]:
        """The securities of which orders of a "client" or a "unit" hold something."""
        return self._holdings.securities_of((scope, owner))

    # doors

    def decide(
        self, request: OrderRequest, received_ns: int, now_ns: int, expires_ns: int, asked_as: str = "", by: str = ""
    ) -> OrderChange:
        """Check both limits and, where they suffice, take from both.

        `request.security` is the security's own code wherever it is known. Raises `OrderDeskFullError`, or
        `WrongOrderStateError` for the id of an order that is open: its first answer stands.
        """
        if request.order in self._open:
            raise WrongOrderStateError(f"order {request.order} has been decided")
        if len(self._open) >= MAX_OPEN:
            raise OrderDeskFullError(f"{MAX_OPEN:,} orders are open")
        reason, client_limit, unit_limit = self._verdict(request, request.quantity)
        approved = reason is None
        order = Order(
            sequence=self._next,
            request=request,
            asked_as=asked_as or request.security,
            state=OrderState.APPROVED if approved else OrderState.REJECTED,
            reason=reason,
            quantity=request.quantity if approved else 0,
            executed=0,
            client_limit=client_limit,
            unit_limit=unit_limit,
            received_ns=received_ns,
            decided_ns=now_ns,
            updated_ns=now_ns,
            expires_ns=expires_ns,
            as_of_ns=self._limits.as_of_ns,
            changed_by=by,
        )
        self._next += 1
        self._moving[request.order] = None
        if order.open:
            self._keep(order)
        return OrderChange(None, order)

    def amend(self, order: str, quantity: int, now_ns: int, by: str = "", remark: str = "") -> OrderChange:
        """Another quantity: less gives back, more is decided as an order of the difference.

        Raises what `_movable` does, or `WrongOrderStateError` where more has been executed or the limits do not suffice.
        """
        before = self._movable(order, OrderState.APPROVED)
        if quantity < max(1, before.executed):
            raise WrongOrderStateError(f"{before.executed:,} of order {order} are executed already")
        client_limit, unit_limit = before.client_limit, before.unit_limit
        if quantity > before.quantity:
            reason, client_limit, unit_limit = self._verdict(before.request, quantity - before.quantity)
            if reason is not None:
                raise WrongOrderStateError(reason.value)
        state = OrderState.FILLED if quantity == before.executed else OrderState.APPROVED
        after = replace(before, quantity=quantity, state=state, client_limit=client_limit, unit_limit=unit_limit)
        return self._move(before, replace(after, updated_ns=now_ns, changed_by=by, remark=remark))

    def execute(self, order: str, executed: int, now_ns: int, by: str = "", covered: int = 0) -> OrderChange:
        """So many shares are sold in all; no more than before changes nothing. A sale is a fact: one that crossed a cancel or a
        smaller quantity counts like any other, whatever the limits say by now. Raises as `amend`, also for more than was asked.

        `covered`: how many more of them use up locates (see `engine.locate_usage`).
        """
        before = self.get(order)
        if order in self._moving:
            raise OrderBusyError(order)
        if executed <= before.executed:
            return OrderChange(before, before)
        after = _sold(before, executed, now_ns, by)
        if before.state != OrderState.CANCELLED:
            filled = executed >= before.quantity
            after = replace(after, state=OrderState.FILLED if filled else OrderState.APPROVED)
        return self._move(before, replace(after, covered=before.covered + covered))

    def late(self, kept: Order, executed: int, now_ns: int, by: str = "") -> OrderChange:
        """So many shares of an order whose day is over were sold in all: written down, and nothing holds for it any more.

        `kept`: the order as the journal has it. Raises `OrderBusyError`, `WrongOrderStateError` for more than was asked.
        """
        if kept.request.order in self._moving:
            raise OrderBusyError(kept.request.order)
        if executed <= kept.executed:
            return OrderChange(kept, kept)
        after = _sold(kept, executed, now_ns, by)
        self._moving[kept.request.order] = kept
        return OrderChange(kept, after)

    def cancel(self, order: str, now_ns: int, by: str = "", remark: str = "") -> OrderChange:
        """What is not executed is given back."""
        before = self._movable(order, OrderState.CANCELLED)
        after = replace(before, state=OrderState.CANCELLED, updated_ns=now_ns, changed_by=by, remark=remark)
        return self._move(before, after)

    def expire_due(self, now_ns: int) -> list[OrderChange]:
        """Ends of the orders whose day is over, oldest first."""
        due: list[OrderChange] = []
        later: list[tuple[int, str]] = []
        while self._expiry and self._expiry[0][0] <= now_ns and len(due) < MAX_CHANGES:
            entry = heapq.heappop(self._expiry)
            if entry[1] in self._moving:
                later.append(entry)
            elif entry[1] in self._open:
                before = self._open[entry[1]]
                after = replace(before, state=OrderState.EXPIRED, updated_ns=now_ns, changed_by="clock")
                due.append(self._move(before, after))
        for entry in later:
            heapq.heappush(self._expiry, entry)
        return due

    def settle(self, change: OrderChange) -> None:
        """The change is kept for good: what it gives back is free."""
        before, after = change.before, change.after
        self._moving.pop(after.request.order, None)
        if before is not None:
            self._count(after, *(min(0, shares) for shares in _difference(before, after)))
        if not after.open:
            self._open.pop(after.request.order, None)

    def undo(self, change: OrderChange) -> None:
        """The change could not be kept: it has not happened."""
        before, after = change.before, change.after
        self._moving.pop(after.request.order, None)
        self._count(after, *(-max(0, shares) for shares in _difference(before, after)))
        if before is None:
            self._open.pop(after.request.order, None)
            self._index(after, working=False)
            return
        if not before.open:
            return
        self._show(before)
        heapq.heappush(self._expiry, (before.expires_ns, before.request.order))

    def restore(self, orders: Iterable[Order], last_sequence: int) -> None:
        """Take over what a journal kept: open orders, oldest first, and the newest number ever given."""
        self._next = max(self._next, last_sequence + 1)
        kept = list(orders)
        self._holdings.expect(order.request.security for order in kept)
        for order in kept:
            self._keep(order)
        self.place()

    def place(self) -> None:
        """Tell the inventory what is held of securities that codes have come to lead to: known now, merged, or split."""
        self._holdings.renew()

    # parts

    def _verdict(
        self, request: OrderRequest, wanted: int
    ) -> tuple[OrderReason | None, LimitSeen | None, LimitSeen | None]:
        """Why `wanted` more shares may not be sold, or None, and the limits as far as they were looked at."""
        limits, security = self._limits, self._holdings.id(request.security)
        if limits.stale:  # first: a security may be one that is not here yet
            return OrderReason.STALE_INPUTS, None, None
        if not security:
            return OrderReason.INVALID_ORDER, None, None
        if request.locate and not limits.located(request):
            return OrderReason.INVALID_ORDER, None, None
        unit = limits.unit_of(request.book, security)
        if unit is None:
            return OrderReason.AU_LIMIT_NOT_FOUND, None, None
        sells = self.sells_of(request.security, "client", request.client)
        of_client = limits.client_left(security, request.client, request, sells)
        if of_client is None:
            return OrderReason.CLIENT_LIMIT_NOT_FOUND, None, None
        if limits.owner_of(request.book) not in ("", request.client):  # the firm's own, or the client's
            return OrderReason.INVALID_ORDER, None, None
        seen = LimitSeen(request.client, of_client, of_client)
        if wanted > of_client:
            return OrderReason.INSUFFICIENT_CLIENT_LIMIT, seen, None
        of_unit = limits.unit_left(security, unit, request, self.sells_of(request.security, "unit", unit))
        if of_unit is None:
            return OrderReason.AU_LIMIT_NOT_FOUND, seen, None
        if wanted > of_unit:
            return OrderReason.INSUFFICIENT_AU_LIMIT, seen, LimitSeen(unit, of_unit, of_unit)
        limits.lean(security, request, wanted)
        return None, replace(seen, after=of_client - wanted), LimitSeen(unit, of_unit, of_unit - wanted)

    def _movable(self, order: str, state: OrderState) -> Order:
        """The order, if it may go to `state`. Raises `NoSuchOrderError`, `OrderBusyError` or `WrongOrderStateError`."""
        before = self.get(order)
        if order in self._moving:
            raise OrderBusyError(order)
        if state not in NEXT[before.state]:
            raise WrongOrderStateError(f"a {before.state} order cannot become {state}")
        return before

    def _move(self, before: Order, after: Order) -> OrderChange:
        """What it takes more is taken now; what it gives back waits for `settle`."""
        self._moving[after.request.order] = before
        self._count(after, *(max(0, shares) for shares in _difference(before, after)))
        self._show(after)
        return OrderChange(before, after)

    def _keep(self, order: Order) -> None:
        self._show(order)
        heapq.heappush(self._expiry, (order.expires_ns, order.request.order))
        self._next = max(self._next, order.sequence + 1)
        self._count(order, order.held, order.held_of_client)

    def _show(self, order: Order) -> None:
        """The order is this one from now on."""
        self._open[order.request.order] = order
        self._index(order, working=order.working > 0)

    def _index(self, order: Order, *, working: bool) -> None:
        request, place = order.request, _place(order)
        if working:
            self._working.setdefault(place, set()).add(request.order)
        elif place in self._working:
            self._working[place].discard(request.order)
            if not self._working[place]:
                del self._working[place]

    def _count(self, order: Order, shares: int, of_client: int) -> None:
        """Add what an order holds, or take it away: of all and of its unit, and of its client."""
        request, what = order.request, order.counts_as
        if shares:
            unit = order.unit_limit
            self._holdings.add(request.security, what, shares, *(() if unit is None else (("unit", unit.owner),)))
        if of_client:
            self._holdings.add_for((("client", request.client),), request.security, what, of_client)


def _place(order: Order) -> tuple[str, str, Side]:
    request = order.request
    return request.security, request.client, request.side


def _sold(before: Order, executed: int, now_ns: int, by: str) -> Order:
    """With so many shares sold in all. Raises `WrongOrderStateError` for more than was ever asked for."""
    most = max(before.quantity, before.request.quantity)
    if executed > most:
        raise WrongOrderStateError(f"order {before.request.order} is for {most:,}, not {executed:,}")
    quantity = max(before.quantity, executed)
    return replace(before, executed=executed, quantity=quantity, updated_ns=now_ns, changed_by=by)


def _difference(before: Order | None, after: Order) -> tuple[int, int]:
    """What an order holds more than before: of all, and of its client."""
    if before is None:
        return after.held, after.held_of_client
    return after.held - before.held, after.held_of_client - before.held_of_client
