"""Whatever is asked, undone, ended, expired or restarted, in any order: the desk agrees with a ten-line model."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.locate_desk import LocateDesk
from engine.locates import ENDED_EARLY, LIVE, Change, Locate, LocateRequest, OnInsufficient, State, decrement
from engine.model import Decided, Temperature
from tests.engine.locate_inventory import NOON_NS, PlainInventory, shipped_rules

RATIOS = {"S1": 10_000, "S2": 2_000, "S3": 10_000, "S4": 10_000}
ONCE = "S4"
"""Hard to borrow in the US: what is given back is not promised again before the close."""


CLIENTS = ("C", "D")


class Model:
    """What must hold: a grant's decrement was free when it was given, and comes back once. S3 is S1 while `merged`."""

    def __init__(self) -> None:
        self.held: dict[int, tuple[str, int]] = {}
        self.merged = False

    def home(self, code: str) -> str:
        return "S1" if self.merged and code == "S3" else code

    def located(self, code: str) -> int:
        return sum(shares for of, shares in self.held.values() if self.home(of) == self.home(code))

    def grant(self, change: Change, pool: int) -> None:
        code, approved = change.after.request.security, change.after.approved
        assert approved <= change.after.request.quantity
        shares = decrement(RATIOS[code], approved)
        assert shares <= max(0, pool - self.located(code)), "promised more than is there"
        self.held[change.after.sequence] = (code, shares)

    def due(self, locate: Locate) -> int:
        """What a locate holds of its pool."""
        code = locate.request.security
        full = max(decrement(RATIOS[code], locate.approved), locate.used)
        if locate.state in ENDED_EARLY:
            return full if code == ONCE else locate.used
        return full if locate.live or locate.state == State.EXHAUSTED else 0

    def hold(self, locate: Locate, at_least: int = 0) -> None:
        self.held[locate.sequence] = (locate.request.security, max(at_least, self.due(locate)))


class Desk(RuleBasedStateMachine):
    """Every change may be kept at once, later, or lost; time only goes on; the process may die at any point."""

    def __init__(self) -> None:
        super().__init__()
        self.inventory = PlainInventory()
        self.inventory.add("S1", 1_000, Temperature.HTB, "JP")
        self.inventory.add("S2", 100, Temperature.GC, "JP")
        self.inventory.add("S3", 500, Temperature.HTB, "JP")
        self.inventory.add(ONCE, 700, Temperature.HTB, "US")
        self.model = Model()
        self.now = NOON_NS
        self.unsettled: list[Change] = []
        self.kept: dict[int, Locate] = {}
        self.desk = LocateDesk(self.inventory, shipped_rules())

    def add(self, change: Change) -> None:
        if change.after.live and not (change.before and change.before.live):
            self.model.grant(change, self.inventory.gross[self.inventory.codes[change.after.request.security]])
        elif change.before:
            self.model.hold(change.after, self.model.due(change.before))
        self.unsettled.append(change)

    @rule(
        code=st.sampled_from(list(RATIOS)),
        client=st.sampled_from(CLIENTS),
        quantity=st.integers(1, 1_500),
        partial=st.booleans(),
        pend=st.sampled_from(OnInsufficient),
        lives=st.integers(1, 20),
    )
    def ask(self, code: str, client: str, quantity: int, partial: bool, pend: OnInsufficient, lives: int) -> None:
        asked = LocateRequest(
            security=code, client=client, quantity=quantity, allow_partial=partial, on_insufficient=pend
        )
        self.add(self.desk.decide(asked, self.now, self.now + lives))

    @precondition(lambda self: self.unsettled)
    @rule(which=st.integers(0), keep=st.booleans())
    def hear_from_the_journal(self, which: int, keep: bool) -> None:
        change = self.unsettled.pop(which % len(self.unsettled))
        sequence = change.after.sequence
        (self.desk.settle if keep else self.desk.undo)(change)
        if keep:
            self.kept[sequence] = change.after
        self.model.held.pop(sequence, None)
        if sequence in self.kept:
            self.model.hold(self.kept[sequence])

    @rule(which=st.integers(0), shares=st.integers(1, 1_000))
    def sell(self, which: int, shares: int) -> None:
        free = [n for n, each in self.kept.items() if each.live and not self.desk.moving(n)]
        if free:
            sequence = free[which % len(free)]
            self.add(self.desk.use_up(sequence, min(shares, self.kept[sequence].remaining), self.now, "oms"))

    @rule(which=st.integers(0), release=st.booleans())
    def end(self, which: int, release: bool) -> None:
        moving = {change.after.sequence for change in self.unsettled}
        free = [
            locate
            for number, locate in self.kept.items()
            if number not in moving and (locate.live or (locate.state == State.PENDING and not release))
        ]
        if free:
            sequence = free[which % len(free)].sequence
            self.add((self.desk.release if release else self.desk.cancel)(sequence, self.now))

    @rule(forward=st.integers(0, 5))
    def time_passes(self, forward: int) -> None:
        self.now += forward
        for change in self.desk.expire_due(self.now):
            self.add(change)

    @rule(code=st.sampled_from(list(RATIOS)), pool=st.integers(-100, 2_000), stale=st.booleans())
    def the_pool_changes(self, code: str, pool: int, stale: bool) -> None:
        self.inventory.gross[self.inventory.codes[code]] = pool
        self.inventory.stale = stale
        for change in self.desk.retry_pending(self.now):
            self.add(change)

    @rule()
    def s3_becomes_s1_or_is_itself_again(self) -> None:
        """Pools move as rows would; nothing is told to the desk."""
        self.model.merged = not self.model.merged
        moved = 500 if self.model.merged else -500
        self.inventory.gross[1] += moved
        self.inventory.gross[3] -= moved
        self.inventory.lead("S3", 1 if self.model.merged else 3)

    @rule()
    def restart(self) -> None:
        """What was not kept is gone with the process, its decrement too; what had not ended is held again."""
        kept = [locate for locate in self.kept.values() if locate.open]
        self.model.held.clear()
        for locate in kept:
            self.model.hold(locate)
        self.unsettled.clear()
        self.inventory.told.clear()
        self.desk = LocateDesk(self.inventory, shipped_rules())
        self.desk.restore(kept, max(self.kept, default=0))

    @invariant()
    def everything_adds_up(self) -> None:
        self.desk.check()
        if self.model.merged:
            assert self.inventory.decided(3, Decided.SHORT_LOCATES) == 0
        for code, security in self.inventory.codes.items():
            assert (
                self.inventory.decided(security, Decided.SHORT_LOCATES)
                == self.model.located(code)
                == self.desk.held(code)
            )
            for what in (Decided.SHORT_LOCATES, Decided.APPROVED_SHORT_LOCATES):
                of_clients = sum(self.desk.held_of(code, client).get(what, 0) for client in CLIENTS)
                assert of_clients == self.inventory.decided(security, what)
        # a change that is not settled shows its opening at once, its ending only later
        shown = {number: locate for number, locate in self.kept.items() if locate.open}
        shown |= {change.after.sequence: change.after for change in self.unsettled if change.after.open}
        states = [locate.state for locate in shown.values()]
        assert self.desk.live_count == sum(state in LIVE for state in states)
        assert self.desk.pending_count == states.count(State.PENDING)


Desk.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
test_the_desk_agrees_with_the_model = Desk.TestCase
