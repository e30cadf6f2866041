"""What does not agree, as data: the kinds of breaks (domain.md 6), and one of them as it is found in the tables."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class BreakKind(StrEnum):
    """What does not agree."""

    DEPOT = "depot"
    """A custodian states other stock than the rows of its depot come to."""
    TD_SD = "td_sd"
    """A row's contractual quantity is not what is settled and expected."""
    FRONT_BACK = "front_back"
    """The contractual quantity that a start of day states is not the one that trades had come to at the close before."""
    CONTRACT = "contract"
    """A counterparty states other stock than the contracts with it come to; or what was due under one has not come."""
    IDENTIFIER = "identifier"
    """Sources disagree on what names a security."""
    REFERENCE = "reference"
    """Records wait for something that nobody has described."""
    PARTY = "party"
    """A book is unknown, or has no aggregation unit where it holds something."""
    LIMIT = "limit"
    """More was sold than a client or a unit may sell."""
    AVAILABILITY = "availability"
    """More was promised of a security than is there."""
    FEED = "feed"
    """A feed is later than its limit, or missing."""
    GAP = "gap"
    """A source has left sequence numbers out."""
    MESSAGE = "message"
    """Messages cannot be read, and are kept whole in the quarantine."""


class Severity(StrEnum):
    """How bad it is, the worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Cause(StrEnum):
    """Why two sides may differ."""

    UNSETTLED_TRADE = "unsettled_trade"
    LATE_SETTLEMENT = "late_settlement"
    START_OF_DAY = "start_of_day"
    UNMATCHED_INSTRUCTION = "unmatched_instruction"
    CORPORATE_ACTION = "corporate_action"
    WRONG_MAPPING = "wrong_mapping"
    FEED = "feed"


class Place(NamedTuple):
    """What a break of the tables is about: ids, 0 for none. `row_kind`: a `Kind`, -1 for none; `deal`: a place in `deal`."""

    security: int = 0
    book: int = 0
    depot: int = 0
    row_kind: int = -1
    counterparty: int = 0
    deal: int = 0
    market: int = -1
    """Of a book without a unit."""
    number: str = ""
    """Which number is below zero; of a contract what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Found:
    """Two sides that differ, in shares. What they differ by is `theirs` - `ours`, whatever anybody tolerates."""

    kind: BreakKind
    place: Place
    ours: int
    theirs: int

    @property
    def quantity(self) -> int:
        return self.theirs - self.ours
