"""Which names of a security hold today: said by its sources, dated, and by priority where they differ."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from engine.model import SYMBOL_BYTES, SecurityFlag
from feeds.master_clean import Clean
from feeds.master_records import Identifier, IdentifierType, Security

_EVER: Final = dt.date.max
_BEGAN: Final = dt.date.min
_MASKED: Final = int(SecurityFlag.MASKED_ISIN)
_FIELDS: Final = IdentifierType.ISIN, IdentifierType.CUSIP, IdentifierType.SEDOL, IdentifierType.FIGI
LEADING: Final = frozenset(IdentifierType) - {IdentifierType.LEI}
"""Types whose values may name one security only."""


class Claim(msgspec.Struct, frozen=True):
    """What a source says of a security now: as it came, cleaned, and which names it gave up before."""

    said: Security
    clean: Clean
    former: tuple[Identifier, ...] = ()


class Ruling(msgspec.Struct, frozen=True):
    """A person's decision: this of the values that were there. Others than these make it an open question again."""

    value: str
    considered: tuple[str, ...]


class Stated(NamedTuple):
    """A name as one source states it. `text`: what is looked up."""

    type: IdentifierType
    value: str
    text: str
    source: str
    valid_from: dt.date
    valid_to: dt.date


class Dispute(NamedTuple):
    """Values of one type that sources state at the same time, each with who states it."""

    type: IdentifierType
    values: tuple[tuple[str, tuple[str, ...]], ...]
    chosen: str | None
    """None: nobody has decided."""


class Names(NamedTuple):
    """What leads to a security, as far as its own sources go."""

    current: Mapping[str, IdentifierType]
    """By text."""
    former: Mapping[str, dt.date]
    """Text -> until when it was one."""
    disputed: frozenset[str]
    """Texts that lead nowhere until somebody has decided."""
    disputes: tuple[Dispute, ...]


NOTHING: Final = Names({}, {}, frozenset(), ())


def statements(record: Security) -> Iterator[Identifier]:
    """Every name the record gives its security, with dates."""
    for kind, value in (
        (IdentifierType.ISIN, "" if record.flags & _MASKED else record.isin),
        (IdentifierType.CUSIP, record.cusip),
        (IdentifierType.SEDOL, record.sedol),
        (IdentifierType.FIGI, record.figi),
    ):
        if value:
            yield Identifier(kind, value, record.valid_from, record.valid_to)
    if record.ticker:
        yield Identifier(IdentifierType.TICKER, record.ticker, record.valid_from, record.valid_to, record.market)
    yield from record.identifiers


def text_of(name: Identifier) -> str:
    """What is looked up."""
    return f"{name.value}@{name.market}" if name.type == IdentifierType.TICKER else name.value


def dated(claim: Claim) -> bool:
    """Whether what holds of the claim depends on the day."""
    said = claim.said
    return bool(said.valid_from or said.valid_to or claim.former) or any(
        n.valid_from or n.valid_to for n in said.identifiers
    )


def given_up(before: Claim, after: Security, on: dt.date) -> tuple[Identifier, ...]:
    """Names that the source has stated so far and states no longer, until `on`."""
    told = {(name.type, text_of(name)) for name in statements(after)}
    kept = [name for name in before.former if (name.type, text_of(name)) not in told]
    known = {(name.type, text_of(name)) for name in kept}
    for name in statements(before.clean.record):
        place = name.type, text_of(name)
        if place not in told and place not in known:
            known.add(place)
            until = min(name.valid_to or _EVER, after.valid_from or on)
            kept.append(Identifier(name.type, name.value, name.valid_from, until, name.market))
    return tuple(kept)


def stated(claims: Iterable[tuple[str, Claim]]) -> list[Stated]:
    """All names of a security that may lead to it, in the order of the claims."""
    return [
        Stated(name.type, name.value, text_of(name), source, name.valid_from or _BEGAN, name.valid_to or _EVER)
        for source, claim in claims
        for name in (*statements(claim.clean.record), *claim.former)
        if name.type in LEADING and len(text_of(name)) <= SYMBOL_BYTES
    ]


def texts_of(claim: Claim, today: dt.date) -> list[str]:
    """The names a claim states today."""
    return [name.text for name in stated([("", claim)]) if name.valid_from <= today < name.valid_to]


def names_of(
    claims: Sequence[tuple[str, Claim]],
    today: dt.date,
    conflicts: frozenset[IdentifierType],
    rulings: Mapping[IdentifierType, Ruling],
) -> Names:
    """The names of one security. `claims`: by source, the best one first."""
    if (plain := _undated(claims)) is not None:
        return Names(plain, {}, frozenset(), ())
    told = stated(claims)
    current: dict[str, IdentifierType] = {}
    former: dict[str, dt.date] = {}
    by_type: dict[IdentifierType, list[Stated]] = {}
    for name in told:
        if name.valid_from <= today < name.valid_to:
            by_type.setdefault(name.type, []).append(name)
        elif name.valid_to <= today:
            former[name.text] = max(former.get(name.text, _BEGAN), name.valid_to)
    disputes: list[Dispute] = []
    disputed: set[str] = set()
    for kind, names in by_type.items():
        if kind in conflicts:
            texts = {name.text for name in names}
            if len(texts) > 1:
                chosen = _chosen(texts, rulings.get(kind))
                disputes.append(Dispute(kind, _by_value(names), chosen))
                disputed |= texts if chosen is None else set()
                texts = {chosen} if chosen else set()
        else:
            best = names[0].source
            texts = {name.text for name in names if name.source == best}
        current |= dict.fromkeys(texts, kind)
    gone = {text: until for text, until in former.items() if text not in current and text not in disputed}
    return Names(current, gone, frozenset(disputed), tuple(sorted(disputes)))


def _undated(claims: Sequence[tuple[str, Claim]]) -> dict[str, IdentifierType] | None:
    """The short way: no dates, no further names, and every source states the same; None where it is not so."""
    first: tuple[str, ...] | None = None
    for _, claim in claims:
        said, record = claim.said, claim.clean.record
        if claim.former or said.identifiers or said.valid_from or said.valid_to:
            return None
        isin = "" if record.flags & _MASKED else record.isin
        told = isin, record.cusip, record.sedol, record.figi, record.ticker, record.market
        if first is None:
            first = told
        elif told != first:
            return None
    if first is None:
        return {}
    plain = {text: kind for text, kind in zip(first, _FIELDS, strict=False) if text}
    if first[4]:
        plain[f"{first[4]}@{first[5]}"] = IdentifierType.TICKER
    return plain


def _chosen(values: set[str], ruling: Ruling | None) -> str | None:
    if ruling is None or not values.issubset(ruling.considered):
        return None
    return ruling.value if ruling.value in values or not ruling.value else None


def _by_value(names: Iterable[Stated]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    by_value: dict[str, set[str]] = {}
    for name in names:
        by_value.setdefault(name.text, set()).add(name.source)
    return tuple((value, tuple(sorted(sources))) for value, sources in sorted(by_value.items()))
