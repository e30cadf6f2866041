"""The golden record of a security: field by field what the best of its sources says, and its names that lead to it."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from engine.model import RATE_UNKNOWN, Classification, CounterpartyKind, SecurityFlag, Temperature
from engine.records import COUNTERPARTY, SECURITY
from feeds.master_names import Claim, Names, dated, statements, text_of
from feeds.master_records import Counterparty, Identifier, IdentifierType, Security

_EPOCH: Final = dt.date(1970, 1, 1)
_MASKED: Final = int(SecurityFlag.MASKED_ISIN)
_IDENTIFIERS: Final = {
    "isin": IdentifierType.ISIN,
    "cusip": IdentifierType.CUSIP,
    "sedol": IdentifierType.SEDOL,
    "figi": IdentifierType.FIGI,
    "ticker": IdentifierType.TICKER,
}
_SHOWS: Final = {kind: field for field, kind in _IDENTIFIERS.items()}
EMPTY: Final[dict[str, Any]] = {
    field.name: field.default
    for field in structs.fields(Security)
    if field.name not in {"code", "source", "identifiers", "valid_from", "valid_to", "version", *_IDENTIFIERS}
}
"""The fields that are combined, and what a source has in them that says nothing of it."""


_ALL: Final = attrgetter(*EMPTY)


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """assets/master.yaml: sources by priority, for all fields or for one, and identifiers that must not differ."""

    ours: str
    priority: tuple[str, ...]
    fields: dict[str, tuple[str, ...]] = {}
    conflicts: tuple[IdentifierType, ...] = (IdentifierType.ISIN, IdentifierType.CUSIP, IdentifierType.SEDOL)

    def __post_init__(self) -> None:
        if strange := set(self.fields) - set(EMPTY):
            raise ValueError(f"no field {', '.join(sorted(strange))} of a security is combined")

    def name(self, source: str) -> str:
        """Our own reference data names no source."""
        return source or self.ours

    def order(self, field: str = "") -> Callable[[str], tuple[int, str]]:
        """The key by which sources are sorted for a field, the best one first."""
        listed = {source: place for place, source in enumerate(self.fields.get(field, self.priority))}
        return lambda source: (listed.get(source, len(listed)), source)


def heard(claims: Mapping[str, Claim], rules: Rules, today: dt.date, field: str = "") -> list[str]:
    """Sources in the order in which they are asked: those whose record is valid today, the best one first, then those whose
    record was, then those whose record will be: a security does not vanish."""
    if len(claims) == 1:
        return list(claims)
    valid, past, coming = [], [], []
    for source in sorted(claims, key=rules.order(field)):
        said = claims[source].said
        if said.valid_to is not None and said.valid_to <= today:
            past.append(source)
        elif said.valid_from is not None and said.valid_from > today:
            coming.append(source)
        else:
            valid.append(source)
    return [*valid, *past, *coming]


def chosen_fields(claims: Mapping[str, Claim], rules: Rules, today: dt.date) -> dict[str, tuple[Any, str]]:
    """Field -> its value and the source that says it; fields that nobody says anything of are not there."""
    sources = heard(claims, rules, today)
    said = {source: _ALL(claims[source].clean.record) for source in sources}
    chosen: dict[str, tuple[Any, str]] = {}
    for place, (field, empty) in enumerate(EMPTY.items()):
        by = heard(claims, rules, today, field) if field in rules.fields else sources
        for source in by:
            value = said[source][place]
            if field == "flags":
                value &= ~_MASKED
            if value != empty:
                chosen[field] = value, source
                break
    return chosen


def golden(
    code: str,
    claims: Mapping[str, Claim],
    rules: Rules,
    today: dt.date,
    own: Mapping[str, IdentifierType],
    names: Names,
    identifiers: tuple[Identifier, ...],
) -> Security:
    """One record of all. `own`: texts of its sources that lead to it today; `identifiers`: what `listed` gives."""
    if len(claims) == 1:
        record = next(iter(claims.values())).clean.record
        fields: dict[str, Any] = dict(zip(EMPTY, _ALL(record), strict=True))
        fields["flags"] = record.flags & ~_MASKED
    else:
        fields = {field: value for field, (value, _) in chosen_fields(claims, rules, today).items()}
    market = fields.get("market", "")
    shown = _shown(market, own)
    if "isin" not in shown and not any(dispute.type == IdentifierType.ISIN for dispute in names.disputes):
        hidden = _hidden_isin(claims, rules)
        if hidden:
            shown["isin"] = hidden
            fields["flags"] = fields.get("flags", 0) | _MASKED
    return Security(code=code, **shown, **fields, identifiers=identifiers)


def listed(code: str, members: Mapping[str, Mapping[str, Claim]], leads: Mapping[str, str]) -> tuple[Identifier, ...]:
    """Names that lead to a security and are not, or not only, in fields of its record: dated ones, those of types without a
    field, those of securities merged into it, and the issuer's. `members`: the claims of all these."""
    found: dict[tuple[str, str], Identifier] = {}
    for member, claims in members.items():
        for source in sorted(claims):
            claim = claims[source]
            if member == code and not (dated(claim) or claim.said.identifiers):
                continue
            for name in (*statements(claim.clean.record), *claim.former):
                text = text_of(name)
                if leads.get(text) == code or name.type == IdentifierType.LEI:
                    found.setdefault((name.type, text), name)
    return tuple(found[place] for place in sorted(found))


def _hidden_isin(claims: Mapping[str, Claim], rules: Rules) -> str:
    """A masked ISIN, to be shown and not looked up."""
    for source in sorted(claims, key=rules.order()):
        record = claims[source].clean.record
        if record.flags & _MASKED and record.isin:
            return record.isin
    return ""


def _shown(market: str, own: Mapping[str, IdentifierType]) -> dict[str, Any]:
    """The fields that show a name of their type; of several, the first in order."""
    shown: dict[str, Any] = {}
    for text, kind in own.items():
        field, value = _SHOWS.get(kind), text
        if kind == IdentifierType.TICKER:
            value = text.removesuffix(f"@{market}")
            if value == text:
                continue
        if field is not None and (field not in shown or value < shown[field]):
            shown[field] = value
    return shown


def rows(records: Sequence[Security], markets: Mapping[str, int]) -> NDArray[np.void]:
    """Golden records in the engine's form, dtype `SECURITY`. `markets`: code -> index."""
    return np.array([_row(record, markets) for record in records], SECURITY)


def _row(record: Security, markets: Mapping[str, int]) -> tuple[Any, ...]:
    return (
        record.code.encode(),
        record.ticker.encode(),
        record.isin.encode(),
        record.cusip.encode(),
        record.sedol.encode(),
        record.figi.encode(),
        record.name.encode(),
        record.currency.encode(),
        record.country.encode(),
        markets[record.market],
        Temperature[record.temperature],
        record.flags,
        Classification[record.classification],
        RATE_UNKNOWN if record.fee is None else record.fee,
        RATE_UNKNOWN if record.rebate is None else record.rebate,
        0 if record.event_date is None else (record.event_date - _EPOCH).days,
        record.volume_30d,
        record.outstanding,
    )


def counterparty_rows(records: Sequence[Counterparty]) -> NDArray[np.void]:
    """Counterparties in the engine's form, dtype `COUNTERPARTY`."""
    made = [
        (one.code.encode(), one.name.encode(), one.lei.encode(), one.country.encode(), CounterpartyKind[one.kind], 0)
        for one in records
    ]
    return np.array(made, COUNTERPARTY)
