"""Sales use up locates, whatever is asked, undone, amended, executed or restarted, in any order: a ten-line model agrees."""

# ruff: noqa: ARG002  the limits of a test ask less than the real ones

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.locate_desk import LocateBusyError, LocateDesk, WrongStateError
from engine.locate_usage import LocateUsage
from engine.locates import ENDED_EARLY, Change, Locate, LocateRequest, LocateType, State, locate_id, sequence_of
from engine.model import Decided, Temperature
from engine.order_desk import OrderBusyError, OrderDesk, WrongOrderStateError
from engine.orders import Order, OrderChange, OrderReason, OrderRequest, OrderState, Side
from tests.engine.locate_inventory import NOON_NS, PlainInventory, shipped_rules

CLOSE_NS = NOON_NS + 3_600 * 10**9
NEAR_NS = 600 * 10**9
CLIENTS = ("C", "D")
POOL = 1_000


class Limited(PlainInventory):
    """A client may sell what is located for it and not sold yet; the unit has no end of it."""

    locates: LocateDesk

    def unit_of(self, book: str, security: int) -> str | None:
        return "AU1"

    def owner_of(self, book: str) -> str:
        return ""

    def promised(self, client: str, request: OrderRequest, sells: Any) -> int:
        located = self.locates.held_of(request.security, client).get(Decided.APPROVED_SHORT_LOCATES, 0)
        return located - int(sells.get(Decided.SHORT_SELLS, 0))

    def client_left(self, security: int, client: str, request: OrderRequest, sells: Any) -> int | None:
        live = self.locates.live_of(request.security, client, LocateType.SHORT)
        lacking = self.locates.leaning.lacking(security, LocateType.SHORT, client, live, self.left(security))
        return self.promised(client, request, sells) - lacking

    def lean(self, security: int, request: OrderRequest, shares: int) -> None:
        live = self.locates.live_of(request.security, request.client, LocateType.SHORT)
        self.locates.leaning.lean(security, LocateType.SHORT, request.client, live, shares)

    def unit_left(self, security: int, unit: str, request: OrderRequest, sells: Any) -> int | None:
        return 10**12

    def located(self, request: OrderRequest) -> bool:
        sequence = sequence_of(request.locate)
        return sequence is not None and self.locates.serves(
            sequence, request.security, request.client, LocateType.SHORT
        )


class Both:
    """Two desks, whose changes are kept or lost together."""

    def __init__(self, near_ns: int = NEAR_NS) -> None:
        self.inventory = Limited()
        self.security = self.inventory.add("S1", POOL, Temperature.HTB, "JP")
        self.near_ns = near_ns
        self.begin([], [], 0, 0)

    def begin(self, locates: list[Locate], orders: list[Order], last_locate: int, last_order: int) -> None:
        self.inventory.told.clear()
        self.locates = self.inventory.locates = LocateDesk(self.inventory, shipped_rules())
        self.locates.restore(locates, last_locate)
        self.orders = OrderDesk(self.inventory)
        self.orders.restore(orders, last_order)
        self.usage = LocateUsage(self.locates, self.orders, self.near_ns)

    def hear(self, changes: list[Change | OrderChange], *, keep: bool = True) -> None:
        for change in changes if keep else reversed(changes):
            desk: Any = self.orders if isinstance(change, OrderChange) else self.locates
            (desk.settle if keep else desk.undo)(change)
            if isinstance(change, OrderChange):
                self.usage.touch(change)

    def locate(self, quantity: int, client: str = "C") -> Locate:
        change = self.locates.decide(LocateRequest(security="S1", client=client, quantity=quantity), NOON_NS, CLOSE_NS)
        self.hear([change])
        return change.after

    def sell(self, order: str, quantity: int, locate: str = "", client: str = "C") -> Order:
        asked = OrderRequest(
            order=order, security="S1", client=client, book="B", side=Side.SHORT, quantity=quantity, locate=locate
        )
        change = self.orders.decide(asked, NOON_NS, NOON_NS, CLOSE_NS)
        self.hear([change])
        return change.after

    def execute(self, order: str, executed: int) -> None:
        change, used = self.usage.execute(order, executed, NOON_NS)
        self.hear([change, *used])

    def left(self, client: str = "C") -> int:
        asked = OrderRequest(order="?", security="S1", client=client, book="B", side=Side.SHORT, quantity=1)
        return self.inventory.promised(client, asked, self.orders.sells_of("S1", "client", client))


def _seen(locate: Locate) -> tuple[str, int, int, int]:
    return locate.state.value, locate.used, locate.remaining, locate.decrement


def test_the_oldest_is_used_up_first_and_stays_held_until_the_close() -> None:
    both = Both()
    old, new = both.locate(300), both.locate(200)
    both.sell("O1", 400)
    both.execute("O1", 350)
    assert _seen(both.locates.get(old.sequence)) == ("exhausted", 300, 0, 300)
    assert _seen(both.locates.get(new.sequence)) == (
        "partially_approved" if not new.approved else "approved",
        50,
        150,
        200,
    )
    assert (both.orders.get("O1").covered, both.left(), both.inventory.left(1)) == (350, 100, 500)
    both.hear([*both.locates.expire_due(CLOSE_NS)])
    assert both.inventory.left(1) == POOL


def test_the_locate_that_is_named_is_used_up_and_no_other() -> None:
    both = Both()
    old, new = both.locate(300), both.locate(200)
    both.sell("O1", 250, locate_id(new.sequence))
    both.execute("O1", 250)
    assert _seen(both.locates.get(old.sequence)) == ("approved", 0, 300, 300)
    assert _seen(both.locates.get(new.sequence)) == ("exhausted", 200, 0, 200)
    assert (both.orders.get("O1").covered, both.left()) == (200, 250)


@pytest.mark.parametrize("named", ["L0000000002", "L0000000009", "1", "LX"])
def test_a_locate_that_is_not_the_clients_makes_an_order_invalid(named: str) -> None:
    both = Both()
    both.locate(300)
    both.locate(300, "D")
    assert both.sell("O1", 1, named).reason == OrderReason.INVALID_ORDER


def test_what_was_used_is_neither_released_nor_sold_again_and_what_works_is_not_released() -> None:
    both = Both()
    locate = both.locate(300)
    both.sell("O1", 200)
    both.execute("O1", 150)
    with pytest.raises(WrongStateError, match="50 shares"):
        both.usage.refuse_needed(locate.sequence)
    both.hear([both.orders.cancel("O1", NOON_NS)])
    both.usage.refuse_needed(locate.sequence)
    both.hear([both.locates.release(locate.sequence, NOON_NS)])
    assert _seen(both.locates.get(locate.sequence)) == ("released", 150, 0, 150)
    assert (both.left(), both.inventory.left(1), both.locates.live_count) == (0, POOL - 150, 0)
    assert both.sell("O2", 1).reason == OrderReason.INSUFFICIENT_CLIENT_LIMIT


def test_a_locate_may_be_released_where_another_serves_the_orders() -> None:
    both = Both()
    first, _second = both.locate(300), both.locate(300)
    both.sell("O1", 300)
    both.usage.refuse_needed(first.sequence)


def test_nobody_sells_on_a_locate_that_is_not_kept_yet() -> None:
    both = Both()
    both.locate(100)
    asked = LocateRequest(security="S1", client="C", quantity=300)
    opening = both.locates.decide(asked, NOON_NS, CLOSE_NS)
    assert both.sell("O1", 1, locate_id(opening.after.sequence)).reason == OrderReason.INVALID_ORDER
    assert both.sell("O2", 101).reason == OrderReason.INSUFFICIENT_CLIENT_LIMIT
    both.sell("O3", 100)
    both.execute("O3", 100)
    both.hear([opening])
    assert both.locates.get(opening.after.sequence).used == 0
    assert both.sell("O4", 300).state == OrderState.APPROVED


def test_near_the_close_a_locate_holds_what_is_sold_or_about_to_be() -> None:
    both = Both()
    locate = both.locate(500)
    both.sell("O1", 200)
    both.execute("O1", 80)
    assert both.usage.near_close(CLOSE_NS - NEAR_NS - 1) == []
    (change,) = both.usage.near_close(CLOSE_NS - NEAR_NS)
    both.hear([change])
    assert _seen(change.after) == ("approved", 80, 420, 200)
    assert both.inventory.left(1) == POOL - 200
    assert both.usage.near_close(CLOSE_NS - NEAR_NS + 1) == []
    both.sell("O2", 300)
    (change,) = both.usage.near_close(CLOSE_NS - NEAR_NS + 2)
    both.hear([change], keep=False)
    both.usage.again([change])
    assert both.locates.get(locate.sequence).decrement == 200
    (change,) = both.usage.near_close(CLOSE_NS - NEAR_NS + 3)
    assert change.after.decrement == 500


def test_a_locate_that_an_order_needs_without_naming_it_is_not_given_back() -> None:
    both = Both()
    first, second = both.locate(300), both.locate(400)
    both.sell("O1", 600, locate_id(second.sequence))
    with pytest.raises(WrongStateError, match="200 shares"):
        both.usage.refuse_needed(first.sequence)


def test_a_locate_whose_order_is_being_cancelled_is_given_back_when_that_is_kept() -> None:
    both = Both()
    locate = both.locate(300)
    both.sell("O1", 300)
    cancelled = both.orders.cancel("O1", NOON_NS)
    with pytest.raises(WrongStateError, match="300 shares"):
        both.usage.refuse_needed(locate.sequence)
    both.hear([cancelled])
    both.usage.refuse_needed(locate.sequence)


def test_of_two_locates_one_is_given_back_at_a_time() -> None:
    both = Both()
    first, second = both.locate(300), both.locate(300)
    both.sell("O1", 300)
    given = both.locates.end(first.sequence, State.RELEASED, NOON_NS)
    with pytest.raises(LocateBusyError):
        both.usage.refuse_needed(second.sequence)
    both.hear([given])
    with pytest.raises(WrongStateError, match="300 shares"):
        both.usage.refuse_needed(second.sequence)


def test_what_a_locate_gave_back_near_the_close_is_sold_once() -> None:
    """What is promised to a second client by then cannot be sold by both; what is in the pool still, by whoever comes first."""
    both = Both()
    both.locate(POOL)
    near = CLOSE_NS - NEAR_NS
    both.hear([*both.usage.near_close(near)])
    assert both.inventory.left(1) == POOL
    both.locate(POOL - 300, "D")
    both.hear([*both.usage.near_close(near + 1)])
    assert both.inventory.left(1) == POOL, "that of the second is not needed yet, either"
    assert both.sell("O1", 600, client="D").state == OrderState.APPROVED
    assert both.sell("O2", POOL - 599).reason == OrderReason.INSUFFICIENT_CLIENT_LIMIT
    assert both.sell("O3", 300).state == OrderState.APPROVED
    assert both.sell("O4", 101, client="D").reason == OrderReason.INSUFFICIENT_CLIENT_LIMIT
    both.hear([*both.usage.near_close(near + 2)])
    assert both.inventory.left(1) == 100
    assert both.sell("O5", 100, client="D").state == OrderState.APPROVED
    both.hear([*both.usage.near_close(near + 3)])
    assert both.inventory.left(1) == 0


class Desks(RuleBasedStateMachine):
    """The model: what may still be sold is what was located and has not ended, less what is sold or about to be."""

    def __init__(self) -> None:
        super().__init__()
        self.both = Both()
        self.now = NOON_NS
        self.waiting: list[list[Change | OrderChange]] = []
        self.kept: dict[int | str, Locate | Order] = {}
        self.count = 0

    def keep(self, changes: list[Change | OrderChange]) -> None:
        if changes:
            self.waiting.append(changes)

    def orders(self) -> list[str]:
        return [thing.request.order for thing in self.kept.values() if isinstance(thing, Order) and thing.open]

    def locates(self) -> list[Locate]:
        return [thing for thing in self.kept.values() if isinstance(thing, Locate)]

    @rule(client=st.sampled_from(CLIENTS), quantity=st.integers(1, 700))
    def ask(self, client: str, quantity: int) -> None:
        free = self.both.inventory.left(1)
        asked = LocateRequest(security="S1", client=client, quantity=quantity)
        change = self.both.locates.decide(asked, self.now, CLOSE_NS)
        assert change.after.approved <= max(0, free), "promised more than is there"
        self.keep([change])

    @rule(client=st.sampled_from(CLIENTS), quantity=st.integers(1, 700), which=st.integers(-5, 5))
    def sell(self, client: str, quantity: int, which: int) -> None:
        live = [locate for locate in self.locates() if locate.live and locate.request.client == client]
        named = locate_id(live[which % len(live)].sequence) if live and which >= 0 else ""
        self.count += 1
        asked = OrderRequest(
            order=f"O{self.count}",
            security="S1",
            client=client,
            book="B",
            side=Side.SHORT,
            quantity=quantity,
            locate=named,
        )
        self.keep([self.both.orders.decide(asked, self.now, self.now, CLOSE_NS)])

    @precondition(lambda self: self.orders())
    @rule(which=st.integers(0), what=st.sampled_from(["execute", "amend", "cancel"]), quantity=st.integers(1, 700))
    def step(self, which: int, what: str, quantity: int) -> None:
        names = self.orders()
        name = names[which % len(names)]
        try:
            if what == "execute":
                change, used = self.both.usage.execute(name, quantity, self.now)
            elif what == "amend":
                change, used = self.both.usage.amend(name, quantity, self.now)
            else:
                change, used = self.both.usage.cancel(name, self.now)
        except (OrderBusyError, LocateBusyError, WrongOrderStateError):
            return
        self.keep([change, *used] if change.before != change.after else [])

    @precondition(lambda self: self.locates())
    @rule(which=st.integers(0), state=st.sampled_from([State.RELEASED, State.CANCELLED]))
    def end(self, which: int, state: State) -> None:
        locate = self.locates()[which % len(self.locates())]
        if not locate.live or self.both.locates.moving(locate.sequence):
            return
        try:
            self.both.usage.refuse_needed(locate.sequence)
        except (WrongStateError, LocateBusyError):
            return
        self.keep([self.both.locates.end(locate.sequence, state, self.now)])

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0), keep=st.booleans())
    def hear_from_the_journal(self, which: int, keep: bool) -> None:
        changes = self.waiting.pop(which % len(self.waiting))
        self.both.hear(changes, keep=keep)
        if keep:
            for change in changes:
                after = change.after
                self.kept[after.request.order if isinstance(after, Order) else after.sequence] = after

    @rule(forward_s=st.integers(0, 1_500))
    def time_passes(self, forward_s: int) -> None:
        self.now = min(CLOSE_NS - 1, self.now + forward_s * 10**9)
        for change in self.both.usage.near_close(self.now):
            self.keep([change])

    @rule()
    def restart(self) -> None:
        """What was not kept is gone with the process."""
        self.waiting.clear()
        things = list(self.kept.values())
        locates = [thing for thing in things if isinstance(thing, Locate)]
        orders = [thing for thing in things if isinstance(thing, Order) and thing.open]
        self.both.begin(locates, orders, max((each.sequence for each in locates), default=0), self.count)

    @invariant()
    def limits_are_never_negative_and_everything_adds_up(self) -> None:
        both = self.both
        both.locates.check()
        assert all(both.left(client) >= 0 for client in CLIENTS)
        if self.waiting:
            return
        for client in CLIENTS:
            mine = [locate for locate in self.locates() if locate.request.client == client]
            orders = [each for each in self.kept.values() if isinstance(each, Order) and each.request.client == client]
            located = sum(each.used if each.state in ENDED_EARLY else each.approved for each in mine)
            sold = sum(each.quantity if each.state == OrderState.APPROVED else each.executed for each in orders)
            assert both.left(client) == located - sold
            assert (
                sum(each.used for each in mine)
                == sum(each.covered for each in orders)
                <= sum(e.executed for e in orders)
            )
        for locate in self.locates():
            assert 0 <= locate.used <= locate.approved
            assert locate.used <= locate.decrement <= locate.approved


Desks.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
test_the_desks_agree_with_the_model = Desks.TestCase
