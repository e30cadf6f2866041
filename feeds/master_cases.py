"""Exceptions of the security master: what nobody but a person can settle, each under an id that stays."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from feeds.master_records import Fault, FaultKind, IdentifierType

Values = tuple[tuple[str, tuple[str, ...]], ...]
DECIDABLE: Final = frozenset({FaultKind.CONFLICT, FaultKind.SHARED})
"""The others end when a source says it better."""
_FIELDS: Final = (
    "isin", "cusip", "sedol", "figi", "ticker", "ric", "bbg", "lei", "country", "temperature", "classification",
)  # fmt: skip


class CaseState(StrEnum):
    """Where an exception is in its life."""

    OPEN = "open"
    DECIDED = "decided"
    """A person has chosen, and the values are still the ones there were."""
    CLOSED = "closed"
    """Its cause is gone."""


class Case(msgspec.Struct, frozen=True):
    """An exception. `field`: what it is about, a type of identifier, a field of the record, or for `SHARED` the name itself.

    `values`: each with the sources that say it; of `SHARED`, codes of securities.
    """

    id: str
    kind: FaultKind
    security: str
    field: str
    values: Values
    detail: str
    state: CaseState
    first_seen_ns: int
    changed_ns: int
    chosen: str = ""


def conflict_id(code: str, kind: IdentifierType) -> str:
    """The case of a security whose sources differ."""
    return _id(FaultKind.CONFLICT, code, kind)


def shared_id(text: str) -> str:
    """The case of a name that several securities have."""
    return _id(FaultKind.SHARED, text)


def incomplete_id(code: str) -> str:
    """The case of a security without a market."""
    return _id(FaultKind.INCOMPLETE, code)


def conflict(
    code: str, kind: IdentifierType, values: Sequence[tuple[str, tuple[str, ...]]], chosen: str | None, at_ns: int
) -> Case:
    """Sources of a security differ. `chosen`: None while nobody has decided."""
    told = "; ".join(f"{', '.join(sources)}: {value}" for value, sources in values)
    state = CaseState.OPEN if chosen is None else CaseState.DECIDED
    key = conflict_id(code, kind)
    return Case(
        key, FaultKind.CONFLICT, code, kind, tuple(values), f"{kind} differs: {told}", state, at_ns, at_ns, chosen or ""
    )


def shared(text: str, claimed: Mapping[str, Sequence[str]], *, settled: bool, chosen: str, at_ns: int) -> Case:
    """Several securities have a name."""
    values = tuple((code, tuple(sources)) for code, sources in claimed.items())
    told = "; ".join(f"{code} ({', '.join(sources) or 'its own code'})" for code, sources in values)
    state = CaseState.DECIDED if settled else CaseState.OPEN
    key = shared_id(text)
    return Case(key, FaultKind.SHARED, "", text, values, f"{text} names {told}", state, at_ns, at_ns, chosen)


def incomplete(code: str, sources: Sequence[str], at_ns: int) -> Case:
    """Nobody says in which market a security is."""
    detail = "no source says in which market it is: it cannot be traded"
    key = incomplete_id(code)
    return Case(
        key, FaultKind.INCOMPLETE, code, "market", (("", tuple(sources)),), detail, CaseState.OPEN, at_ns, at_ns
    )


def of_faults(code: str, source: str, faults: Iterable[Fault], at_ns: int) -> list[Case]:
    """What of a source's record cannot be used."""
    by_field: dict[str, list[Fault]] = {}
    for fault in faults:
        by_field.setdefault(fault.field, []).append(fault)
    return [
        Case(
            _id("fault", code, source, field),
            told[0].kind,
            code,
            field,
            tuple((fault.value, (source,)) for fault in told),
            "; ".join(f"{source}: {fault.value!r}: {fault.detail}" for fault in told),
            CaseState.OPEN,
            at_ns,
            at_ns,
        )
        for field, told in by_field.items()
    ]


def fault_ids(code: str, source: str) -> list[str]:
    """Where cases of a source's record could be."""
    return [_id("fault", code, source, field) for field in _FIELDS]


def _id(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
