"""The one desk that promises shares: decision and reservation are one step, and every decrement is given back once.

Every door returns a `Change` that somebody journals, then calls `settle` for, or `undo` where it could not be kept.
Until then all is counted as if the worse of the two had come true: a decision takes its decrement at once, and may be
sold on when it is settled; an end gives back when it is settled, and is not sold on at once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from engine.holdings import Holdings
from engine.locate_book import LocateBook
from engine.locate_close import Leaning
from engine.locate_counts import DECREMENTS, at_once, counted, difference, shares_of
from engine.locate_judgement import (
    Facts,
    Inventory,
    Outcome,
    Standing,
    day_of,
    decided,
    fingerprint,
    judge,
    judge_by_hand,
)
from engine.locate_queue import Fingerprint
from engine.locate_rules import LocateRules
from engine.locate_today import LocatedToday
from engine.locates import ENDED_EARLY, NEXT, Change, Locate, LocateRequest, LocateType, Reason, State
from engine.model import Decided, Market

MAX_OPEN: Final = 1_000_000
MAX_CHANGES: Final = 1_000
"""The most that one `expire_due` or `retry_pending` returns: what is left comes with the next."""


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
    """All open locates and what they hold, per security. `closes`: when a market closes next after a time, UTC nanoseconds."""

    def __init__(
        self, inventory: Inventory, rules: LocateRules, closes: Callable[[Market, int], int] | None = None
    ) -> None:
        self._inventory = inventory
        self._rules = rules
        self._closes = closes
        self._book = LocateBook()
        self._moving: dict[int, Change] = {}
        """What is not settled."""
        self._holdings = Holdings(inventory, LocateInvariantError)
        self._today = LocatedToday()
        self.leaning = Leaning()
        """What was sold since locates followed last; see `engine.locate_usage`."""
        self._next = 1

    @property
    def live_count(self) -> int:
        """Locates that may still be sold on."""
        return self._book.live_count

    @property
    def pending_count(self) -> int:
        """Requests that wait."""
        return self._book.queue.count

    def use(self, rules: LocateRules) -> None:
        """Decide by other rules from now on; what waits is judged by them at the next `retry_pending`."""
        self._rules = rules
        self._book.queue.again()

    def waiting(self, security: str) -> bool:
        """Whether requests for a security, by a code that leads to it, are pending."""
        return bool(self._book.queue.count) and any(
            code in self._book.queue for code in self._holdings.together(security)
        )

    def codes_of(self, security: str) -> Sequence[str]:
        """The codes under which locates on a security, by a code that leads to it, were asked for."""
        return self._holdings.together(security)

    def held(self, security: str, kind: LocateType = LocateType.SHORT) -> int:
        """Decrements on a security, by a code that leads to it; includes what is not settled."""
        return self._holdings.held(security).get(DECREMENTS[kind], 0)

    def held_of(self, security: str, client: str) -> dict[Decided, int]:
        """What a client's locates on a security, by a code that leads to it, count for; includes what is not settled."""
        return self._holdings.held(security, ("client", client))

    def located_by(self, client: str) -> set[int]:
        """The securities in which a client's locates count for something."""
        return self._holdings.securities_of(("client", client))

    def clients_with(self, security: str) -> set[str]:
        """Whose locates on a security, by a code that leads to it, count for something."""
        return self._holdings.owners(security, "client")

    def largest_holders(self, most: int) -> list[tuple[str, str, dict[Decided, int]]]:
        """Who holds most: security, by a code that leads to it, client, and what its locates count for; largest first."""
        return self._holdings.largest("client", most)

    def live_of(self, security: str, client: str, kind: LocateType) -> list[Locate]:
        """A client's live locates on a security, by a code that leads to it, that are kept for good; oldest first."""
        live = self._book.live_of(self._holdings.together(security), client, kind)
        return [locate for locate in live if not self._opening(locate.sequence)]

    @property
    def any_shrunk(self) -> bool:
        """Whether a market closes so soon that some locates hold less than by their ratio."""
        return bool(self._book.shrunk)

    def serves(self, sequence: int, security: str, client: str, kind: LocateType) -> bool:
        """Whether that locate is live, and the client's on that security."""
        return any(locate.sequence == sequence for locate in self.live_of(security, client, kind))

    def moving(self, sequence: int) -> bool:
        """Whether a change of it is not settled."""
        return sequence in self._moving

    def get(self, sequence: int) -> Locate:
        """Raises `NoSuchLocateError` unless the locate is open."""
        locate = self._book.get(sequence)
        if locate is None:
            raise NoSuchLocateError(sequence)
        return locate

    # doors

    def quote(self, request: LocateRequest, now_ns: int, facts: Facts = Facts()) -> Outcome:  # noqa: B008  frozen
        """What would be decided now; holds nothing."""
        security = self._holdings.id(request.security)
        standing = self._standing(request, security, now_ns) if security else Standing()
        return judge(self._inventory, self._rules, request, security, standing, now_ns, facts)

    def decide(self, request: LocateRequest, now_ns: int, expires_ns: int, facts: Facts = Facts()) -> Change:  # noqa: B008  frozen
        """Decide and, where approved, take the decrement.

        `request.security` is the security's own code wherever it is known. Raises `LocateDeskFullError`.
        """
        if len(self._book) >= MAX_OPEN:
            raise LocateDeskFullError(f"{MAX_OPEN:,} locates are open")
        outcome = self.quote(request, now_ns, facts)
        locate = Locate(
            sequence=self._next,
            request=request,
            asked_as=facts.asked_as or request.security,
            used=0,
            received_ns=now_ns,
            updated_ns=now_ns,
            expires_ns=expires_ns,
            created_by=facts.created_by,
            **decided(outcome, facts),
        )
        self._next += 1
        if locate.open:
            self._book.watch(locate)
        return self._move(None, locate, outcome)

    def release(self, sequence: int, now_ns: int, by: str = "", remark: str = "") -> Change:
        """The client gives back what it has not used."""
        return self.end(sequence, State.RELEASED, now_ns, by, remark)

    def cancel(self, sequence: int, now_ns: int, by: str = "", remark: str = "") -> Change:
        """The client withdraws a locate, or a request still pending."""
        return self.end(sequence, State.CANCELLED, now_ns, by, remark)

    def expire(self, sequence: int, now_ns: int) -> Change:
        """Its time is over."""
        return self.end(sequence, State.EXPIRED, now_ns, "clock")

    def end(self, sequence: int, state: State, now_ns: int, by: str = "", remark: str = "") -> Change:
        """What was used stays held until the market's close, and all of it where nothing may be promised twice a day.

        Raises `NoSuchLocateError`, `LocateBusyError`, or `WrongStateError` where this end is not open to it.
        """
        locate = self._at_rest(sequence)
        if state not in NEXT[locate.state] or state in NEXT.keys() - ENDED_EARLY:
            raise WrongStateError(f"a {locate.state} locate cannot become {state}")
        after = replace(locate, state=state, decrement=0, updated_ns=now_ns, changed_by=by, remark=remark)
        if state in ENDED_EARLY:
            kept = locate.used if locate.reuse else locate.decrement
            after = replace(after, decrement=kept, expires_ns=self._until(locate, now_ns))
        return self._move(locate, after)

    def use_up(self, sequence: int, shares: int, now_ns: int, by: str) -> Change:
        """So many more shares are sold on it. Raises as `end`, also for more than remain."""
        locate = self._at_rest(sequence)
        if not 0 < shares <= locate.remaining:
            raise WrongStateError(f"{locate.remaining:,} shares remain of the locate, not {shares:,}")
        used = locate.used + shares
        after = replace(locate, used=used, updated_ns=now_ns, changed_by=by)
        if used == locate.approved:
            after = replace(after, state=State.EXHAUSTED, expires_ns=self._until(locate, now_ns))
        return self._move(locate, replace(after, decrement=max(locate.decrement, used)))

    def follow(self, sequence: int, working: int, now_ns: int) -> Change | None:
        """Near the close a live locate holds what is used and what `working` orders may use, and no more than by its ratio.

        None where it holds that already. Raises as `end`.
        """
        locate = self._at_rest(sequence)
        held = min(locate.full, locate.used + working)
        if not locate.live or not locate.reuse or held == locate.decrement:
            return None
        return self._move(locate, replace(locate, decrement=held, updated_ns=now_ns, changed_by="clock"))

    def nearing(self, until_ns: int) -> list[Locate]:
        """Live locates that expire until then; each is told once."""
        return self._book.nearing(until_ns, MAX_CHANGES)

    def decide_by_hand(self, sequence: int, quantity: int, now_ns: int, facts: Facts, remark: str = "") -> Change:
        """A person approves so much of a pending request, or rejects it (0). Raises as `end`, and what `judge_by_hand` does."""
        locate = self._undecided(sequence)
        request, security = locate.request, self._holdings.id(locate.request.security)
        if not security:
            raise WrongStateError(f"{request.security} is not known at the moment")
        standing = self._standing(request, security, now_ns)
        outcome = judge_by_hand(self._inventory, self._rules, request, security, standing, quantity, now_ns, facts)
        return self._redecided(locate, outcome, now_ns, facts, remark)

    def ask(self, sequence: int, question: str, now_ns: int, by: str) -> Change:
        """A person wants to know more before deciding: it stays pending, with the question. Raises as `decide_by_hand`."""
        locate = self._undecided(sequence)
        return self._move(locate, replace(locate, updated_ns=now_ns, changed_by=by, remark=question))

    def expire_due(self, now_ns: int) -> list[Change]:
        """Ends of the locates whose time has come, oldest first."""
        return [self.expire(sequence, now_ns) for sequence in self._book.due(now_ns, MAX_CHANGES, self._moving)]

    def retry_pending(
        self,
        now_ns: int,
        facts: Facts = Facts(),  # noqa: B008  frozen
        security: str | None = None,
    ) -> list[Change]:
        """Decide pending requests (of one security only) again where its inventory has changed: higher priority first, then
        older."""
        changes: list[Change] = []
        for code in self._book.queue.codes() if security is None else [security]:
            codes = [each for each in self._holdings.together(code) if each in self._book.queue]
            now = self._fingerprint(code) if codes else ()
            if self._book.queue.tried(codes, now):
                continue
            for sequence in self._book.queue.in_order(codes):
                if len(changes) >= MAX_CHANGES:
                    return changes
                if sequence not in self._moving:
                    changes += self._again(self.get(sequence), now_ns, facts)
            self._book.queue.note([each for each in codes if each in self._book.queue], self._fingerprint(code))
        return changes

    def settle(self, change: Change) -> None:
        """The change is kept for good: what an ended locate held goes back to the pool."""
        before, after = change.before, change.after
        del self._moving[after.sequence]
        taken = at_once(before, after)
        self._count(after, {what: shares - taken[what] for what, shares in difference(before, after).items()})
        if before is not None and not after.open:
            self._book.show(before, None)
        if after.state == State.PENDING:
            self._book.queue.again(after.request.security)  # the pool may have grown since it was judged

    def undo(self, change: Change) -> None:
        """The change could not be kept: it has not happened."""
        before, after = change.before, change.after
        del self._moving[after.sequence]
        self._count(after, {what: -shares for what, shares in at_once(before, after).items()})
        self._located(before, after, -1)
        if after.open:
            self._book.show(after, before)
        if before is not None:
            self._book.queue.again(before.request.security)
            self._book.watch(before)

    def restore(
        self, locates: Iterable[Locate], last_sequence: int, located: Iterable[tuple[str, str, int, int]] = ()
    ) -> None:
        """Take over what a journal kept: open locates, oldest first, the newest number ever given, and what was located in the
        last days: code, client, quarter of an hour since 1970, shares."""
        self._next = max(self._next, last_sequence + 1)
        kept = [locate for locate in locates if locate.open]
        self._holdings.expect(locate.request.security for locate in kept)
        for locate in kept:
            self._holdings.follow(locate.request.security)
            self._book.show(None, locate)
            self._count(locate, shares_of(locate))
            self._book.watch(locate)
            self._next = max(self._next, locate.sequence + 1)
        for code, client, quarter, shares in located:
            self._today.add_quarter(code, client, quarter, shares)
        self.place()

    def place(self) -> None:
        """Tell the inventory what is held of securities that codes have come to lead to: known now, merged, or split.

        What was located of a merged security under the code that stays is that code's, also when the merge is taken back.
        """
        self._holdings.renew()

    def check(self) -> None:
        """Add everything up anew. Raises `LocateInvariantError`."""
        self._holdings.check(counted(self._book, self._moving.values()))

    # parts

    def _at_rest(self, sequence: int) -> Locate:
        locate = self.get(sequence)
        if sequence in self._moving:
            raise LocateBusyError(sequence)
        return locate

    def _opening(self, sequence: int) -> bool:
        """Whether it is approved by a change that is not settled: nobody may sell on it yet."""
        change = self._moving.get(sequence)
        return change is not None and (change.before is None or not change.before.live)

    def _undecided(self, sequence: int) -> Locate:
        locate = self._at_rest(sequence)
        if locate.state != State.PENDING:
            raise WrongStateError(f"the locate is {locate.state} already")
        return locate

    def _standing(self, request: LocateRequest, security: int, now_ns: int) -> Standing:
        """What is located of a known security before this request."""
        code = request.security
        since_ns = day_of(self._inventory.market(security), now_ns)[1]
        today = self._today.of(self._holdings.together(code), request.client, since_ns)
        return Standing(self.held(code, request.type), *today)

    def _again(self, locate: Locate, now_ns: int, facts: Facts) -> Sequence[Change]:
        """A pending request judged anew: nothing, or its one change."""
        outcome = self.quote(locate.request, now_ns, facts)
        if (outcome.state, outcome.reason) == (locate.state, locate.reason):
            return ()
        if outcome.reason == Reason.SECURITY_NOT_FOUND:
            return ()  # known when it was asked for: the reference data is not back yet
        return (self._redecided(locate, outcome, now_ns, facts),)

    def _redecided(self, locate: Locate, outcome: Outcome, now_ns: int, facts: Facts, remark: str = "") -> Change:
        """A pending request with its new decision, which takes what it takes."""
        after = replace(locate, updated_ns=now_ns, remark=remark, **decided(outcome, facts))
        return self._move(locate, after, outcome)

    def _fingerprint(self, code: str) -> Fingerprint:
        return fingerprint(self._inventory, self._holdings.id(code))

    def _until(self, locate: Locate, now_ns: int) -> int:
        """How long one that has ended before its day holds what it must: not beyond the market's next close."""
        security = self._holdings.id(locate.request.security)
        if self._closes is None or not security:
            return locate.expires_ns
        return min(locate.expires_ns, self._closes(self._inventory.market(security), now_ns))

    def _move(self, before: Locate | None, after: Locate, outcome: Outcome | None = None) -> Change:
        """What it takes is taken now; what it gives waits for `settle`, and so does its end."""
        change = Change(before, after, outcome.evidence if outcome else None)
        self._moving[after.sequence] = change
        if after.open:
            self._holdings.follow(after.request.security)
            self._book.show(before, after)
            if before is not None and after.expires_ns != before.expires_ns:
                self._book.watch(after)
        self._count(after, at_once(before, after))
        self._located(before, after, 1)
        return change

    def _located(self, before: Locate | None, after: Locate, sign: int) -> None:
        """What was approved by this change counts as located on the day it was asked for."""
        if shares := after.approved - (before.approved if before else 0):
            self._today.add(after.request.security, after.request.client, after.received_ns, sign * shares)

    def _count(self, locate: Locate, shares: Mapping[Decided, int]) -> None:
        """Add to what is held of its security."""
        for what, more in shares.items():
            if more:
                self._holdings.add(locate.request.security, what, more, ("client", locate.request.client))
