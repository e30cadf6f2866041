"""Identifiers of securities and legal entities as their standards write them: cleaned, checked by python-stdnum."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from stdnum import cusip, figi, isin, lei
from stdnum.exceptions import ValidationError
from stdnum.gb import sedol

from engine.model import SYMBOL_BYTES
from feeds.master_records import IdentifierType

_STANDARDS: Final[dict[IdentifierType, Any]] = {
    IdentifierType.ISIN: isin,
    IdentifierType.CUSIP: cusip,
    IdentifierType.SEDOL: sedol,
    IdentifierType.FIGI: figi,
    IdentifierType.LEI: lei,
}
_LENGTH: Final = {
    IdentifierType.ISIN: 12,
    IdentifierType.CUSIP: 9,
    IdentifierType.SEDOL: 7,
    IdentifierType.FIGI: 12,
    IdentifierType.LEI: 20,
}
_PLAIN: Final = re.compile(r"[!-~]+")
_MASK: Final = re.compile(r"[*?#]|(?:X{4,}|\.{3,})")
"""Characters that stand for ones that are not shown."""
_REASONS: Final = {
    "InvalidChecksum": "the check digit is wrong",
    "InvalidLength": "it has the wrong length",
    "InvalidFormat": "it has the wrong form",
    "InvalidComponent": "a part of it names nothing",
}


class BrokenIdentifierError(ValueError):
    """The text is no identifier of its type; the message says why."""


@lru_cache(maxsize=1 << 19)
def checked(kind: IdentifierType, text: str) -> str:
    """The identifier as its standard writes it. Raises `BrokenIdentifierError`."""
    value = text.strip().upper()
    if not _PLAIN.fullmatch(value) or len(value) > SYMBOL_BYTES:
        raise BrokenIdentifierError(f"1 to {SYMBOL_BYTES} visible ASCII characters are expected")
    standard = _STANDARDS.get(kind)
    if standard is None:
        return value
    if len(value) != _LENGTH[kind]:
        raise BrokenIdentifierError(_REASONS["InvalidLength"])
    validate: Callable[[str], str] = standard.validate
    try:
        return validate(value)
    except ValidationError as error:
        name = type(error).__name__
        raise BrokenIdentifierError(_REASONS.get(name, str(error))) from error


def masked(text: str) -> bool:
    """Whether characters of the identifier are hidden."""
    return _MASK.search(text.upper()) is not None
