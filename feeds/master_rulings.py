"""What people have decided of securities, in force: which value is right, and which security is another."""

from collections.abc import Container, Iterable, Mapping

from feeds import master_cases
from feeds.master_cases import Case, CaseState
from feeds.master_decisions import Decided, Decision, DecisionKind
from feeds.master_names import Ruling


class DecisionError(ValueError):
    """A decision that cannot be carried out as things are; the message says why."""


class Rulings:
    """Merges, splits and choices, from the first to the newest."""

    def __init__(self, decided: Iterable[Decided] = ()) -> None:
        self.merged: dict[str, str] = {}
        self.absorbed: dict[str, list[str]] = {}
        """By the security that stayed."""
        self.chosen: dict[str, Ruling] = {}
        """By the id of the exception."""
        self.merges: dict[str, Decided] = {}
        """By the security that went: the decision in force."""
        self.splits: list[Decided] = []
        """All of them, in order."""
        for one in decided:
            self.remember(one)

    def home(self, code: str) -> str:
        """The security that a code stands for."""
        while code in self.merged:
            code = self.merged[code]
        return code

    def remember(self, decided: Decided) -> None:
        """What a decision says from now on."""
        what = decided.decision
        if what.kind == DecisionKind.DECIDE:
            self.chosen[what.case] = Ruling(what.value, decided.considered)
            return
        if what.kind == DecisionKind.MERGE:
            self.merged[what.source] = what.target
            self.merges[what.source] = decided
            self.absorbed.setdefault(what.target, []).append(what.source)
            return
        self.splits.append(decided)
        if undoes(what):
            del self.merged[what.target], self.merges[what.target]
            self.absorbed[what.source].remove(what.target)

    def check(self, what: Decision, codes: Container[str], cases: Mapping[str, Case]) -> None:
        """Raises `DecisionError` for what cannot be carried out."""
        if what.kind == DecisionKind.DECIDE:
            _check_choice(what, cases.get(what.case))
            return
        for code in (what.source, what.target):
            if code not in codes:
                raise DecisionError(f"no security {code!r}")
        if what.source == what.target:
            raise DecisionError("a security cannot be merged with itself, or split from itself")
        if undoes(what):
            if self.merged.get(what.target) != what.source:
                raise DecisionError(f"{what.target} is not merged into {what.source}: name a book or a depot to move")
            if what.source in self.merged:
                raise DecisionError(f"{what.source} is merged into {self.merged[what.source]}: split that first")
            return
        for code in (what.source, what.target):
            if code in self.merged:
                raise DecisionError(f"{code} is merged into {self.merged[code]}: split that first")


def undoes(what: Decision) -> bool:
    """Whether it takes a merge back."""
    return what.kind == DecisionKind.SPLIT and not (what.book or what.depot)


def _check_choice(what: Decision, case: Case | None) -> None:
    if case is None or case.kind not in master_cases.DECIDABLE:
        raise DecisionError(f"{what.case} is nothing that can be decided")
    if case.state == CaseState.CLOSED:
        raise DecisionError("its cause is gone: there is nothing to decide any more")
    known = [value for value, _ in case.values]
    if what.value and what.value not in known:
        raise DecisionError(f"{what.value!r} is none of {', '.join(known)}")
