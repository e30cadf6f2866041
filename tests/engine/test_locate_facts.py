"""The desk keeps what domain.md says of locates: facts 6, 12 and 13, the rules of markets, states and reasons."""

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from engine.inventory import Reference
from engine.locate_desk import (
    LocateBusyError,
    LocateDesk,
    LocateInvariantError,
    NoSuchLocateError,
    WrongStateError,
)
from engine.locate_judgement import Facts
from engine.locate_rules import Action, DecisionRule, LocateRules
from engine.locate_today import LocatedToday
from engine.locates import (
    Change,
    FeedPosition,
    LocateRequest,
    LocateType,
    OnInsufficient,
    Reason,
    Settlement,
    State,
    Subject,
    decrement,
    largest_within,
)
from engine.model import Decided, Temperature
from tests.engine.locate_inventory import NOON_NS, PlainInventory, shipped_rules

CLOSE_NS = NOON_NS + 3_600_000_000_000


def request(security: str = "X", quantity: int = 100, **fields: Any) -> LocateRequest:
    return LocateRequest(security=security, client="FUND1", quantity=quantity, **fields)


def desk_of(inventory: PlainInventory) -> LocateDesk:
    return LocateDesk(inventory, shipped_rules())


def decided(desk: LocateDesk, asked: LocateRequest) -> Change:
    change = desk.decide(asked, NOON_NS, CLOSE_NS)
    desk.settle(change)
    return change


@pytest.mark.parametrize(
    ("temperature", "market", "held"),
    [
        (Temperature.HTB, "JP", 100),
        (Temperature.GC, "JP", 20),
        (Temperature.UNKNOWN, "JP", 100),
        (Temperature.WARM, "JP", 100),
        (Temperature.GC, "KR", 100),
        (Temperature.GC, "US", 0),
        (Temperature.HTB, "US", 100),
        (Temperature.UNKNOWN, "US", 100),
        (Temperature.GC, "GB", 20),
    ],
)
def test_fact_6_the_decrement_of_100_approved(temperature: Temperature, market: str, held: int) -> None:
    inventory = PlainInventory()
    security = inventory.add("X", 1_000, temperature, market)
    locate = decided(desk_of(inventory), request()).after
    assert (locate.state, locate.approved, locate.decrement) == (State.APPROVED, 100, held)
    assert inventory.decided(security, Decided.SHORT_LOCATES) == held


def test_fact_12_live_decrements_come_off_what_is_available() -> None:
    inventory = PlainInventory()
    security = inventory.add("X", 12_500 - 1_000)
    desk = desk_of(inventory)
    decided(desk, request(quantity=1_500))
    assert inventory.gross[security] == 11_500
    assert inventory.left(security) == 10_000


@pytest.mark.parametrize(
    ("partial", "state", "approved"), [(True, State.PARTIALLY_APPROVED, 400), (False, State.REJECTED, 0)]
)
def test_fact_13_the_second_of_two_requests_gets_what_the_first_left(
    partial: bool, state: State, approved: int
) -> None:
    inventory = PlainInventory()
    inventory.add("X", 1_000)
    desk = desk_of(inventory)
    first = desk.decide(request(quantity=600, allow_partial=partial), NOON_NS, CLOSE_NS).after
    change = desk.decide(request(quantity=600, allow_partial=partial), NOON_NS, CLOSE_NS)
    second, evidence = change.after, change.evidence
    assert (first.state, first.approved) == (State.APPROVED, 600)
    assert (second.state, second.approved, second.reason) == (state, approved, Reason.INSUFFICIENT_INVENTORY)
    assert evidence is not None
    assert (evidence.pool_before, evidence.pool_after) == (400, 400 - approved)


@pytest.mark.parametrize(
    ("ratio", "approved", "executed", "held"),
    [(2_000, 101, 0, 21), (10_000, 7, 0, 7), (0, 7, 0, 0), (2_000, 100, 50, 50), (0, 100, 200, 100), (1, 1, 0, 1)],
)
def test_a_decrement_is_rounded_up_and_never_more_than_was_approved(
    ratio: int, approved: int, executed: int, held: int
) -> None:
    assert decrement(ratio, approved, executed) == held


@pytest.mark.parametrize("ratio", [1, 3_333, 2_000, 9_999, 10_000])
@pytest.mark.parametrize("available", [-5, 0, 1, 17, 400, 2**62])
def test_a_partial_approval_is_the_largest_that_fits(ratio: int, available: int) -> None:
    fits = largest_within(ratio, 2**63 - 1, available)
    assert decrement(ratio, fits) <= max(0, available)
    if fits < 2**63 - 1:
        assert decrement(ratio, fits + 1) > max(0, available)


def test_a_pool_below_zero_counts_as_empty_and_is_shown_as_it_is() -> None:
    inventory = PlainInventory()
    inventory.add("X", -50)
    change = decided(desk_of(inventory), request(quantity=1))
    assert (change.after.state, change.after.reason) == (State.REJECTED, Reason.INSUFFICIENT_INVENTORY)
    assert change.evidence is not None
    assert change.evidence.pool_before == -50


def test_what_cannot_be_had_waits_where_asked_and_is_given_when_the_pool_grows_oldest_first() -> None:
    inventory = PlainInventory()
    security = inventory.add("X", 0)
    desk = desk_of(inventory)
    waiting: dict[str, Any] = {"allow_partial": False, "on_insufficient": OnInsufficient.PEND}
    old = decided(desk, request(quantity=300, **waiting)).after
    young = decided(desk, request(quantity=300, **waiting)).after
    assert (old.state, old.decrement, desk.pending_count) == (State.PENDING, 0, 2)
    assert desk.retry_pending(NOON_NS) == []
    inventory.gross[security] = 400
    changes = desk.retry_pending(NOON_NS + 1)
    assert [(c.after.sequence, c.after.state) for c in changes] == [(old.sequence, State.APPROVED)]
    desk.settle(changes[0])
    assert desk.get(young.sequence).state == State.PENDING
    assert (desk.live_count, desk.pending_count, inventory.left(security)) == (1, 1, 100)


def test_stale_inputs_approve_nothing_until_they_are_fresh() -> None:
    inventory = PlainInventory()
    inventory.add("X", 150)
    inventory.stale = True
    desk = desk_of(inventory)
    first, second = (decided(desk, request(quantity=100, allow_partial=False)).after for _ in range(2))
    assert (first.state, first.reason) == (State.PENDING, Reason.STALE_INPUTS)
    inventory.stale = False
    again = desk.retry_pending(NOON_NS)
    assert [(c.after.sequence, c.after.state, c.after.reason) for c in again] == [
        (first.sequence, State.APPROVED, None),
        (second.sequence, State.REJECTED, Reason.INSUFFICIENT_INVENTORY),
    ]
    for change in again:
        desk.settle(change)
    assert (desk.live_count, desk.pending_count) == (1, 0)


def test_the_restricted_list_is_refused_even_when_inputs_are_stale() -> None:
    inventory = PlainInventory()
    inventory.add("X", 1_000, Temperature.RESTRICTED)
    inventory.stale = True
    locate = decided(desk_of(inventory), request()).after
    assert (locate.state, locate.reason, locate.rule.id) == (State.REJECTED, Reason.RESTRICTED_LIST, "restricted")


def test_an_unknown_security_is_refused_and_kept() -> None:
    locate = decided(desk_of(PlainInventory()), request("NOWHERE")).after
    assert (locate.state, locate.reason) == (State.REJECTED, Reason.SECURITY_NOT_FOUND)


def test_long_locates_have_a_pool_of_their_own() -> None:
    inventory = PlainInventory()
    security = inventory.add("X", 1_000, firm_long=300, client_free=200)
    desk = desk_of(inventory)
    asked = request(quantity=400, type=LocateType.LONG)
    first, second = decided(desk, asked), decided(desk, asked)
    assert (first.after.decrement, second.after.approved) == (400, 100)
    assert second.evidence is not None
    assert second.evidence.pool_before == 100
    assert inventory.left(security) == 1_000
    assert (desk.held("X", LocateType.LONG), desk.held("X")) == (500, 0)


def test_a_rule_holds_on_its_days_only() -> None:
    rules = shipped_rules()
    stop = DecisionRule(
        id="halt",
        version=3,
        note="",
        action=Action.REJECT,
        reason=Reason.MARKET_RESTRICTION,
        markets=frozenset({"JP"}),
        effective_from=dt.date(2026, 9, 21),
        effective_to=dt.date(2026, 9, 21),
        priority=1,
    )
    inventory = PlainInventory()
    inventory.add("X", 1_000, market="JP")
    desk = LocateDesk(inventory, replace(rules, decisions=(stop, *rules.decisions)))
    tokyo_day = int(dt.datetime(2026, 9, 20, 15, 0, tzinfo=dt.UTC).timestamp()) * 10**9  # midnight in Tokyo
    outcomes = [desk.decide(request(), tokyo_day + h * 3_600 * 10**9, CLOSE_NS) for h in (-1, 0, 23, 24)]
    assert [c.after.state == State.REJECTED for c in outcomes] == [False, True, True, False]
    assert outcomes[1].after.rule.version == 3


def test_no_rule_leaves_it_to_a_person_and_takes_all_of_it() -> None:
    inventory = PlainInventory()
    inventory.add("X", 1_000)
    change = decided(LocateDesk(inventory, LocateRules(decisions=(), decrements=())), request())
    assert change.after.state == State.PENDING
    assert change.evidence is not None
    assert change.evidence.ratio_basis_points == 10_000


@pytest.mark.parametrize("end", ["release", "cancel", "expire"])
def test_an_end_gives_the_decrement_back_once_and_only_when_it_is_kept(end: str) -> None:
    inventory = PlainInventory()
    security = inventory.add("X", 1_000, market="JP")
    desk = desk_of(inventory)
    sequence = decided(desk, request(quantity=600)).after.sequence
    change = getattr(desk, end)(sequence, NOON_NS)
    assert inventory.left(security) == 400
    with pytest.raises(LocateBusyError):
        getattr(desk, end)(sequence, NOON_NS)
    desk.undo(change)
    assert inventory.left(security) == 400
    desk.settle(getattr(desk, end)(sequence, NOON_NS))
    assert inventory.left(security) == 1_000
    with pytest.raises(NoSuchLocateError):
        getattr(desk, end)(sequence, NOON_NS)


def test_a_pending_request_may_be_withdrawn_but_not_released() -> None:
    inventory = PlainInventory()
    inventory.add("X", 0)
    desk = desk_of(inventory)
    sequence = decided(desk, request(on_insufficient=OnInsufficient.PEND)).after.sequence
    with pytest.raises(WrongStateError):
        desk.release(sequence, NOON_NS)
    change = desk.cancel(sequence, NOON_NS, "anna", "not needed")
    desk.settle(change)
    assert (change.after.state, change.after.changed_by, change.after.remark) == (State.CANCELLED, "anna", "not needed")
    assert desk.pending_count == 0


def test_a_decision_that_could_not_be_kept_has_not_happened() -> None:
    inventory = PlainInventory()
    security = inventory.add("X", 1_000)
    desk = desk_of(inventory)
    change = desk.decide(request(quantity=700), NOON_NS, CLOSE_NS)
    desk.undo(change)
    assert inventory.left(security) == 1_000
    assert desk.live_count == 0
    assert desk.expire_due(CLOSE_NS) == []


def test_locates_end_at_their_time_and_one_that_could_not_be_written_ends_later() -> None:
    inventory = PlainInventory()
    security = inventory.add("X", 1_000)
    desk = desk_of(inventory)
    decided(desk, request(quantity=100))
    desk.settle(desk.decide(request(quantity=200), NOON_NS, CLOSE_NS + 1))
    assert desk.expire_due(CLOSE_NS - 1) == []
    (change,) = desk.expire_due(CLOSE_NS)
    assert desk.expire_due(CLOSE_NS) == []
    desk.undo(change)
    (change,) = desk.expire_due(CLOSE_NS)
    desk.settle(change)
    assert (change.after.state, inventory.left(security)) == (State.EXPIRED, 800)


def test_after_a_restart_everything_is_held_again_even_before_the_securities_are_known() -> None:
    before = PlainInventory()
    before.add("X", 1_000, market="JP")
    old = desk_of(before)
    kept = [decided(old, request(quantity=quantity)).after for quantity in (600, 300)]
    inventory = PlainInventory()
    desk = desk_of(inventory)
    desk.restore(kept, last_sequence=17)
    security = inventory.add("X", 1_000, market="JP")
    change = decided(desk, request(quantity=500))
    assert (change.after.approved, change.after.sequence) == (100, 18)
    assert inventory.decided(security, Decided.SHORT_LOCATES) == 1_000
    desk.check()
    desk.settle(desk.release(kept[0].sequence, NOON_NS))
    assert inventory.decided(security, Decided.SHORT_LOCATES) == 400
    desk.check()


def told(inventory: PlainInventory, security: int) -> tuple[int, int, int, int]:
    """Decrements and approved quantities of short locates, then those of long ones."""
    return (
        inventory.decided(security, Decided.SHORT_LOCATES),
        inventory.decided(security, Decided.APPROVED_SHORT_LOCATES),
        inventory.decided(security, Decided.LONG_LOCATES),
        inventory.decided(security, Decided.APPROVED_LONG_LOCATES),
    )


def test_the_inventory_is_told_what_locates_hold_and_what_was_approved() -> None:
    inventory = PlainInventory()
    security = inventory.add("X", 1_000, Temperature.GC, "JP")
    desk = desk_of(inventory)
    short = decided(desk, request(quantity=500)).after
    assert told(inventory, security) == (100, 500, 0, 0)
    long = decided(desk, request(quantity=300, type=LocateType.LONG)).after
    assert told(inventory, security) == (100, 500, 300, 300)
    ending = desk.release(short.sequence, NOON_NS)
    assert told(inventory, security) == (100, 0, 300, 300), "an end gives back when it is settled, but is not sold on"
    desk.settle(ending)
    assert told(inventory, security) == (0, 0, 300, 300)
    desk.check()
    again = desk_of(inventory)
    again.restore([long], long.sequence)
    again.check()
    assert told(inventory, security) == (0, 0, 300, 300)


def test_an_approval_that_cannot_be_kept_was_never_told() -> None:
    inventory = PlainInventory()
    security = inventory.add("X", 1_000, Temperature.GC, "US")
    desk = desk_of(inventory)
    change = desk.decide(request(quantity=500), NOON_NS, CLOSE_NS)
    assert told(inventory, security) == (0, 0, 0, 0), "nobody may sell on what is not kept yet"
    desk.undo(change)
    assert told(inventory, security) == (0, 0, 0, 0)


def test_a_difference_between_locates_and_inventory_stops_the_desk() -> None:
    inventory = PlainInventory()
    security = inventory.add("X", 1_000)
    desk = desk_of(inventory)
    decided(desk, request(quantity=600))
    inventory.told[security, Decided.SHORT_LOCATES] = 599
    with pytest.raises(LocateInvariantError):
        desk.check()


def test_the_evidence_tells_what_the_decision_was_made_on() -> None:
    inventory = PlainInventory()
    inventory.add("X", 1_000, market="JP")
    positions = (FeedPosition("ims.events", 3, 4711),)
    asked = request(quantity=250, requested_by="anna")
    change = desk_of(inventory).decide(asked, NOON_NS, CLOSE_NS, Facts(asked_as="X@JP", feed_positions=positions))
    evidence = change.evidence
    assert evidence is not None
    assert (evidence.decision_rule.id, evidence.decrement_rule.id) == ("up-to-the-pool", "hard-to-borrow")
    assert (evidence.pool_before, evidence.pool_after) == (1_000, 750)
    assert evidence.terms["firm_long"] == 1_000
    assert evidence.terms["located"] == 0
    assert (evidence.as_of_ns, evidence.decided_ns) == (NOON_NS - 1, NOON_NS)
    assert (evidence.requested_by, evidence.decided_by) == ("anna", "rules")
    assert (evidence.feed_positions, change.after.asked_as) == (positions, "X@JP")


def test_a_pending_request_whose_approval_could_not_be_kept_waits_again() -> None:
    inventory = PlainInventory()
    security = inventory.add("X", 0)
    desk = desk_of(inventory)
    decided(desk, request(quantity=300, on_insufficient=OnInsufficient.PEND))
    inventory.gross[security] = 300
    (change,) = desk.retry_pending(NOON_NS)
    assert inventory.left(security) == 0
    desk.undo(change)
    assert (inventory.left(security), desk.pending_count, desk.waiting("X")) == (300, 1, True)
    (change,) = desk.retry_pending(NOON_NS)
    assert (change.after.state, change.after.approved) == (State.APPROVED, 300)


def test_what_waits_is_served_by_priority_then_by_age() -> None:
    inventory = PlainInventory()
    security = inventory.add("X", 0, market="JP")
    desk = desk_of(inventory)
    pends: dict[str, Any] = {"on_insufficient": OnInsufficient.PEND, "allow_partial": False}
    old, young, urgent = (
        decided(desk, request(quantity=100, priority=priority, **pends)).after.sequence for priority in (0, 0, 5)
    )
    inventory.gross[security] = 250
    changes = desk.retry_pending(NOON_NS + 1)
    assert [(change.after.sequence, change.after.approved) for change in changes] == [(urgent, 100), (old, 100)]
    assert desk.get(young).state == State.PENDING


def test_rules_are_asked_about_the_request_its_security_and_what_was_located_today() -> None:
    inventory = PlainInventory()
    security = inventory.add("X", 10_000, Temperature.WARM, "JP", firm_long=10_000)
    inventory.references[security] = Reference("CN", "ETF", 12_500, True, False, 7, 8, "JPY", 2_000_000, 365)
    desk = desk_of(inventory)
    decided(desk, request(quantity=300))
    desk.settle(desk.release(1, NOON_NS))
    desk.settle(desk.decide(LocateRequest(security="X", client="D", quantity=50), NOON_NS, CLOSE_NS))
    desk.undo(desk.decide(request(quantity=11), NOON_NS, CLOSE_NS))
    asked = request(quantity=100, intraday_cover=True, settlement=Settlement.SWAP)
    change = decided(desk, asked)
    assert change.evidence is not None
    assert change.evidence.subject == Subject(
        market="JP",
        temperature="WARM",
        type=LocateType.SHORT,
        date=dt.date(2026, 9, 21),
        country="CN",
        classification="ETF",
        client="FUND1",
        quantity=100,
        pool=9_950,
        rate=12_500,
        located_today_client=300,
        located_today_security=350,
        designated=True,
        volume_30d=7,
        outstanding=8,
        settlement="swap",
        intraday_cover=True,
    )
    assert change.evidence.held == 50
    assert (change.after.fee, change.after.cost, change.after.currency) == (12_500, round(100 * 2 * 1.25 / 365), "JPY")


def test_other_rules_decide_at_once_and_judge_what_waits_anew() -> None:
    inventory = PlainInventory()
    inventory.add("X", 1_000, market="JP")
    desk = desk_of(inventory)
    desk.use(LocateRules())
    waiting = decided(desk, request()).after
    assert (waiting.state, waiting.rule.id) == (State.PENDING, "none")
    assert desk.retry_pending(NOON_NS) == []
    desk.use(shipped_rules())
    (change,) = desk.retry_pending(NOON_NS)
    assert (change.after.state, change.after.rule.id) == (State.APPROVED, "up-to-the-pool")


def test_located_yesterday_is_not_located_today() -> None:
    today = LocatedToday()
    day_ns = 86_400 * 10**9
    today.add("X", "C", NOON_NS - day_ns, 5)
    today.add("X", "C", NOON_NS, 7)
    today.add("Y", "D", NOON_NS, 11)
    assert today.of(["X"], "C", NOON_NS - day_ns // 2) == (7, 7)
    assert today.of(["X", "Y"], "C", NOON_NS - day_ns) == (12, 23)
    today.add("X", "C", NOON_NS + 3 * day_ns, 1)
    assert today.of(["X"], "C", NOON_NS - day_ns) == (1, 1)


def test_what_is_good_for_a_later_day_has_to_be_there_when_a_trade_of_that_day_settles() -> None:
    inventory = PlainInventory()
    security = inventory.add("X", 1_000, Temperature.HTB, "US")
    inventory.later[security] = 300
    desk = desk_of(inventory)
    later = decided(desk, request(quantity=500, good_for=dt.date(2026, 9, 25))).after
    assert (later.state, later.approved, later.reason) == (
        State.PARTIALLY_APPROVED,
        300,
        Reason.INSUFFICIENT_INVENTORY,
    )
    assert decided(desk, request(quantity=700)).after.state == State.APPROVED
    inventory.later[security] = 5_000
    late = decided(desk, request(quantity=1, good_for=dt.date(2026, 9, 25))).after
    assert late.state == State.REJECTED, "what comes later does not make today's stock more"


@pytest.mark.parametrize("how", ["release", "use_up"])
def test_what_is_good_for_a_later_day_and_ended_holds_until_the_next_close_only(how: str) -> None:
    inventory = PlainInventory()
    security = inventory.add("X", 1_000, Temperature.HTB, "US")
    desk = LocateDesk(inventory, shipped_rules(), lambda _market, _now_ns: CLOSE_NS)
    desk.settle(desk.decide(request(quantity=600), NOON_NS, CLOSE_NS + 10**15))
    for keep in (False, True):
        change = desk.release(1, NOON_NS) if how == "release" else desk.use_up(1, 600, NOON_NS, "oms")
        (desk.settle if keep else desk.undo)(change)
        assert inventory.left(security) == 400
        due = desk.expire_due(CLOSE_NS)
        assert [each.after.state for each in due] == ([State.EXPIRED] if keep else [])
    desk.settle(due[0])
    assert inventory.left(security) == 1_000
    desk.check()
