"""What a line of a request names, and what of it cannot be used at all: told with a pointer to the field."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from app.api.problems import Fault, ProblemError, pointer
from app.api.securities import Securities
from engine.locates import IdentifierKind, Named
from engine.model import Market
from feeds.identifier_check import BrokenIdentifierError, checked
from feeds.master_records import IdentifierType
from feeds.vocabulary import Vocabulary

T = TypeVar("T", bound=Named)
R = TypeVar("R")
_CHECKED: Final = {
    IdentifierKind.ISIN: IdentifierType.ISIN,
    IdentifierKind.CUSIP: IdentifierType.CUSIP,
    IdentifierKind.SEDOL: IdentifierType.SEDOL,
    IdentifierKind.FIGI: IdentifierType.FIGI,
}


class UnusableError(ValueError):
    """A field that cannot be used; `field`: its name."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field


class Found(NamedTuple):
    """A security and our code of it; 0 and the text under which it may become known, where there is none."""

    security: int
    code: str


class Naming:
    """Leads names of securities to their ids, in the words of our vocabulary."""

    def __init__(self, securities: Securities, words: Vocabulary, markets: Sequence[Market]) -> None:
        self._securities = securities
        self._words = words
        self._markets = {market.code for market in markets}

    def find(self, asked: Named) -> Found:
        """The security. Raises `UnusableError`."""
        kind, text, place = asked.identifier_type, asked.security, self._market(asked.market)
        if kind in _CHECKED:
            try:
                text = checked(_CHECKED[kind], text)
            except BrokenIdentifierError as error:
                raise UnusableError("security", f"{text!r} is no {kind.upper()}: {error}") from error
        found = 0 if kind == IdentifierKind.TICKER else self._securities.find(text)
        if not found and kind in (None, IdentifierKind.TICKER):
            text = self._ticker(text, place, sure=kind is not None)
            found = self._securities.find(text)
        if found and place and (where := self._securities.market(found).code) != place:
            raise UnusableError("market", f"{asked.security} is traded in {where}, not in {place}")
        return Found(found, self._securities.code(found) if found else text)

    def _ticker(self, text: str, place: str, *, sure: bool) -> str:
        """TICKER@MARKET in our own words. `sure`: it is meant as a ticker, whether or not anybody has it."""
        if "@" in text:
            ticker, _, market = text.rpartition("@")
            return f"{ticker}@{self._market(market, 'security')}" if sure else text
        if place:
            return f"{text}@{place}"
        if sure or self._securities.has_ticker(text):
            raise UnusableError("market", f"the ticker {text!r} needs a market")
        return text

    def _market(self, text: str, field: str = "market") -> str:
        """Our code of a market: as it is, by its MIC or another name, or by its country."""
        if not text or text in self._markets:
            return text
        found = self._words.market(text) or self._words.country(text)
        if found not in self._markets:
            raise UnusableError(field, f"no market {text!r}")
        return found


def every(lines: Sequence[T], use: Callable[[T], R], *, single: bool) -> list[R]:
    """`use` of each line. Raises one `ProblemError` with a pointer for all that cannot be used."""
    used: list[R] = []
    faults: list[Fault] = []
    for number, line in enumerate(lines):
        try:
            used.append(use(line))
        except UnusableError as error:
            place: tuple[Any, ...] = (error.field,) if single else (number, error.field)
            faults.append(Fault(str(error), pointer=pointer(*place)))
    if faults:
        count = f"{len(faults):,} fields" if len(faults) > 1 else "one field"
        raise ProblemError(422, "invalid", f"{count} cannot be used", tuple(faults))
    return used
