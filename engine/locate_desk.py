"""The one desk that promises shares: decision and reservation are one step, and every decrement is given back once.

Every door returns a `Change` that somebody journals, then calls `settle` for, or `undo` where it could not be kept.
Until then the pool is counted as if the worse of the two had come true: a decision takes its decrement at once, the end
of a locate gives it back only when settled.
"""

import heapq
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

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
_COUNTED: Final = (*_DECREMENTS.values(), *_APPROVED.values())
"""What the inventory is told of locates."""


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
        self._counts: dict[Decided, dict[str, int]] = {what: {} for what in _COUNTED}
        self._clients: dict[tuple[str, str], dict[Decided, int]] = {}
        self._ids: dict[str, int] = {}
        self._unplaced: set[str] = set()
        self._pending: dict[str, set[int]] = {}
        self._tried: dict[str, tuple[object, ...]] = {}
        self._expiry: list[tuple[int, int]] = []
        self._next = 1
        self.pending_count = 0

    @property
    def live_count(self) -> int:
        return len(self._open) - self.pending_count

    def waiting(self, security: str) -> bool:
        """Whether requests for a security, by its own code, are pending."""
        return security in self._pending

    def held(self, security: str, kind: LocateType = LocateType.SHORT) -> int:
        """Live decrements on a security, by its own code; includes what is not settled."""
        return self._counts[_DECREMENTS[kind]].get(security, 0)

    def held_of(self, security: str, client: str) -> dict[Decided, int]:
        """What a client's live locates on a security, by its own code, count for; includes what is not settled."""
        return dict(self._clients.get((security, client), {}))

    def largest_holders(self, most: int) -> list[tuple[str, str, dict[Decided, int]]]:
        """Who holds most by live locates: security, by its own code, client, and what they count for; largest first."""
        placed = (each for each in self._clients.items() if each[0][0] not in self._unplaced)
        largest = heapq.nlargest(most, placed, key=lambda each: sum(each[1].values()))
        return [(security, client, dict(counts)) for (security, client), counts in largest]

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
        security = self._id(locate.request.security)
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
            if self._tried.get(code) == self._fingerprint(code):
                continue
            for sequence in sorted(self._pending.get(code, ())):
                if len(changes) >= MAX_CHANGES:
                    return changes
                if sequence not in self._moving:
                    changes += self._again(self._open[sequence], now_ns, facts)
            self._tried[code] = self._fingerprint(code)
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
        for locate in locates:
            self._open[locate.sequence] = locate
            self._unplaced.add(locate.request.security)
            self._take(locate)
            heapq.heappush(self._expiry, (locate.expires_ns, locate.sequence))
            self._next = max(self._next, locate.sequence + 1)
        self.place()

    def place(self) -> None:
        """Tell the inventory what is held of securities it has come to know since `restore`."""
        for code in list(self._unplaced):
            security = self._id(code)
            if security:
                self._unplaced.discard(code)
                self._publish(code, security)

    def check(self) -> None:
        """Add everything up anew. Raises `LocateInvariantError`."""
        sums: dict[Decided, dict[str, int]] = {what: {} for what in _COUNTED}
        for locate in self._open.values():
            for what, shares in _shares(locate):
                code = locate.request.security
                sums[what][code] = sums[what].get(code, 0) + shares
        for what, counted in self._counts.items():
            for code in counted.keys() | sums[what].keys():
                if counted.get(code, 0) != sums[what].get(code, 0):
                    raise LocateInvariantError(
                        f"{what.name} {code}: {counted.get(code, 0)} counted, locates say {sums[what].get(code, 0)}"
                    )
            for code in counted:
                security = self._id(code)
                if security and code not in self._unplaced:
                    self._agree(code, security, what)

    # parts

    def _judge(self, request: LocateRequest, now_ns: int, facts: Facts) -> Outcome:
        code = request.security
        if code in self._unplaced:
            self.place()
        held = self.held(code, request.type)
        return judge(self._inventory, self._rules, request, self._id(code), held, now_ns, facts)

    def _id(self, code: str) -> int:
        """The security's id, 0 where it is unknown; once known it stays."""
        security = self._ids.get(code, 0)
        if not security:
            security = self._inventory.security_id(code)
            if security:
                self._ids[code] = security
        return security

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
        security = self._id(code)
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
        code, client = locate.request.security, (locate.request.security, locate.request.client)
        for what, shares in _shares(locate):
            of_client = self._clients.setdefault(client, {})
            of_client[what] = of_client.get(what, 0) + sign * shares
            if not any(of_client.values()):
                del self._clients[client]
            counted = self._counts[what]
            total = counted.get(code, 0) + sign * shares
            if total < 0:
                raise LocateInvariantError(f"{code}: {-total} more shares given back than were taken")
            if total:
                counted[code] = total
            else:
                del counted[code]
            if code not in self._unplaced:
                self._tell(code, self._id(code), what)

    def _publish(self, code: str, security: int) -> None:
        for what, counted in self._counts.items():
            if code in counted:
                self._tell(code, security, what)

    def _tell(self, code: str, security: int, what: Decided) -> None:
        self._inventory.set_decided(security, what, self._counts[what].get(code, 0))
        self._agree(code, security, what)

    def _agree(self, code: str, security: int, what: Decided) -> None:
        told, ours = self._inventory.decided(security, what), self._counts[what].get(code, 0)
        if told != ours:
            raise LocateInvariantError(f"{code}: the inventory has {told} {what.name.lower()}, locates hold {ours}")


def _shares(locate: Locate) -> list[tuple[Decided, int]]:
    """What a live locate counts for, where it is not nothing."""
    if locate.state not in LIVE:
        return []
    kind = locate.request.type
    both = (_DECREMENTS[kind], locate.decrement), (_APPROVED[kind], locate.approved)
    return [(what, shares) for what, shares in both if shares]
