"""What counts as a break and how bad it is (assets/breaks.yaml), read and checked strictly."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated, Final, Literal

import msgspec
import yaml
from msgspec import Meta, Struct

from engine.break_kinds import BreakKind, Severity

_Whole = Annotated[int, Meta(ge=0, le=2**53)]
_Code = Annotated[str, Meta(min_length=1, max_length=24)]
_WORST_LAST: Final = tuple(reversed(Severity))
_BPS: Final = 10_000


class BreakRulesError(ValueError):
    """assets/breaks.yaml cannot be used; the message says why."""


class Tolerance(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far two sides may be apart, for a market, a depot, both or all."""

    shares: _Whole
    basis_points: Annotated[int, Meta(ge=0, le=_BPS)] = 0
    market: _Code | None = None
    depot: _Code | None = None

    def of(self, expected: int) -> int:
        """In shares, where so many are expected."""
        return max(self.shares, abs(expected) * self.basis_points // _BPS)


class Raise(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A severity from any of these on."""

    severity: Severity
    value: _Whole | None = None
    affected: _Whole | None = None
    located: _Whole | None = None
    age_days: _Whole | None = None


class KindRule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of one kind."""

    after_s: Annotated[int, Meta(ge=0, le=86_400)]
    severity: Severity
    raises: list[Raise] = msgspec.field(name="raise")

    def judged(self, value: float | None, affected: int, located: int, age_days: int) -> Severity:
        """How bad one is."""
        worst = self.severity
        for each in self.raises:
            reached = (
                each.value is not None and value is not None and abs(value) >= each.value,
                each.affected is not None and affected >= each.affected,
                each.located is not None and located >= each.located,
                each.age_days is not None and age_days >= each.age_days,
            )
            if any(reached):
                worst = max(worst, each.severity, key=_WORST_LAST.index)
        return worst


class BreakRules(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The document."""

    format: Literal[1]
    tolerances: Annotated[list[Tolerance], Meta(min_length=1)]
    kinds: dict[BreakKind, KindRule]

    def tolerance(self, market: str, depot: str, expected: int) -> int:
        """In shares: that of the entry which says most."""
        fitting = [one for one in self.tolerances if one.market in (None, market) and one.depot in (None, depot)]
        best = max(fitting, key=lambda one: (one.depot is not None, one.market is not None))
        return best.of(expected)


def read(text: str, markets: Sequence[str]) -> BreakRules:
    """The rules of a document for these markets. Raises `BreakRulesError`."""
    try:
        rules = msgspec.convert(yaml.safe_load(text), BreakRules, strict=True)
    except (msgspec.ValidationError, yaml.YAMLError) as error:
        raise BreakRulesError(f"breaks.yaml: {error}") from error
    if missing := set(BreakKind) - rules.kinds.keys():
        raise BreakRulesError(f"breaks.yaml: nothing is said of {', '.join(sorted(missing))}")
    places = [(one.market, one.depot) for one in rules.tolerances]
    if len(set(places)) != len(places):
        raise BreakRulesError("breaks.yaml: two tolerances for the same market and depot")
    if (None, None) not in places:
        raise BreakRulesError("breaks.yaml: a tolerance without market and depot is needed")
    if unknown := {market for market, _ in places if market is not None} - set(markets):
        raise BreakRulesError(f"breaks.yaml: there is no market {', '.join(sorted(unknown))}")
    for kind, rule in rules.kinds.items():
        steps = [_WORST_LAST.index(rule.severity), *(_WORST_LAST.index(each.severity) for each in rule.raises)]
        if steps != sorted(set(steps)):
            raise BreakRulesError(f"breaks.yaml: what {kind} is raised to does not go from less to more severe")
        if any(each == Raise(severity=each.severity) for each in rule.raises):
            raise BreakRulesError(f"breaks.yaml: {kind} is raised by nothing")
    return rules


@cache
def shipped(markets: tuple[str, ...]) -> BreakRules:
    """The rules that the program comes with. Raises `BreakRulesError`."""
    return read(files("assets").joinpath("breaks.yaml").read_text(), markets)
