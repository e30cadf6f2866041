"""Rules of locates in a document: `decisions` and `decrements`, read as strictly as the rest of it."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Final

import yaml

from engine.locate_rules import PERCENTS, Action, DecisionRule, DecrementRule, Number, Range
from engine.locates import LIMIT, WHOLE, LocateType, Reason, Settlement
from engine.model import RATE_UNIT, Classification, Temperature
from engine.rule_reader import Reader, shares_of

MOST_NAMES: Final = 1_000
"""Names that one selector may list."""
_BOUNDS: Final = {"min": "least", "above": "above", "max": "most", "below": "below"}
_FLAGS: Final = ("designated", "threshold", "stale", "intraday_cover", "client_known")
_SHARED: Final = " ".join(
    (
        "id note priority effective_from effective_to",
        "markets countries temperatures classifications types settlements clients",
        *_FLAGS,
        *Number,
    )
)
_NAMES: Final[Mapping[str, Mapping[str, Any]]] = {
    "temperatures": {temperature.name: temperature.name for temperature in Temperature},
    "classifications": {classification.name: classification.name for classification in Classification},
    "types": {kind.value: kind for kind in LocateType},
    "settlements": {settlement.value: settlement for settlement in Settlement},
}
"""What a selector may list, by the word for it; what is not here lists any text."""


def read_decision(reader: Reader, node: yaml.Node, own: tuple[str, ...]) -> list[DecisionRule]:
    """The rule at a node of a document for the markets `own`; none where it cannot be read."""
    fields = reader.fields(node, f"{_SHARED} action reason within_terms", "a decision")
    shared = _shared(reader, node, fields, own)
    if "action" not in fields and fields:
        reader.say(node, "a decision needs action")
    action = reader.choice(fields, "action", Action)
    reason = reader.choice(fields, "reason", Reason)
    if action == Action.REJECT and "reason" not in fields:
        reader.say(node, "a rejection needs a reason")
    if action == Action.APPROVE and "reason" in fields:
        reader.say(fields["reason"], "what is approved has no reason")
    within = tuple(reader.texts(fields, "within_terms", "names of terms are needed"))
    if within and action not in {Action.APPROVE, None}:
        reader.say(fields["within_terms"], "only what is approved is approved within terms")
    if shared is None or action is None:
        return []
    reader.place(("rule", shared["id"]), node, fields)
    return [DecisionRule(**shared, action=action, reason=reason, within_terms=within)]


def read_decrement(reader: Reader, node: yaml.Node, own: tuple[str, ...]) -> list[DecrementRule]:
    """The rule at a node of a document for the markets `own`; none where it cannot be read."""
    fields = reader.fields(node, f"{_SHARED} ratio_basis_points reuse", "a decrement")
    shared = _shared(reader, node, fields, own)
    ratio = reader.whole(fields, "ratio_basis_points")
    if ratio is not None and not 0 <= ratio <= WHOLE:
        reader.say(fields["ratio_basis_points"], f"ratio_basis_points: between 0 and {WHOLE:,}, not {ratio:,}")
        ratio = None
    if "ratio_basis_points" not in fields and fields:
        reader.say(node, "a decrement needs ratio_basis_points")
    reuse = reader.flag(fields, "reuse")
    if shared is None or ratio is None:
        return []
    reader.place(("rule", shared["id"]), node, fields)
    return [DecrementRule(**shared, ratio_basis_points=ratio, reuse=reuse is not False)]


def _shared(
    reader: Reader, node: yaml.Node, fields: dict[str, yaml.Node], own: tuple[str, ...]
) -> dict[str, Any] | None:
    """What a rule applies to."""
    id_ = reader.id(fields, node)
    begins, ends = reader.period(fields)
    priority = reader.priority(fields, own)
    found: dict[str, Any] = {
        "note": reader.text(fields, "note") or "",
        "document": reader.document.name,
        "markets": frozenset(reader.own_markets(fields, own)),
        "effective_from": begins,
        "effective_to": ends,
        "countries": _listed(reader, fields, "countries"),
        "clients": _listed(reader, fields, "clients"),
        "ranges": tuple(one for number in Number for one in _range(reader, fields, number)),
    }
    found |= {name: _listed(reader, fields, name, known) for name, known in _NAMES.items()}
    found |= {name: reader.flag(fields, name) for name in _FLAGS}
    if id_ is None or priority is None:
        return None
    return found | {"id": id_, "priority": priority, "version": reader.version_of(id_)}


def _listed(
    reader: Reader, fields: dict[str, yaml.Node], name: str, known: Mapping[str, Any] | None = None
) -> frozenset[Any]:
    """What a selector lists; an empty list is a mistake, and not everything."""
    wanted = "names are needed" if known is None else f"some of {', '.join(known)}"
    words = reader.texts(fields, name, wanted, known)
    if len(words) > MOST_NAMES:
        reader.say(fields[name], f"{name}: {len(words):,} are too many: at most {MOST_NAMES:,}")
    return frozenset(words if known is None else (known[word] for word in words))


def _range(reader: Reader, fields: dict[str, yaml.Node], number: Number) -> list[Range]:
    node = fields.get(number.value)
    if node is None:
        return []
    bounds = reader.fields(node, " ".join(_BOUNDS), number.value)
    read, wanted = _unit(number)
    found = {name: reader.scalar(bounds, word, read, wanted) for word, name in _BOUNDS.items()}
    given = Range(number=number, **found)
    if isinstance(node, yaml.MappingNode) and not node.value:
        reader.say(node, f"{number.value}: at least one of {', '.join(_BOUNDS)} is needed")
    for low, high, meets in (
        ("min", "max", True),
        ("min", "below", False),
        ("above", "max", False),
        ("above", "below", False),
    ):
        first, last = found[_BOUNDS[low]], found[_BOUNDS[high]]
        if first is not None and last is not None and (first > last or (first == last and not meets)):
            reader.say(bounds[high], f"{number.value}: nothing is between {low} and {high}")
    for one, other in (("min", "above"), ("max", "below")):
        if one in bounds and other in bounds:
            reader.say(bounds[other], f"{number.value}: either {one} or {other}")
    return [given]


def _unit(number: Number) -> tuple[Callable[[str], int], str]:
    """How a bound is read, and what it is in words."""
    if number in PERCENTS:
        return _ten_thousandths_of_a_percent, "a number of percents with at most four places is needed"
    return partial(shares_of, most=LIMIT), "whole shares are needed"


def _ten_thousandths_of_a_percent(text: str) -> int:
    """Raises ValueError."""
    if not re.fullmatch(r"-?\d{1,12}(\.\d{1,4})?", text, re.ASCII):
        raise ValueError(text)
    return int(Decimal(text) * RATE_UNIT)
