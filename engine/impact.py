"""What rules would change if they were published now: in total, per security, and which live locates they would not cover.

The draft is run beside the rules in force, on live rows (`engine.impact_reading`); nothing is written. Calculations are
compared by name, each on the days on which it is shown (`engine.impact_comparison`).
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from engine.catalogue import Catalogue
from engine.impact_comparison import Comparison, SecurityChange, Total, UnderWater
from engine.impact_limits import Holding, Overdrawn, overdrawn
from engine.impact_reading import PATIENCE_S, DraftReading
from engine.model import DAYS, Capacity
from engine.rule_model import Problem, RuleBook, RulesError
from engine.rules import Compiled, compile_rules
from engine.tables import Tables, Word

LARGEST: Final = 1_000
"""How many securities are listed."""


class Impact(Struct, frozen=True):
    """The comparison. `securities`: those with the largest changes by value first; `under_water`: all, the worst first.

    `rows_read` and `read_again` (securities that were read once more, because the writer was at them) tell what it took; each
    security's numbers are of one moment, the first of them not before `as_of_ns`, the newest event's own time at the start.
    """

    securities_changed: int
    rows_read: int
    read_again: int
    totals: dict[str, Total]
    securities: list[SecurityChange]
    under_water: list[UnderWater]
    limits: list[Overdrawn]
    """Of those whose holdings were given."""
    classes: int
    as_of_ns: int
    rules_version: int
    """Of the rules in force that it was compared with."""


def impact(
    tables: Tables,
    book: RuleBook,
    holdings: Sequence[Holding] = (),
    *,
    largest: int = LARGEST,
    patience_s: float = PATIENCE_S,
    alive: Callable[[], None] = lambda: None,
) -> Impact:
    """Compare `book` with the rules in force. `holdings`: of clients and units whose limits are to be looked at, too.

    `alive` is asked again and again, and raises what should end it.
    Raises `RulesError` for rules that cannot be used, `TooManyClassesError`, `TornReadError` when the writer leaves no quiet
    moment, `RulesChangedError` when other rules come into force meanwhile, KeyError for a holding of an unknown security.
    """
    compiled, rules = compiled_beside(tables, book)
    as_of_ns = tables.count(Word.LAST_EVENT_NS)
    reading = DraftReading(tables, compiled, rules, alive)
    comparison = Comparison(tables, tables.catalogue, compiled.catalogue)
    for moment in reading.moments(patience_s):
        comparison.add(moment)
    return Impact(
        securities_changed=comparison.changed,
        rows_read=reading.rows_read,
        read_again=reading.again,
        totals=comparison.totals(),
        securities=comparison.largest(largest),
        under_water=comparison.under_water(),
        limits=overdrawn(tables, reading, holdings, patience_s),
        classes=reading.classes,
        as_of_ns=as_of_ns,
        rules_version=rules,
    )


def compiled_beside(tables: Tables, book: RuleBook) -> tuple[Compiled, int]:
    """`book` compiled for the days it is now, and the version of the rules in force then. Raises `RulesError`."""
    rules, today, ordinals = tables.read(
        lambda: (tables.count(Word.RULES), tables.array["today"].copy(), tables.array["business_day"].copy())
    )
    compiled = compile_rules(book, tables.markets, ladder_dates(ordinals, today, tables.base_date), rules + 1)
    problems = _too_large(compiled.catalogue, tables.capacity)
    if problems:
        raise RulesError(problems)
    return compiled, rules


def ladder_dates(ordinals: NDArray[np.int32], today: NDArray[np.int32], base_date: int) -> NDArray[np.int32]:
    """The dates of SD0..SD4 by market, as days since 1970: (markets, DAYS). Arguments: see `engine.tables`."""
    dates = np.empty((len(today), DAYS), np.int32)
    for market, row in enumerate(ordinals):
        known = row[: int(row.argmax()) + 1]  # the calendar may be shorter than its room
        wanted = known[today[market] - base_date] + np.arange(DAYS)
        # the last date with an ordinal is its business day
        dates[market] = base_date + np.searchsorted(known, wanted, side="right") - 1
    return dates


def _too_large(catalogue: Catalogue, capacity: Capacity) -> tuple[Problem, ...]:
    needs = (
        ("components", len(catalogue.components), capacity.components),
        ("calculations", len(catalogue.calculations), capacity.calculations),
    )
    return tuple(
        Problem("rules", 0, 0, f"{needed:,} {what} are needed, there is room for {room:,}")
        for what, needed, room in needs
        if needed > room
    )
