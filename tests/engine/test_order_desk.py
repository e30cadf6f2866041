"""The order desk against the ten lines that say what it is."""

# ruff: noqa: ARG002  the limits of a test ask less than the real ones

from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from engine.model import Decided, Market
from engine.order_desk import OrderDesk, WrongOrderStateError
from engine.orders import OrderChange, OrderReason, OrderRequest, OrderState, Side

DAY = 100
_MARKET = Market("XX", "XNYS", "UTC", "USD", "16:00", 2)


class Fixed:
    """Limits that are what they were at the start, less what orders hold."""

    stale = False
    as_of_ns = 7

    def __init__(self, client: dict[Side, int], unit: dict[Side, int]) -> None:
        self.client, self.unit, self.reference = client, unit, 1
        self.leads = {"S1": 1, "S2": 2}
        self.told_of = {security: dict.fromkeys(Decided, 0) for security in self.leads.values()}
        self.told = self.told_of[1]

    def lead(self, code: str, security: int) -> None:
        self.leads[code] = security
        self.reference += 1

    def security_id(self, code: str) -> int:
        return self.leads.get(code, 0)

    def security_ids(self, codes: Any) -> Any:
        return np.array([self.leads.get(code.decode(), 0) for code in codes.tolist()])

    def market(self, security: int) -> Market:
        return _MARKET

    def unit_of(self, book: str, security: int) -> str | None:
        return "AU1" if book.startswith("B") else None

    def owner_of(self, book: str) -> str:
        return {"B1": "", "BC2": "C2"}.get(book, "C1")

    def client_left(self, security: int, client: str, request: OrderRequest, sells: Any) -> int | None:
        return None if client == "nobody" else self.client[request.side] - _sold(request.side, sells)

    def unit_left(self, security: int, unit: str, request: OrderRequest, sells: Any) -> int | None:
        return self.unit[request.side] - _sold(request.side, sells)

    def lean(self, security: int, request: OrderRequest, shares: int) -> None:
        """Nothing is near its close."""

    def located(self, request: OrderRequest) -> bool:
        return request.locate == "L0000000001"

    def set_decided(self, security: int, what: Decided, quantity: int) -> None:
        self.told_of[security][what] = quantity

    def decided(self, security: int, what: Decided) -> int:
        return self.told_of[security][what]


def _sold(side: Side, sells: Any) -> int:
    return int(sells.get(Decided.OPEN_LONG_SELLS if side == Side.LONG else Decided.SHORT_SELLS, 0))


def _ask(order: str = "O1", side: Side = Side.SHORT, quantity: int = 100, **other: Any) -> OrderRequest:
    fields: dict[str, Any] = {"security": "S1", "client": "C1", "book": "B1"}
    return OrderRequest(order=order, side=side, **(fields | {"quantity": quantity} | other))


def _desk(client: int = 4_000, unit: int = 20_000) -> OrderDesk:
    return OrderDesk(Fixed(dict.fromkeys(Side, client), dict.fromkeys(Side, unit)))


def _done(desk: OrderDesk, change: OrderChange) -> OrderChange:
    desk.settle(change)
    return change


def test_the_first_takes_the_whole_limit_and_the_next_share_is_refused() -> None:
    """domain.md 7, case 7: limit 5,000 used 1,000; unit 25,000 used 5,000."""
    desk = _desk()
    first, second = (_done(desk, desk.decide(_ask(f"O{q}", quantity=q), 1, 1, DAY)).after for q in (4_000, 1))
    assert (first.state, first.client_limit.before, first.client_limit.after) == (OrderState.APPROVED, 4_000, 0)  # type: ignore[union-attr]
    assert (second.state, second.reason) == (OrderState.REJECTED, OrderReason.INSUFFICIENT_CLIENT_LIMIT)


def test_a_long_sale_takes_from_the_long_limit_only() -> None:
    """domain.md 7, case 8."""
    desk = _desk()
    _done(desk, desk.decide(_ask(side=Side.LONG, quantity=500), 1, 1, DAY))
    assert desk.sells_of("S1", "client", "C1") == {Decided.OPEN_LONG_SELLS: 500}


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"security": "nothing"}, OrderReason.INVALID_ORDER),
        ({"book": "BC2"}, OrderReason.INVALID_ORDER),
        ({"book": "X"}, OrderReason.AU_LIMIT_NOT_FOUND),
        ({"client": "nobody"}, OrderReason.CLIENT_LIMIT_NOT_FOUND),
        ({"quantity": 4_001}, OrderReason.INSUFFICIENT_CLIENT_LIMIT),
    ],
)
def test_a_rejection_says_why_and_holds_nothing(other: dict[str, Any], reason: OrderReason) -> None:
    desk = _desk()
    order = _done(desk, desk.decide(_ask(**other), 1, 1, DAY)).after
    assert (order.state, order.reason, order.held, desk.open_count) == (OrderState.REJECTED, reason, 0, 0)


def test_stale_inputs_reject() -> None:
    desk = _desk()
    desk._limits.stale = True  # type: ignore[misc]
    assert desk.decide(_ask(), 1, 1, DAY).after.reason == OrderReason.STALE_INPUTS


def test_what_orders_hold_goes_where_their_security_goes_and_comes_home() -> None:
    desk = _desk()
    limits: Any = desk._limits
    first, second = Decided.SHORT_SELLS, Decided.OPEN_LONG_SELLS
    _done(desk, desk.decide(_ask("O1", security="S2", quantity=3_000), 1, 1, DAY))
    _done(desk, desk.decide(_ask("O2", security="S2", side=Side.LONG, quantity=7), 1, 1, DAY))
    limits.lead("S2", 1)
    refused = _done(desk, desk.decide(_ask("O3", quantity=1_001), 1, 1, DAY)).after
    assert (refused.reason, refused.client_limit and refused.client_limit.before) == (
        OrderReason.INSUFFICIENT_CLIENT_LIMIT,
        1_000,
    )
    _done(desk, desk.decide(_ask("O4", quantity=600), 1, 1, DAY))
    assert (limits.told_of[1][first], limits.told_of[1][second], limits.told_of[2][first]) == (3_600, 7, 0)
    for of in (("client", "C1"), ("unit", "AU1"), ("", "")):
        assert desk.sells_of("S1", *of) == desk.sells_of("S2", *of) == {first: 3_600, second: 7}
    _done(desk, desk.cancel("O1", 2))
    assert limits.told_of[1][first] == 600
    limits.lead("S2", 2)
    desk.place()
    assert (limits.told_of[1], limits.told_of[2][second]) == ({**limits.told_of[1], first: 600, second: 0}, 7)


def test_orders_of_securities_that_became_one_are_restored_as_one() -> None:
    desk, again = _desk(), Fixed(dict.fromkeys(Side, 4_000), dict.fromkeys(Side, 20_000))
    _done(desk, desk.decide(_ask("O1", security="S2", quantity=3_000), 1, 1, DAY))
    _done(desk, desk.decide(_ask("O2", quantity=100), 1, 1, DAY))
    again.lead("S2", 1)
    restored = OrderDesk(again)
    restored.restore(desk._open.values(), 2)
    assert (again.told_of[1][Decided.SHORT_SELLS], again.told_of[2][Decided.SHORT_SELLS]) == (3_100, 0)


class Desk(RuleBasedStateMachine):
    """Any steps, settled or undone. The reference holds per order side, quantity, executed and whether it lives."""

    orders = Bundle("orders")
    changes = Bundle("changes")
    STEP: ClassVar = st.integers(1, 1_500)

    @initialize(client=st.integers(0, 3_000), unit=st.integers(0, 3_000))
    def begin(self, client: int, unit: int) -> None:
        self.limits = Fixed(dict.fromkeys(Side, client), dict.fromkeys(Side, unit))
        self.desk, self.count, self.now = OrderDesk(self.limits), 0, 1
        self.truth: dict[str, tuple[Side, int, int, bool]] = {}
        self.asked: dict[str, int] = {}
        self.floor = dict.fromkeys(Side, 0)
        """How far sales that crossed a cancel or a smaller quantity have taken a limit: facts, not approvals."""

    def _free(self, side: Side) -> int:
        held = sum((q - x if side == Side.LONG else q) if alive else (0 if side == Side.LONG else x)
                   for s, q, x, alive in self.truth.values() if s == side)  # fmt: skip
        return min(self.limits.client[side], self.limits.unit[side]) - held

    def _kept(self, change: OrderChange, truth: tuple[Side, int, int, bool] | None, kept: bool) -> None:
        if not kept:
            self.desk.undo(change)
            return
        self.desk.settle(change)
        if truth is not None:
            self.truth[change.after.request.order] = truth

    @rule(target=orders, side=st.sampled_from(Side), quantity=STEP, kept=st.booleans())
    def ask(self, side: Side, quantity: int, kept: bool) -> str:
        self.count += 1
        change = self.desk.decide(_ask(f"O{self.count}", side, quantity), self.now, self.now, self.now + DAY)
        assert (change.after.state == OrderState.APPROVED) == (quantity <= self._free(side))
        self.asked[f"O{self.count}"] = quantity
        self._kept(change, (side, quantity, 0, True) if change.after.open else None, kept)
        return f"O{self.count}"

    @rule(order=orders, quantity=STEP, kept=st.booleans())
    def amend(self, order: str, quantity: int, kept: bool) -> None:
        side, had, executed, alive = self.truth.get(order, (Side.LONG, 0, 0, False))
        if not alive or executed == had:
            return
        if quantity < executed or quantity - had > max(0, self._free(side)):
            with pytest.raises(WrongOrderStateError):
                self.desk.amend(order, quantity, self.now)
            return
        self._kept(self.desk.amend(order, quantity, self.now), (side, quantity, executed, True), kept)

    @rule(order=orders, quantity=STEP, kept=st.booleans())
    def execute(self, order: str, quantity: int, kept: bool) -> None:
        side, had, executed, alive = self.truth.get(order, (Side.LONG, 0, 0, False))
        if order not in self.truth:
            return
        if quantity > max(had, self.asked[order]):
            with pytest.raises(WrongOrderStateError):
                self.desk.execute(order, quantity, self.now)
            return
        change = self.desk.execute(order, quantity, self.now)
        if change.before != change.after:
            self._kept(change, (side, max(had, quantity), quantity, alive), kept)
            self.floor[side] = min(self.floor[side], self._free(side))
        else:
            assert quantity <= executed

    @rule(order=orders, kept=st.booleans())
    def cancel(self, order: str, kept: bool) -> None:
        side, had, executed, alive = self.truth.get(order, (Side.LONG, 0, 0, False))
        if alive and executed < had:
            self._kept(self.desk.cancel(order, self.now), (side, had, executed, False), kept)

    @rule(time=st.integers(1, DAY), kept=st.booleans())
    def expire(self, time: int, kept: bool) -> None:
        self.now += time
        for change in self.desk.expire_due(self.now):
            if kept:
                self.desk.settle(change)
                del self.truth[change.after.request.order]
            else:
                self.desk.undo(change)

    @rule()
    def restart(self) -> None:
        kept = sorted(self.desk._open.values(), key=lambda order: order.sequence)
        limits = Fixed(self.limits.client, self.limits.unit)
        self.limits, self.desk = limits, OrderDesk(limits)
        self.desk.restore(kept, self.count)

    @invariant()
    def no_approval_makes_a_limit_negative_and_what_is_held_is_what_lives(self) -> None:
        if not hasattr(self, "truth"):
            return
        for side, what in ((Side.LONG, Decided.OPEN_LONG_SELLS), (Side.SHORT, Decided.SHORT_SELLS)):
            held = min(self.limits.client[side], self.limits.unit[side]) - self._free(side)
            assert self._free(side) >= self.floor[side]
            assert self.limits.told[what] == held == self.desk.sells_of("S1", "", "").get(what, 0)


TestOrders = Desk.TestCase
