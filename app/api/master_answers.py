"""What is told of securities as the security master knows them, and what may be asked of it."""

import datetime as dt
from typing import Annotated, Any

from msgspec import Meta, Struct

from app.api.answers import time_of
from app.api.requests import Comment
from feeds.master_cases import Case
from feeds.master_decisions import Decided
from feeds.master_golden import EMPTY, Rules, chosen_fields
from feeds.master_names import Claim, statements, text_of
from feeds.master_records import BasketKind, Component, Composition, Counterparty, Identifier, Security

Code = Annotated[str, Meta(min_length=1, max_length=64)]
Value = Annotated[str, Meta(max_length=64)]


class DecideRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The value that is right; empty: none of them. `again`: also where somebody has decided before."""

    value: Value
    comment: Comment = ""
    again: bool = False


class MergeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The security that this one becomes."""

    into: Code
    comment: Comment = ""


class SplitRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Our own code of the security that positions go to: of a book, a depot or both; neither: a merge is taken back."""

    to: Code
    book: Value = ""
    depot: Value = ""
    comment: Comment = ""


class IdentifierAnswer(Struct, frozen=True):
    """A name as one source states it. `priority`: the source's place, 1 is the best; `leads`: whether it is looked up here."""

    type: str
    value: str
    source: str
    priority: int
    valid_from: dt.date | None
    valid_to: dt.date | None
    current: bool
    leads: bool


class FieldAnswer(Struct, frozen=True):
    """A field of the golden record, and whose word it is."""

    value: Any
    source: str


class SourceAnswer(Struct, frozen=True):
    """A source and its own version."""

    source: str
    version: int | None
    valid_from: dt.date | None
    valid_to: dt.date | None


class ExceptionAnswer(Struct, frozen=True):
    """What nobody but a person, or a better record, can settle. `values`: value, or code of a security -> who says so."""

    id: str
    kind: str
    security: str
    field: str
    values: dict[str, tuple[str, ...]]
    detail: str
    state: str
    chosen: str
    first_seen: dt.datetime
    changed: dt.datetime


class NamedAnswer(Struct, frozen=True):
    """Codes of securities with a name; none where nobody has it."""

    securities: list[str]


class SecurityAnswer(Struct, frozen=True):
    """A security as everybody sees it, and how that came about."""

    security: str
    asked: str
    version: int
    changed: dt.datetime
    record: dict[str, Any]
    fields: dict[str, FieldAnswer]
    identifiers: list[IdentifierAnswer]
    sources: list[SourceAnswer]
    exceptions: list[ExceptionAnswer]


class VersionAnswer(Struct, frozen=True):
    """A version of the golden record. `changes`: field -> what it was and what it became."""

    version: int
    at: dt.datetime
    changes: dict[str, tuple[Any, Any]]


class DecisionAnswer(Struct, frozen=True):
    """What somebody decided. `refused`: why it was not carried out, "" where it was."""

    entry: int
    at: dt.datetime
    who: str
    kind: str
    refused: str
    value: str
    exception: str
    source: str
    target: str
    book: str
    depot: str
    comment: str


class MovedAnswer(Struct, frozen=True):
    """Positions that were moved, with what they held."""

    at: dt.datetime
    source: str
    target: str
    rows: list[dict[str, Any]]


class HistoryOfSecurity(Struct, frozen=True):
    """All that happened to a security, the newest first."""

    security: str
    versions: list[VersionAnswer]
    decisions: list[DecisionAnswer]
    moved: list[MovedAnswer]


class ExceptionPage(Struct, frozen=True):
    """Exceptions, the last changed first. `open`: how many wait for somebody."""

    open: int
    exceptions: list[ExceptionAnswer]
    next_cursor: str | None


class ExceptionHistory(Struct, frozen=True):
    """An exception, every state it was in, and what was decided."""

    exception: ExceptionAnswer
    states: list[ExceptionAnswer]
    decisions: list[DecisionAnswer]


class OutcomeAnswer(Struct, frozen=True):
    """A decision that was written down. `carried_out`: when; None: it waits for the process that does."""

    entry: int
    carried_out: dt.datetime | None


class Basket(Struct, frozen=True):
    """A composition as its provider states it."""

    kind: BasketKind
    source: str
    date: dt.date | None
    version: int | None
    unit: int
    cash: int
    currency: str
    components: tuple[Component, ...]


class Compositions(Struct, frozen=True):
    """The baskets of an index or a fund."""

    security: str
    baskets: list[Basket]


class Counterparties(Struct, frozen=True):
    """Whom we deal with."""

    counterparties: list[Counterparty]


def exception_answer(case: Case) -> ExceptionAnswer:
    """As it is told."""
    return ExceptionAnswer(
        id=case.id,
        kind=case.kind,
        security=case.security,
        field=case.field,
        values=dict(case.values),
        detail=case.detail,
        state=case.state,
        chosen=case.chosen,
        first_seen=time_of(case.first_seen_ns),
        changed=time_of(case.changed_ns),
    )


def decision_answer(at_ns: int, refused: str, decided: Decided) -> DecisionAnswer:
    """As it is told. `at_ns`: when it was carried out, or refused."""
    what = decided.decision
    return DecisionAnswer(
        entry=decided.entry,
        at=time_of(at_ns),
        who=decided.who,
        kind=what.kind,
        refused=refused,
        value=what.value,
        exception=what.case,
        source=what.source,
        target=what.target,
        book=what.book,
        depot=what.depot,
        comment=what.comment,
    )


def plain(record: Security) -> dict[str, Any]:
    """What a golden record says, without what it does not."""
    names = ("ticker", "isin", "cusip", "sedol", "figi", *EMPTY)
    return {name: value for name in names if (value := getattr(record, name)) not in ("", None)}


def security_answer(
    asked: str,
    code: str,
    newest: tuple[int, int, Security],
    claims: dict[str, Claim],
    leads: set[str],
    cases: list[Case],
    rules: Rules,
    today: dt.date,
) -> SecurityAnswer:
    """`newest`: version, time and golden record; `leads`: texts that lead to it."""
    version, at_ns, record = newest
    order = sorted(claims, key=rules.order())
    fields = chosen_fields(claims, rules, today)
    identifiers = [
        _identifier(name, rules.name(source), place + 1, leads, today)
        for place, source in enumerate(order)
        for name in (*statements(claims[source].clean.record), *claims[source].former)
    ]
    return SecurityAnswer(
        security=code,
        asked=asked,
        version=version,
        changed=time_of(at_ns),
        record=plain(record),
        fields={name: FieldAnswer(value, rules.name(source)) for name, (value, source) in fields.items()},
        identifiers=identifiers,
        sources=[
            SourceAnswer(rules.name(source), said.version, said.valid_from, said.valid_to)
            for source in order
            for said in (claims[source].said,)
        ],
        exceptions=[exception_answer(case) for case in cases],
    )


def _identifier(name: Identifier, source: str, priority: int, leads: set[str], today: dt.date) -> IdentifierAnswer:
    begun = name.valid_from is None or name.valid_from <= today
    return IdentifierAnswer(
        type=name.type,
        value=text_of(name),
        source=source,
        priority=priority,
        valid_from=name.valid_from,
        valid_to=name.valid_to,
        current=begun and (name.valid_to is None or today < name.valid_to),
        leads=text_of(name) in leads,
    )


def version_answers(versions: list[tuple[int, int, Security]]) -> list[VersionAnswer]:
    """Versions, the newest first, each with what it changed; of the last one given nothing is known to compare it with."""
    told = []
    for at, (version, at_ns, record) in enumerate(versions):
        before = versions[at + 1][2] if at + 1 < len(versions) else Security(code=record.code)
        names = ("ticker", "isin", "cusip", "sedol", "figi", *EMPTY, "identifiers")
        changes = {
            n: (getattr(before, n), getattr(record, n)) for n in names if getattr(before, n) != getattr(record, n)
        }
        told.append(VersionAnswer(version, time_of(at_ns), changes))
    return told


def basket_answer(one: Composition, rules: Rules) -> Basket:
    """As it is told."""
    return Basket(
        one.kind, rules.name(one.source), one.date, one.version, one.unit, one.cash, one.currency, one.components
    )
