"""What a break is at the moment, whatever people have done about it."""

import datetime as dt
from typing import Annotated

from msgspec import Meta, Struct

from engine.break_kinds import BreakKind, Cause, Severity


class CauseFound(Struct, frozen=True, kw_only=True):
    """One candidate for why two sides differ, the likeliest first. `quantity`: how much of the difference it explains."""

    cause: Cause
    quantity: int
    text: str
    book: str = ""
    depot: str = ""
    security: str = ""
    on: dt.date | None = None
    key: Annotated[str, Meta(description="The subject of the equal and opposite break, of a wrong mapping.")] = ""


class Subject(Struct, frozen=True, kw_only=True):
    """What a break is about."""

    security: str = ""
    isin: str = ""
    name: str = ""
    market: str = ""
    temperature: str = ""
    book: str = ""
    depot: str = ""
    position_type: str = ""
    client: str = ""
    aggregation_unit: str = ""
    counterparty: str = ""
    contract: str = ""
    number: str = ""
    feed: str = ""
    source: str = ""
    topic: str = ""
    reason: str = ""


class Facts(Struct, frozen=True, kw_only=True):
    """A break as it is now. `key`: the same for the same thing in every run; `quantity` = `theirs` - `ours`."""

    key: str
    kind: BreakKind
    title: str
    about: Subject
    unit: str
    ours: int | None
    theirs: int | None
    quantity: int
    tolerance: int = 0
    value: float | None = None
    causes: tuple[CauseFound, ...] = ()
    sellable: int = 0
    lendable: int = 0
    located: int = 0
    severity: Severity = Severity.LOW

    @property
    def affected(self) -> int:
        """All that hangs on it."""
        return self.sellable + self.lendable + self.located

    @property
    def explained(self) -> int:
        """How much of the difference the likeliest cause explains, in absolute shares."""
        return min(abs(self.quantity), max((abs(cause.quantity) for cause in self.causes), default=0))

    def quiet(self) -> tuple[object, ...]:
        """What it takes to be another one than before: a value that follows the price alone is no news."""
        return self.quantity, self.ours, self.theirs, self.title, self.causes, self.severity, self.about
