"""What other rules would have decided on requests of the past, against what was decided.

Each request is judged as it was then: by the subject, the terms and the live decrements of its evidence. What other decisions
would have left in the pool for the requests after them is not followed.
"""

from collections.abc import Mapping

from msgspec import Struct

from engine.locate_rules import LocateRules
from engine.locate_verdict import verdict
from engine.locates import LocateRequest, Reason, RuleUsed, State, Subject


class Outcome(Struct, frozen=True):
    """What was, or would have been, decided. `by`: "rules" or a person."""

    state: State
    reason: Reason | None
    approved: int
    decrement: int
    rule: RuleUsed
    by: str = "rules"

    def same(self, other: "Outcome") -> bool:
        """Whether it comes to the same for the client and for the pool, by whatever rule."""
        return (self.state, self.reason, self.approved, self.decrement) == (
            other.state,
            other.reason,
            other.approved,
            other.decrement,
        )


class Past(Struct, frozen=True):
    """A decision as it is kept. `first`: the request's first; `subject` None: kept before there were subjects."""

    sequence: int
    at_ns: int
    first: bool
    request: LocateRequest
    outcome: Outcome
    subject: Subject | None
    terms: Mapping[str, int]
    held: int


class Line(Struct):
    """A request that would have been decided otherwise. `later`: the newest decision of the period on one that was pending."""

    sequence: int
    at_ns: int
    request: LocateRequest
    was: Outcome
    would: Outcome
    later: Outcome | None = None


class Count(Struct):
    """Requests, and their shares."""

    requests: int = 0
    asked: int = 0
    approved: int = 0
    decrement: int = 0

    def add(self, request: LocateRequest, outcome: Outcome) -> None:
        """One request more."""
        self.requests += 1
        self.asked += request.quantity
        self.approved += outcome.approved
        self.decrement += outcome.decrement


class Sides(Struct):
    """The same requests, as they were decided and as they would have been."""

    was: Count
    would: Count


class Reviews(Struct):
    """Requests left to a person. `spared`: those on which rules would have decided; `decided`: those on which a person did, in
    the period; `decided_alike`: those of both for which it comes to the same quantity."""

    was: int = 0
    would: int = 0
    spared: int = 0
    decided: int = 0
    decided_alike: int = 0


class DryRun:
    """Decisions of the past, oldest first, judged anew by `rules`; `most_lines`: how many are kept of those that differ."""

    def __init__(self, rules: LocateRules, most_lines: int) -> None:
        self.requests = 0
        self.differ = 0
        self.unknown = 0
        """Requests whose evidence is older than subjects, or on securities that nobody knew: not judged."""
        self.total = Sides(Count(), Count())
        self.states: dict[tuple[State, State], Sides] = {}
        """By the state that was and the state that would have been."""
        self.rules: dict[RuleUsed, Sides] = {}
        """By the rule: what it decided, and what it would decide."""
        self.lines: list[Line] = []
        self._rules = rules
        self._most_lines = most_lines
        self._waiting: dict[int, Line] = {}

    def add(self, past: Past) -> None:
        """One decision more."""
        if not past.first:
            if past.sequence in self._waiting:
                self._waiting[past.sequence].later = past.outcome
            return
        if past.subject is None:
            self.unknown += 1
            return
        request, was = past.request, past.outcome
        would = self._judged(request, past.subject, past)
        self.requests += 1
        for sides in (self.total, self.states.setdefault((was.state, would.state), Sides(Count(), Count()))):
            sides.was.add(request, was)
            sides.would.add(request, would)
        self._of(was.rule).was.add(request, was)
        self._of(would.rule).would.add(request, would)
        line = Line(past.sequence, past.at_ns, request, was, would)
        if was.state == State.PENDING:
            self._waiting[past.sequence] = line
        if not was.same(would):
            self.differ += 1
            if len(self.lines) < self._most_lines:
                self.lines.append(line)

    def reviews(self) -> Reviews:
        """What the rules left to people."""
        found = Reviews()
        for (was, would), sides in self.states.items():
            found.was += sides.was.requests if was == State.PENDING else 0
            found.would += sides.would.requests if would == State.PENDING else 0
            found.spared += sides.was.requests if was == State.PENDING != would else 0
        for line in self._waiting.values():
            if line.later is not None and line.later.by != "rules":
                found.decided += 1
                spared = line.would.state != State.PENDING
                found.decided_alike += spared and line.would.approved == line.later.approved
        return found

    def _of(self, rule: RuleUsed) -> Sides:
        return self.rules.setdefault(rule, Sides(Count(), Count()))

    def _judged(self, request: LocateRequest, subject: Subject, past: Past) -> Outcome:
        found = verdict(self._rules, request, subject, past.terms, past.held)
        rule = RuleUsed(found.rule.id, found.rule.version)
        return Outcome(found.state, found.reason, found.approved, found.decrement, rule)
