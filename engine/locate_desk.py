"""The one desk that promises shares: decision and reservation are one step, and every decrement is given back once.

Every door returns a `Change` that somebody journals, then calls `settle` for, or `undo` where it could not be kept.
Until then the pool is counted as if the worse of the two had come true: a decision takes its decrement at once, the end
of a locate gives it back only when settled.
"""

import heapq
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from engine.holdings import Holdings
from engine.locate_judgement import Facts, Inventory, Outcome, judge, judge_by_hand
from engine.locate_rules import LocateRules
from engine.locates import LIVE, NEXT, Change, Locate, LocateRequest, LocateType, Reason, State
from engine.model import Decided

MAX_OPEN: Final = 1_000_000
MAX_CHANGES: Final = 1_000
"""The most that one `expire_due` or `retry_pending` returns: what is left comes with the next."""
_DECREMENTS: Final = {LocateType.SHORT: Decided.SHORT_LOCATES, LocateType.LONG: Decided.LONG_LOCATES}
_APPROVED: Final = {
    LocateType.SHORT: Decided.APPROVED_SHORT_LOCATES,
    LocateType.LONG: Decided.APPROVED_LONG_LOCATES,
}


class LocateInvariantError(RuntimeError):
    """What live locates hold and what the inventory counts as located differ: the writer must stop."""


class LocateDeskFullError(RuntimeError):
    """More locates are open than the desk can hold."""


class NoSuchLocateError(LookupError):
    """No open locate has this number: never decided, or ended."""


class LocateBusyError(RuntimeError):
    """An earlier change of this locate is not settled."""


class WrongStateError(ValueError):
    """The locate cannot go from its state to the one asked for."""


class LocateDesk:
    """All open locates and what they hold, per security."""

    def __init__(self, inventory: Inventory, rules: LocateRules) -> None:
        self._inventory = inventory
        self._rules = rules
        self._open: dict[int, Locate] = {}
        self._moving: set[int] = set()
        self._holdings = Holdings(inventory, LocateInvariantError)
        self._pending: dict[str, set[int]] = {}
        self._tried: dict[str, tuple[object, ...]] = {}
        self._expiry: list[tuple[int, int]] = []
        self._next = 1
        self.pending_count = 0

    @property
    def live_count(self) -> int:
        return len(self._open) - self.pending_count

    def waiting(self, security: str) -> bool:
        """Whether requests for a security, by a code that leads to it, are pending."""
        return bool(self._pending) and any(code in self._pending for code in self._holdings.together(security))

    def codes_of(self, security: str) -> Sequence[str]:
        """The codes under which locates on a security, by a code that leads to it, were asked for."""
        return self._holdings.together(security)

    def held(self, security: str, kind: LocateType = LocateType.SHORT) -> int:
        """Live decrements on a security, by a code that leads to it; includes what is not settled."""
        return self._holdings.held(security).get(_DECREMENTS[kind], 0)

    def held_of(self, security: str, client: str) -> dict[Decided, int]:
        """What a client's live locates on a security, by a code that leads to it, count for; includes what is not settled."""
        return self._holdings.held(security, ("client", client))

    def largest_holders(self, most: int) -> list[tuple[str, str, dict[Decided, int]]]:
        """Who holds most by live locates: security, by a code that leads to it, client, and what they count for; largest
        first."""
        return self._holdings.largest("client", most)

    def get(self, sequence: int) -> Locate:
        """Raises `NoSuchLocateError` unless the locate is open."""
        try:
            return self._open[sequence]
        except KeyError:
            raise NoSuchLocateError(sequence) from None

    # doors

    def decide(self, request: LocateRequest, now_ns: int, expires_ns: int, facts: Facts = Facts()) -> Change:  # noqa: B008  frozen
        """Decide and, where approved, take the decrement.

        `request.security` is the security's own code wherever it is known. Raises `LocateDeskFullError`.
        """
        if len(self._open) >= MAX_OPEN:
            raise LocateDeskFullError(f"{MAX_OPEN:,} locates are open")
        outcome = self._judge(request, now_ns, facts)
        evidence = outcome.evidence
        locate = Locate(
            sequence=self._next,
            request=request,
            asked_as=facts.asked_as or request.security,
            state=outcome.state,
            reason=outcome.reason,
            rule=evidence.decision_rule,
            approved=outcome.approved,
            used=0,
            decrement=outcome.decrement,
            pool_before=evidence.pool_before,
            pool_after=evidence.pool_after,
            received_ns=now_ns,
            updated_ns=now_ns,
            expires_ns=expires_ns,
            as_of_ns=evidence.as_of_ns,
            fee=facts.fee,
            created_by=facts.created_by,
            changed_by=facts.decided_by,
        )
        self._next += 1
        self._moving.add(locate.sequence)
        if locate.open:
            self._open[locate.sequence] = locate
            heapq.heappush(self._expiry, (expires_ns, locate.sequence))
            self._take(locate)
        return Change(None, locate, evidence)

    def release(self, sequence: int, now_ns: int, by: str = "", remark: str = "") -> Change:
        """The client gives back what it has not used."""
        return self.end(sequence, State.RELEASED, now_ns, by, remark)

    def cancel(self, sequence: int, now_ns: int, by: str = "", remark: str = "") -> Change:
        """The client withdraws a locate, or a request still pending."""
        return self.end(sequence, State.CANCELLED, now_ns, by, remark)

    def expire(self, sequence: int, now_ns: int) -> Change:
        return self.end(sequence, State.EXPIRED, now_ns, "clock")

    def decide_by_hand(self, sequence: int, quantity: int, now_ns: int, facts: Facts, remark: str = "") -> Change:
        """A person approves so much of a pending request, or rejects it (0). Raises as `end`, and what `judge_by_hand` does."""
        locate = self._undecided(sequence)
        security = self._holdings.id(locate.request.security)
        if not security:
            raise WrongStateError(f"{locate.request.security} is not known at the moment")
        outcome = judge_by_hand(self._inventory, self._rules, locate.request, security, quantity, now_ns, facts)
        return self._redecided(locate, outcome, now_ns, facts, remark)

    def ask(self, sequence: int, question: str, now_ns: int, by: str) -> Change:
        """A person wants to know more before deciding: it stays pending, with the question. Raises as `decide_by_hand`."""
        locate = self._undecided(sequence)
        self._moving.add(sequence)
        after = replace(locate, updated_ns=now_ns, changed_by=by, remark=question)
        self._open[sequence] = after
        return Change(locate, after, None)

    def _undecided(self, sequence: int) -> Locate:
        locate = self.get(sequence)
        if sequence in self._moving:
            raise LocateBusyError(sequence)
        if locate.state != State.PENDING:
            raise WrongStateError(f"the locate is {locate.state} already")
        return locate

    def end(self, sequence: int, state: State, now_ns: int, by: str = "", remark: str = "") -> Change:
        """Raises `NoSuchLocateError`, `LocateBusyError`, or `WrongStateError` where this end is not open to it."""
        locate = self.get(sequence)
        if sequence in self._moving:
            raise LocateBusyError(sequence)
        if state not in NEXT[locate.state] or state in NEXT:
            raise WrongStateError(f"a {locate.state} locate cannot become {state}")
        self._moving.add(sequence)
        after = replace(locate, state=state, decrement=0, updated_ns=now_ns, changed_by=by, remark=remark)
        return Change(locate, after, None)

    def expire_due(self, now_ns: int) -> list[Change]:
        """Ends of the locates whose time has come, oldest first."""
        due: list[Change] = []
        later: list[tuple[int, int]] = []
        while self._expiry and self._expiry[0][0] <= now_ns and len(due) < MAX_CHANGES:
            entry = heapq.heappop(self._expiry)
            if entry[1] in self._moving:
                later.append(entry)
            elif entry[1] in self._open:
                due.append(self.expire(entry[1], now_ns))
        for entry in later:
            heapq.heappush(self._expiry, entry)
        return due

    def retry_pending(
        self,
        now_ns: int,
        facts: Facts = Facts(),  # noqa: B008  frozen
        security: str | None = None,
    ) -> list[Change]:
        """Decide pending requests (of one security only) again where its inventory has changed, oldest first."""
        changes: list[Change] = []
        for code in list(self._pending) if security is None else [security]:
            codes = [each for each in self._holdings.together(code) if each in self._pending]
            now = self._fingerprint(code) if codes else ()
            if all(self._tried.get(each) == now for each in codes):
                continue
            for sequence in sorted(sequence for each in codes for sequence in self._pending[each]):
                if len(changes) >= MAX_CHANGES:
                    return changes
                if sequence not in self._moving:
                    changes += self._again(self._open[sequence], now_ns, facts)
            self._tried |= dict.fromkeys(codes, self._fingerprint(code))
        return changes

    def settle(self, change: Change) -> None:
        """The change is kept for good: what an ended locate held goes back to the pool."""
        after = change.after
        self._moving.discard(after.sequence)
        if not after.open and change.before is not None:
            self._drop(change.before)
            del self._open[after.sequence]
        elif after.state == State.PENDING:
            self._tried.pop(after.request.security, None)  # the pool may have grown since it was judged

    def undo(self, change: Change) -> None:
        """The change could not be kept: it has not happened."""
        before, after = change.before, change.after
        self._moving.discard(after.sequence)
        if after.open:
            self._drop(after)
            del self._open[after.sequence]
            if before is not None:
                self._open[after.sequence] = before
                self._take(before)
        if before is not None:
            self._tried.pop(before.request.security, None)
            heapq.heappush(self._expiry, (before.expires_ns, before.sequence))

    def restore(self, locates: Iterable[Locate], last_sequence: int) -> None:
        """Take over what a journal kept: open locates, oldest first, and the newest number ever given."""
        self._next = max(self._next, last_sequence + 1)
        kept = list(locates)
        self._holdings.expect(locate.request.security for locate in kept)
        for locate in kept:
            self._open[locate.sequence] = locate
            self._take(locate)
            heapq.heappush(self._expiry, (locate.expires_ns, locate.sequence))
            self._next = max(self._next, locate.sequence + 1)
        self.place()

    def place(self) -> None:
        """Tell the inventory what is held of securities that codes have come to lead to: known now, merged, or split."""
        self._holdings.renew()

    def check(self) -> None:
        """Add everything up anew. Raises `LocateInvariantError`."""
        sums: dict[tuple[str, Decided], int] = {}
        for locate in self._open.values():
            for what, shares in _shares(locate):
                place = locate.request.security, what
                sums[place] = sums.get(place, 0) + shares
        self._holdings.check(sums)

    # parts

    def _judge(self, request: LocateRequest, now_ns: int, facts: Facts) -> Outcome:
        code = request.security
        held = self.held(code, request.type)
        return judge(self._inventory, self._rules, request, self._holdings.id(code), held, now_ns, facts)

    def _again(self, locate: Locate, now_ns: int, facts: Facts) -> Sequence[Change]:
        """A pending request judged anew: nothing, or its one change."""
        outcome = self._judge(locate.request, now_ns, facts)
        if (outcome.state, outcome.reason) == (locate.state, locate.reason):
            return ()
        if outcome.reason == Reason.SECURITY_NOT_FOUND:
            return ()  # known when it was asked for: the reference data is not back yet
        return (self._redecided(locate, outcome, now_ns, facts),)

    def _redecided(self, locate: Locate, outcome: Outcome, now_ns: int, facts: Facts, remark: str = "") -> Change:
        """A pending request with its new decision, which takes what it takes."""
        evidence = outcome.evidence
        after = replace(
            locate,
            state=outcome.state,
            reason=outcome.reason,
            rule=evidence.decision_rule,
            approved=outcome.approved,
            decrement=outcome.decrement,
            pool_before=evidence.pool_before,
            pool_after=evidence.pool_after,
            updated_ns=now_ns,
            as_of_ns=evidence.as_of_ns,
            changed_by=facts.decided_by,
            remark=remark,
        )
        self._moving.add(locate.sequence)
        if after.open:
            self._drop(locate)
            self._open[locate.sequence] = after
            self._take(after)
        return Change(locate, after, evidence)

    def _fingerprint(self, code: str) -> tuple[object, ...]:
        """Differs whenever a decision on the security might."""
        security = self._holdings.id(code)
        if not security:
            return (self._inventory.stale,)
        inventory = self._inventory
        terms = tuple(inventory.terms_of(security).values())
        left = inventory.left(security), inventory.left(security, long=True)
        return inventory.stale, inventory.temperature(security), left, terms

    def _take(self, locate: Locate) -> None:
        """An open locate comes in: it holds its decrement, or waits."""
        code = locate.request.security
        if locate.state == State.PENDING:
            self._holdings.follow(code)
            self._pending.setdefault(code, set()).add(locate.sequence)
            self.pending_count += 1
        self._count(locate, 1)

    def _drop(self, locate: Locate) -> None:
        """An open locate goes: what it held is free."""
        if locate.state == State.PENDING:
            waiting = self._pending[locate.request.security]
            waiting.remove(locate.sequence)
            self.pending_count -= 1
            if not waiting:
                del self._pending[locate.request.security]
                self._tried.pop(locate.request.security, None)
        self._count(locate, -1)

    def _count(self, locate: Locate, sign: int) -> None:
        """Add what a locate holds, or take it away."""
        request = locate.request
        for what, shares in _shares(locate):
            self._holdings.add(request.security, what, sign * shares, ("client", request.client))


def _shares(locate: Locate) -> list[tuple[Decided, int]]:
    """What a live locate counts for, where it is not nothing."""
    if locate.state not in LIVE:
        return []
    kind = locate.request.type
    both = (_DECREMENTS[kind], locate.decrement), (_APPROVED[kind], locate.approved)
    return [(what, shares) for what, shares in both if shares]
