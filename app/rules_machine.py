"""How the desk of rules reaches the machine, the analyst and the clock: its doors in the engine's process."""

import datetime as dt
from collections.abc import Callable, Sequence
from functools import partial
from zoneinfo import ZoneInfo

from app import world
from app.analyst.client import Analyst
from app.journal import Journal
from app.rules_doors import Doors
from app.rules_impact import impact
from engine.classes import TooManyClassesError
from engine.locate_desk import LocateDesk
from engine.model import Market
from engine.rule_model import Document, Problem, RuleBook, RulesError
from engine.state import Machine


def doors(
    machine: Machine,
    desk: LocateDesk,
    analyst: Analyst,
    journal: Journal,
    clock: Callable[[], int],
) -> Doors:
    """Everything the desk of rules asks of others."""
    return Doors(
        check=partial(_check, machine),
        publish=partial(_publish, machine, desk),
        today=partial(newest_date, machine.markets, clock),
        impact=partial(impact, analyst, journal, desk),
        dry_run=analyst.dry_run,
        clock=clock,
    )


def newest_date(markets: Sequence[Market], clock: Callable[[], int], codes: Sequence[str]) -> dt.date:
    """The newest date that it is in any of these markets; in any at all, where none is named."""
    now = dt.datetime.fromtimestamp(clock() / 1e9, dt.UTC)
    chosen = [market for market in markets if market.code in codes] or markets
    return max(now.astimezone(ZoneInfo(market.time_zone)).date() for market in chosen)


def _check(machine: Machine, documents: Sequence[Document]) -> RuleBook:
    book = world.rule_book(documents)
    machine.check(book)
    return book


def _publish(machine: Machine, desk: LocateDesk, book: RuleBook) -> None:
    """Numbers first: locates are judged by them."""
    try:
        machine.publish(book)
    except TooManyClassesError as error:
        raise RulesError((Problem("rules", 0, 0, str(error)),)) from error
    desk.use(book.locates)
