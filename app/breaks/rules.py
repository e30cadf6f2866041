"""What counts as a break and how bad it is (assets/breaks.yaml, and an operator's own over it), read and checked strictly."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import yaml
from msgspec import Meta, Struct

from engine.break_kinds import BreakKind, Severity

_Whole = Annotated[int, Meta(ge=0, le=2**53)]
_Code = Annotated[str, Meta(min_length=1, max_length=24)]
_WORST_LAST: Final = tuple(reversed(Severity))
_BPS: Final = 10_000


FILE: Final = "breaks.yaml"


class BreakRulesError(ValueError):
    """A document cannot be used; the message says which, and why."""


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


def read(text: str, markets: Sequence[str], name: str = FILE) -> BreakRules:
    """The rules of a document for these markets. Raises `BreakRulesError`."""
    try:
        return _checked(yaml.safe_load(text), markets)
    except (yaml.YAMLError, BreakRulesError) as error:
        raise BreakRulesError(f"{name}: {error}") from error


def over(text: str, markets: Sequence[str], name: str) -> BreakRules:
    """The same of an operator's document: what it does not speak of, tolerances or a kind, is as the program comes with it."""
    try:
        own, base = yaml.safe_load(text), yaml.safe_load(_shipped_text())
        if not isinstance(own, dict) or "format" not in own:
            raise BreakRulesError("a document with a format is needed")
        kinds = own.get("kinds", {})
        if not isinstance(kinds, dict):
            raise BreakRulesError("kinds: each by its name is needed")
        return _checked(base | own | {"kinds": base["kinds"] | kinds}, markets)
    except (yaml.YAMLError, BreakRulesError) as error:
        raise BreakRulesError(f"{name}: {error}") from error


def _checked(document: object, markets: Sequence[str]) -> BreakRules:
    """Raises `BreakRulesError`, which does not say of which file."""
    try:
        rules = msgspec.convert(document, BreakRules, strict=True)
    except msgspec.ValidationError as error:
        raise BreakRulesError(str(error)) from error
    if missing := set(BreakKind) - rules.kinds.keys():
        raise BreakRulesError(f"nothing is said of {', '.join(sorted(missing))}")
    places = [(one.market, one.depot) for one in rules.tolerances]
    if len(set(places)) != len(places):
        raise BreakRulesError("two tolerances for the same market and depot")
    if (None, None) not in places:
        raise BreakRulesError("a tolerance without market and depot is needed")
    if unknown := {market for market, _ in places if market is not None} - set(markets):
        raise BreakRulesError(f"there is no market {', '.join(sorted(unknown))}")
    for kind, rule in rules.kinds.items():
        steps = [_WORST_LAST.index(rule.severity), *(_WORST_LAST.index(each.severity) for each in rule.raises)]
        if steps != sorted(set(steps)):
            raise BreakRulesError(f"what {kind} is raised to does not go from less to more severe")
        if any(each == Raise(severity=each.severity) for each in rule.raises):
            raise BreakRulesError(f"{kind} is raised by nothing")
    return rules


@cache
def shipped(markets: tuple[str, ...]) -> BreakRules:
    """The rules that the program comes with. Raises `BreakRulesError`."""
    return read(_shipped_text(), markets)


def _shipped_text() -> str:
    return files("assets").joinpath(FILE).read_text()


class RulesFile:
    """The rules in force: those of an operator's file, which is read again when it has changed; those shipped without one."""

    def __init__(self, path: str | None, markets: Sequence[str]) -> None:
        self._path = Path(path) if path is not None else None
        self._markets = tuple(markets)
        self._rules: BreakRules | None = None
        self._mark: tuple[int, int, int] | None = None
        self.problem = ""
        """Why the file as it is now is not in force; nothing where it is."""

    def current(self) -> BreakRules:
        """A file that cannot be used leaves the last good one in force. Raises `BreakRulesError` where there was none."""
        if self._path is None:
            return shipped(self._markets)
        try:
            stat = self._path.stat()
            mark = stat.st_mtime_ns, stat.st_size, stat.st_ino
            if mark != self._mark:
                self._rules = over(self._path.read_text("utf-8"), self._markets, str(self._path))
                self._mark = mark
            self.problem = ""
        except BreakRulesError as error:
            self.problem = str(error)
        except (OSError, UnicodeDecodeError) as error:
            self.problem = f"{self._path}: {error}"
        if self._rules is None:
            raise BreakRulesError(self.problem)
        return self._rules
