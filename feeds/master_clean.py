"""The door of the security master: words in our vocabulary, identifiers checked; what cannot be used is named, not dropped."""

from typing import Any, Final

import msgspec
from msgspec import structs

from engine.model import CounterpartyKind, SecurityFlag
from engine.records import COUNTERPARTY, SECURITY
from feeds.identifier_check import BrokenIdentifierError, checked, masked
from feeds.master_records import Composition, Counterparty, Fault, FaultKind, Identifier, IdentifierType, Security
from feeds.quarantine import Reason
from feeds.vocabulary import Vocabulary

_FIELDS: Final = {
    "isin": IdentifierType.ISIN,
    "cusip": IdentifierType.CUSIP,
    "sedol": IdentifierType.SEDOL,
    "figi": IdentifierType.FIGI,
}
_SECURITY_WIDTHS: Final = {name: SECURITY[name].itemsize for name in ("code", "ticker", "name", "currency")}
_COUNTERPARTY_WIDTHS: Final = {name: COUNTERPARTY[name].itemsize for name in ("code", "name")}
_SOURCE_BYTES: Final = 24
_MASKED: Final = int(SecurityFlag.MASKED_ISIN)


class RefusedError(ValueError):
    """A record that cannot be used at all."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Clean(msgspec.Struct, frozen=True):
    """A record as we write it, and what of it could not be used."""

    record: Security
    faults: tuple[Fault, ...] = ()


def clean(record: Security, words: Vocabulary) -> Clean:
    """Raises `RefusedError`: nothing of the record can be used."""
    _fits(record, _SECURITY_WIDTHS)
    if len(record.source.encode()) > _SOURCE_BYTES:
        raise RefusedError(Reason.TOO_LONG, f"source has more than {_SOURCE_BYTES} bytes")
    if record.valid_from and record.valid_to and record.valid_from >= record.valid_to:
        raise RefusedError(Reason.INVALID, f"valid_from {record.valid_from} is not before valid_to {record.valid_to}")
    faults: list[Fault] = []
    changes: dict[str, Any] = {}
    market = words.market(record.market)
    if market is None:
        raise RefusedError(Reason.UNKNOWN_MARKET, f"no market {record.market!r}")
    if market != record.market:
        changes["market"] = market
    _say(changes, faults, record, "country", words.country(record.country), "")
    _say(changes, faults, record, "temperature", words.temperature(record.temperature), "UNKNOWN")
    _say(changes, faults, record, "classification", words.classification(record.classification), "UNKNOWN")
    for field, kind in _FIELDS.items():
        _identify(changes, faults, record, field, kind)
    if record.ticker and not market:
        faults.append(Fault(FaultKind.BARE_TICKER, "ticker", record.ticker, "a ticker needs a market"))
        changes["ticker"] = ""
    if record.identifiers:
        changes["identifiers"] = tuple(_listed(record.identifiers, market, words, faults))
    if record.event_date is not None and record.event_date.year <= 1970:  # noqa: PLR2004  where our days begin
        raise RefusedError(Reason.INVALID, f"event_date {record.event_date} is not after 1970-01-01")
    return Clean(structs.replace(record, **changes) if changes else record, tuple(faults))


def clean_counterparty(record: Counterparty, words: Vocabulary) -> tuple[Counterparty, tuple[Fault, ...]]:
    """Raises `RefusedError`."""
    _fits(record, _COUNTERPARTY_WIDTHS)
    if record.kind not in CounterpartyKind.__members__:
        raise RefusedError(Reason.INVALID, f"no kind of counterparty {record.kind!r}")
    faults: list[Fault] = []
    changes: dict[str, Any] = {}
    _say(changes, faults, record, "country", words.country(record.country), "")
    _identify(changes, faults, record, "lei", IdentifierType.LEI)
    return structs.replace(record, **changes) if changes else record, tuple(faults)


def clean_composition(record: Composition) -> None:
    """Raises `RefusedError`."""
    if not record.security:
        raise RefusedError(Reason.INVALID, "security is empty")


def _fits(record: Any, widths: dict[str, int]) -> None:
    """Text is never cut to fit, because a shortened code names something else."""
    for name, width in widths.items():
        text: str = getattr(record, name)
        if len(text) > width or not text.isascii():
            size = len(text.encode())
            if size > width:
                raise RefusedError(Reason.TOO_LONG, f"{name} has {size} bytes, at most {width} are kept")
        if "\0" in text:
            raise RefusedError(Reason.INVALID, f"{name} contains a zero character")
    if not record.code:
        raise RefusedError(Reason.INVALID, "code is empty")


def _say(changes: dict[str, Any], faults: list[Fault], record: Any, field: str, word: str | None, empty: str) -> None:
    text: str = getattr(record, field)
    if word is None:
        faults.append(Fault(FaultKind.WORD, field, text, f"the vocabulary has no {field} {text!r}"))
    if (said := word or empty) != text:
        changes[field] = said


def _identify(changes: dict[str, Any], faults: list[Fault], record: Any, field: str, kind: IdentifierType) -> None:
    """Check the identifier of a field; one that is hidden or broken is not used."""
    text: str = getattr(record, field)
    if not text:
        return
    if field == "isin" and record.flags & _MASKED and len(text) <= SECURITY["isin"].itemsize:
        return  # its source says that it is only to be shown
    try:
        value = checked(kind, text)
    except BrokenIdentifierError as error:
        hidden = masked(text)
        fault = FaultKind.MASKED if hidden else FaultKind.BROKEN
        faults.append(Fault(fault, field, text, "characters are hidden" if hidden else str(error)))
        value = ""
        if hidden and field == "isin" and text.isascii() and len(text) <= SECURITY["isin"].itemsize:
            changes["flags"] = record.flags | _MASKED
            value = text
    if value != text:
        changes[field] = value


def _listed(
    identifiers: tuple[Identifier, ...], market: str, words: Vocabulary, faults: list[Fault]
) -> list[Identifier]:
    """The identifiers of the list that can be used, as their standards write them."""
    used: list[Identifier] = []
    for one in identifiers:
        field = one.type.value.lower()
        try:
            if one.valid_from and one.valid_to and one.valid_from >= one.valid_to:
                raise BrokenIdentifierError(f"valid_from {one.valid_from} is not before valid_to {one.valid_to}")
            if one.type == IdentifierType.TICKER:
                place = words.market(one.market) if one.market else market
                if not place:
                    detail = f"no market {one.market!r}" if one.market else "a ticker needs a market"
                    faults.append(Fault(FaultKind.BARE_TICKER, field, one.value, detail))
                    continue
                used.append(
                    structs.replace(
                        one, value=checked(one.type, f"{one.value}@{place}")[: -1 - len(place)], market=place
                    )
                )
            else:
                used.append(structs.replace(one, value=checked(one.type, one.value)))
        except BrokenIdentifierError as error:
            hidden = masked(one.value)
            fault = FaultKind.MASKED if hidden else FaultKind.BROKEN
            faults.append(Fault(fault, field, one.value, "characters are hidden" if hidden else str(error)))
    return used
