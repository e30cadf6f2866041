"""Which breaks a list shows, and in which order. Pure."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final

from msgspec import Struct

from app.breaks.answers import break_id
from app.breaks.life import Life, State
from engine.break_kinds import BreakKind, Severity

_SEVERE: Final = {severity: at for at, severity in enumerate(Severity)}
ORDERS: Final = ("rank", "age", "value", "newest", "severity")
NOBODY: Final = "-"
"""The owner of what nobody has taken."""
LOOKED_AT: Final = (
    *("security", "isin", "name", "market", "book", "depot", "position_type", "client", "aggregation_unit"),
    *("counterparty", "contract", "number", "feed", "source", "topic", "reason"),
)
"""Of what a break is about, where a text is looked for; its id, kind, title, causes, owner and group besides."""
_WITHIN: Final = re.compile(r"[_/]")
"""People write front/back or front back of what is called front_back here."""


class Wanted(Struct, frozen=True, kw_only=True):
    """Which; None: all. `states` None: all that are not resolved."""

    kinds: Collection[BreakKind] | None = None
    severities: Collection[Severity] | None = None
    states: Collection[State] | None = None
    market: str | None = None
    security: str | None = None
    depot: str | None = None
    book: str | None = None
    client: str | None = None
    owner: str | None = None
    group: str | None = None
    held: bool | None = None
    age_min: int | None = None
    value_min: int | None = None
    order: str = "rank"


class Word(Struct, frozen=True):
    """A word to look for, as it is looked for: each of its parts. `security`: our code of whoever has it for an identifier."""

    parts: tuple[str, ...]
    security: str = ""


def words_of(text: str, security_of: Callable[[str], str]) -> tuple[Word, ...]:
    """The words of a text. `security_of`: our code of a security by any of its identifiers, nothing for what is none."""
    return tuple(Word(tuple(_WITHIN.sub(" ", word.casefold()).split()), security_of(word)) for word in text.split())


def having(lives: Iterable[Life], words: Collection[Word], group_name: Callable[[str], str]) -> list[Life]:
    """Those that have every word: as an identifier of their security, or anywhere in what is said of them. `group_name`: what
    people call a group."""
    return [life for life in lives if _has(life, words, group_name)] if words else list(lives)


def _has(life: Life, words: Collection[Word], group_name: Callable[[str], str]) -> bool:
    about, said = life.facts.about, ""
    for word in words:
        if word.security and word.security == about.security:
            continue
        said = said or _said(life, group_name(life.group))
        if not all(part in said for part in word.parts):
            return False
    return True


def _said(life: Life, group: str) -> str:
    facts = life.facts
    told = [
        break_id(life.number),
        facts.kind,
        facts.title,
        life.owner,
        life.group,
        group,
        *(one.cause for one in facts.causes),
    ]
    told += [getattr(facts.about, name) for name in LOOKED_AT]
    return _WITHIN.sub(" ", " ".join(told).casefold())


def chosen(
    lives: Iterable[Life], wanted: Wanted, rank: Callable[[Life], int], age_days: Callable[[Life], int | None]
) -> list[Life]:
    """Those that are wanted, in the order that is."""
    found = [life for life in lives if _fits(life, wanted, age_days)]
    keys: dict[str, Callable[[Life], Any]] = {
        "rank": lambda one: (rank(one), one.number),
        "age": lambda one: (one.first_seen_ns, one.number),
        "value": lambda one: (-abs(one.facts.value or 0.0), one.number),
        "newest": lambda one: (-one.first_seen_ns, -one.number),
        "severity": lambda one: (_SEVERE[one.facts.severity], rank(one), one.number),
    }
    found.sort(key=keys[wanted.order])
    return found


def _fits(life: Life, wanted: Wanted, age_days: Callable[[Life], int | None]) -> bool:
    facts, about = life.facts, life.facts.about
    if wanted.states is None:
        if not life.open:
            return False
    elif life.state not in wanted.states:
        return False
    equal: Sequence[tuple[str | None, str]] = (
        (wanted.market, about.market),
        (wanted.security, about.security),
        (wanted.depot, about.depot),
        (wanted.book, about.book),
        (wanted.client, about.client),
        (wanted.group, life.group),
        ("" if wanted.owner == NOBODY else wanted.owner, life.owner),
    )
    return (
        (wanted.kinds is None or facts.kind in wanted.kinds)
        and (wanted.severities is None or facts.severity in wanted.severities)
        and all(asked is None or asked == has for asked, has in equal)
        and (wanted.held is None or wanted.held == (life.held > 0))
        and (wanted.value_min is None or abs(facts.value or 0.0) >= wanted.value_min)
        and (wanted.age_min is None or _at_least(age_days(life), wanted.age_min))
    )


def _at_least(age_days: int | None, least: int) -> bool:
    """What is of unknown age is of any from 0 on, and of no other."""
    return (age_days or 0) >= least
