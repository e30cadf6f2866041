"""Breaks that are not rows against rows: feeds, sequences, messages, names that nobody knows or that sources differ about, and
limits that were overdrawn. Each search looks where the thing is kept, and says so where it cannot look."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
import numpy as np
import sqlalchemy as sa
from msgspec import Meta, Struct

from app.breaks.facts import Facts, Subject
from app.breaks.naming import Namer, key_of
from app.feed_rules import DOUBTFUL, FeedRule, FeedState, HealthWord
from app.master_books import MasterBooks
from app.master_database import MasterStoreError
from app.parked_record import DEAL, sort_of
from app.parking_store import ParkingStore
from app.quarantine_store import QuarantineStore
from engine.break_kinds import BreakKind
from engine.model import Concern, Decided, Namespace
from engine.ring import FeedWord
from engine.rule_model import Role
from engine.symbols import Symbols
from engine.tables import Tables, Word
from feeds.master_cases import Case, CaseState
from feeds.master_records import FaultKind

_NS: Final = 10**9
_PARTIES: Final = frozenset({Namespace.BOOK, Namespace.UNIT})
MOST: Final = 10_000
"""Of one kind: more are one fault, not so many."""


class Overdrawn(Struct, frozen=True, kw_only=True):
    """A limit of which more was used than there is, as the engine tells it. `left`: below zero."""

    scope: Annotated[str, Meta(description="client or au")]
    owner: str
    security: str
    side: str
    left: int


class CannotLookError(RuntimeError):
    """A search could not be made now: what it had found before still counts."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Where other things are kept."""

    parked: ParkingStore
    quarantine: QuarantineStore
    master: MasterBooks


def feeds(tables: Tables, rules: Sequence[FeedRule], now_ns: int) -> list[Facts]:
    """Feeds later than their limit, or missing."""
    words, found = tables.array["feed"], []
    for number, rule in enumerate(rules):
        state = FeedState(int(words[number, HealthWord.STATE]))
        if state not in DOUBTFUL:
            continue
        alive_ns = int(words[number, FeedWord.ALIVE_NS])
        late_s = (now_ns - alive_ns) // _NS if alive_ns else 0
        # how late it is grows all the time: the break is the same from limit to limit
        late_s = max(late_s // rule.limit_s * rule.limit_s, rule.limit_s) if state == FeedState.STALE else 0
        about = Subject(feed=rule.feed, reason=state.name.lower())
        how = f"has said nothing for {late_s:,} s" if late_s else "is read by nobody"
        lendable, located = _everything(tables) if rule.concerns & Concern.SHARES else (0, 0)
        found.append(
            _plain(
                BreakKind.FEED, about, f"{rule.title}: the feed {how}", late_s,
                unit="seconds", tolerance=rule.limit_s, lendable=lendable, located=located,
            )
        )  # fmt: skip
    return found


def gaps(tables: Tables, namer: Namer) -> list[Facts]:
    """Sources that have left numbers out."""
    missing = tables.array["missing"][: tables.count(Word.SOURCES) + 1]
    found = []
    for source in np.flatnonzero(missing).tolist():
        count, name = int(missing[source]), namer.code("source", source)
        title = f"{name} has left out {count:,} numbers"
        found.append(_plain(BreakKind.GAP, Subject(source=name), title, count, unit="records"))
    return found


def messages(kept: Kept) -> list[Facts]:
    """What is in the quarantine, by topic and reason. Raises `CannotLookError`."""
    try:
        counted = kept.quarantine.by_reason()
    except sa.exc.SQLAlchemyError as error:
        raise CannotLookError(f"the quarantine cannot be read: {error}") from error
    return [
        _plain(
            BreakKind.MESSAGE,
            Subject(topic=topic, reason=reason),
            f"{count:,} messages of {topic} are in the quarantine: {reason.replace('_', ' ')}",
            count,
            unit="records",
        )
        for (topic, reason), count in counted.items()
    ]


def waiting(kept: Kept, tables: Tables) -> list[Facts]:
    """What records wait for, by what nobody has described, most records first. Raises `CannotLookError`."""
    symbols, found = Symbols(tables.array["symbols"]), []
    try:
        awaited = kept.parked.awaited()
    except sa.exc.SQLAlchemyError as error:
        raise CannotLookError(f"the parking cannot be read: {error}") from error
    for (namespace, code), count, held in awaited:
        if namespace != DEAL and symbols.find_one(Namespace(namespace), code):
            continue
        sort = sort_of(namespace)
        title = f"{count:,} records wait for the {sort} {code}, which nobody has described"
        if namespace in _PARTIES:
            about = Subject(book=code if namespace == Namespace.BOOK else "", reason=f"unknown_{sort}")
            about = msgspec.structs.replace(about, aggregation_unit=code if namespace == Namespace.UNIT else "")
            found.append(_plain(BreakKind.PARTY, about, title, count, unit="records", sellable=held))
        else:
            about = Subject(number=code, reason=sort, security=code if namespace == Namespace.SECURITY else "")
            found.append(_plain(BreakKind.REFERENCE, about, title, count, unit="records", sellable=held))
    return found


def conflicts(kept: Kept, tables: Tables, namer: Namer) -> list[Facts]:
    """Exceptions of the security master that wait for a person: those that are told, and one more where there are more.

    Raises `CannotLookError`.
    """
    try:
        cases = kept.master.cases(CaseState.OPEN, None, None, MOST + 1)
    except MasterStoreError as error:
        raise CannotLookError(str(error)) from error
    symbols, found = Symbols(tables.array["symbols"]), []
    for case in cases:
        number = symbols.find_one(Namespace.SECURITY, case.security) if case.security else 0
        found.append(_conflict(case, tables, namer, number))
    return found


def overdrawn(told: Sequence[Overdrawn], tables: Tables, namer: Namer) -> list[Facts]:
    """Limits below zero, as the engine has told."""
    symbols, found = Symbols(tables.array["symbols"]), []
    for one in told:
        number = symbols.find_one(Namespace.SECURITY, one.security)
        about = namer.subject_of(number) if number else Subject(security=one.security)
        owner = {"client": one.owner} if one.scope == "client" else {"aggregation_unit": one.owner}
        about = msgspec.structs.replace(about, number=f"{one.scope}_{one.side}", **owner)
        title = f"{one.owner} has sold {-one.left:,} shares {one.side} beyond its limit"
        value = namer.worth(number, one.left) if number else None
        found.append(
            _plain(
                BreakKind.LIMIT, about, title, one.left, unit="shares", value=value, sellable=-one.left, ours=one.left
            )
        )
    return found


def tried(search: Callable[[], list[Facts]], failed: dict[str, str], name: str) -> list[Facts] | None:
    """What a search found; None, and why in `failed`, where it could not be made."""
    try:
        found = search()
    except CannotLookError as error:
        failed[name] = str(error)
        return None
    return found


def _plain(
    kind: BreakKind,
    about: Subject,
    title: str,
    quantity: int,
    *,
    unit: str,
    ours: int | None = None,
    tolerance: int = 0,
    value: float | None = None,
    sellable: int = 0,
    lendable: int = 0,
    located: int = 0,
) -> Facts:
    return Facts(
        key=key_of(kind, about),
        kind=kind,
        title=title,
        about=about,
        unit=unit,
        ours=ours,
        theirs=None if ours is None else 0,
        quantity=quantity,
        tolerance=tolerance,
        value=value,
        sellable=sellable,
        lendable=lendable,
        located=located,
    )


def _conflict(case: Case, tables: Tables, namer: Namer, number: int) -> Facts:
    about = namer.subject_of(number) if number else Subject(security=case.security)
    about = msgspec.structs.replace(about, number=case.field, reason=case.kind, contract=case.id)
    lendable = located = 0
    if number and case.kind == FaultKind.CONFLICT:  # nothing can be asked for by that name
        lendable = namer.value(number, Role.LEND)
        located = int(tables.array["decided"][number, Decided.SHORT_LOCATES])
    return _plain(
        BreakKind.IDENTIFIER,
        about,
        case.detail,
        len(case.values),
        unit="sources",
        lendable=max(0, lendable),
        located=located,
    )


def _everything(tables: Tables) -> tuple[int, int]:
    """All that can be lent, and all that is promised to clients."""
    count = tables.count(Word.SECURITIES) + 1
    lend = tables.array["values"][1:count, tables.catalogue.playing(Role.LEND), 0]
    return int(np.maximum(lend, 0).sum()), tables.count(Word.LOCATED_SHARES)
