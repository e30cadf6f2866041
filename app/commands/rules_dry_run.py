"""A dry run of rules of locates as lines for a person."""

from collections.abc import Iterator
from typing import Any


def lines_of(run: dict[str, Any], lines: int | None = None) -> Iterator[str]:
    """What `RuleDryRun` says: sums, states, rules, and the first `lines` requests that differ."""
    total, reviews = run["total"], run["reviews"]
    yield f"{run['requests']:,} requests from {run['since']} to {run['until']}: {run['differ']:,} would differ"
    if not run["complete"]:
        yield "    (the period was not read to its end: ask for a shorter one)"
    if run["unknown"]:
        yield f"    ({run['unknown']:,} more were kept without the evidence to judge them by)"
    for name in ("approved", "decrement"):
        yield f"    {name:28}{total['was'][name]:>24,} -> {total['would'][name]:>24,} shares"
    yield f"    {'left to a person':28}{reviews['was']:>24,} -> {reviews['would']:>24,} requests"
    if reviews["decided"]:
        yield f"    {'decided by a person':28}{reviews['decided']:>24,}, alike {reviews['decided_alike']:,}"
    yield "states"
    for state in run["states"]:
        change = f"{state['from_state']} -> {state['to_state']}"
        yield f"    {change:44}{state['was']['requests']:>12,} requests {state['was']['requested']:>18,} shares"
    yield "rules"
    for rule in run["rules"]:
        name, was, would = f"{rule['rule']} (version {rule['version']})", rule["was"], rule["would"]
        yield f"    {name:44}{was['requests']:>12,} -> {would['requests']:>12,} requests"
    for line in run["lines"][:lines]:
        yield _line(line)


def _line(line: dict[str, Any]) -> str:
    was, would, later = line["was"], line["would"], line["later"]
    change = f"{_outcome(was)} -> {_outcome(would)}"
    after = f"  (then {_outcome(later)} by {later['by']})" if later else ""
    return f"{line['id']}  {line['client']:12}{line['security']:16}{line['requested']:>12,}  {change}{after}"


def _outcome(outcome: dict[str, Any]) -> str:
    why = f" {outcome['reason']}" if outcome["reason"] else ""
    return f"{outcome['state']} {outcome['approved']:,}{why} [{outcome['rule']}]"
