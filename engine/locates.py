"""The words of locates (domain.md 4): a request, the decision on it, its states and its evidence.

Quantities are whole shares; ratios are basis points of the approved quantity; times are UTC nanoseconds.
"""

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

LIMIT: Final = 2**63 - 1
"""The largest quantity anybody can ask for."""
WHOLE: Final = 10_000
"""100% in basis points."""
_TEXT: Final = r"^[^\x00-\x1f\x7f]*$"

Quantity = Annotated[int, Meta(ge=1, le=LIMIT, description="Whole shares.")]
Code = Annotated[str, Meta(min_length=1, max_length=40, pattern=_TEXT)]
Name = Annotated[str, Meta(max_length=64, pattern=_TEXT)]
Remark = Annotated[str, Meta(max_length=400, pattern=_TEXT)]


class LocateType(StrEnum):
    """What the client is about to sell."""

    SHORT = "short"
    LONG = "long"


class OnInsufficient(StrEnum):
    """What becomes of a request for which nothing is left."""

    REJECT = "reject"
    PEND = "pend"


class State(StrEnum):
    """Where a request or locate is in its life; see `NEXT`."""

    RECEIVED = "received"
    PENDING = "pending"
    APPROVED = "approved"
    PARTIALLY_APPROVED = "partially_approved"
    REJECTED = "rejected"
    EXHAUSTED = "exhausted"
    RELEASED = "released"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    REVOKED = "revoked"


class Reason(StrEnum):
    """Why a request was not approved in full."""

    INSUFFICIENT_INVENTORY = "insufficient_inventory"
    SECURITY_NOT_FOUND = "security_not_found"
    SECURITY_INELIGIBLE = "security_ineligible"
    CLIENT_INELIGIBLE = "client_ineligible"
    RESTRICTED_LIST = "restricted_list"
    MARKET_RESTRICTION = "market_restriction"
    LIMIT_EXCEEDED = "limit_exceeded"
    THRESHOLD_SECURITY = "threshold_security"
    STALE_INPUTS = "stale_inputs"
    MANUAL_REJECT = "manual_reject"


LIVE: Final = frozenset({State.APPROVED, State.PARTIALLY_APPROVED})
"""States that hold their decrement."""
_LIVE_ENDS: Final = frozenset({State.EXHAUSTED, State.RELEASED, State.EXPIRED, State.CANCELLED, State.REVOKED})
_DECIDED: Final = frozenset({State.APPROVED, State.PARTIALLY_APPROVED, State.REJECTED})
NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.RECEIVED: _DECIDED | {State.PENDING},
    State.PENDING: _DECIDED | {State.PENDING, State.CANCELLED, State.EXPIRED},
    State.APPROVED: _LIVE_ENDS,
    State.PARTIALLY_APPROVED: _LIVE_ENDS,
}
"""Where a state may lead; a state that is not here is final. Pending to pending: for another reason."""


class LocateRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a request. Text carries no control characters."""

    security: Annotated[Code, Meta(description="Our code, an ISIN, CUSIP, SEDOL or FIGI, or TICKER@MARKET.")]
    client: Annotated[Name, Meta(min_length=1, description="Who asks.")]
    quantity: Quantity
    type: Annotated[LocateType, Meta(description="A short sale, or a long sale where a market asks for a locate.")] = (
        LocateType.SHORT
    )
    allow_partial: Annotated[bool, Meta(description="Whether less than `quantity` is of use.")] = True
    on_insufficient: Annotated[OnInsufficient, Meta(description="Where nothing is left.")] = OnInsufficient.REJECT
    reference: Annotated[Name, Meta(description="The client's own id of this line.")] = ""
    requested_by: Annotated[Name, Meta(description="The person or system asking.")] = ""
    comment: Remark = ""


class RuleUsed(Struct, frozen=True):
    """Which rule decided, as it stood."""

    id: str
    version: int


class FeedPosition(Struct, frozen=True):
    """The next record that the inventory had not seen."""

    topic: str
    partition: int
    offset: int


class Subject(Struct, frozen=True):
    """What rules are asked about: a request, its security and its market as they were at that moment.

    `date` is the market's own. `country`: of issue, the market's where the reference does not say. `pool`: left before the
    request. `rate`: ten-thousandths of a percent a year, None where unknown. `located_today_...`: shares approved on that date
    before the request, to its client in its security, and to everybody in it. `volume_30d`: a day, 0 unknown as `outstanding`.
    """

    market: str
    temperature: str
    type: LocateType
    date: dt.date
    country: str = ""
    classification: str = "UNKNOWN"
    client: str = ""
    quantity: int = 0
    pool: int = 0
    rate: int | None = None
    located_today_client: int = 0
    located_today_security: int = 0
    stale: bool = False
    designated: bool = False
    """On the market's list of what may be sold short."""
    threshold: bool = False
    """On the market's list of persistent settlement failures."""
    volume_30d: int = 0
    outstanding: int = 0


class Evidence(Struct, frozen=True, kw_only=True):
    """What a decision was made on."""

    decision_rule: RuleUsed
    decrement_rule: RuleUsed
    ratio_basis_points: int
    market: str
    temperature: str
    pool_before: int
    pool_after: int
    terms: dict[str, int]
    """Every term of the inventory on the settlement day, before the decision."""
    as_of_ns: int
    feed_positions: tuple[FeedPosition, ...]
    decided_ns: int
    decided_by: str
    requested_by: str
    subject: Subject | None = None
    """What the rules were asked about; None where no rule was asked, and in evidence older than this field."""
    held: int = 0
    """Live decrements of the request's type on the security, before the decision."""


class Locate(Struct, frozen=True, kw_only=True):
    """A request and what became of it. `security` of the request is our code where the security is known."""

    sequence: int
    request: LocateRequest
    asked_as: str
    """How the client named the security."""
    state: State
    reason: Reason | None
    rule: RuleUsed
    approved: int
    used: int
    decrement: int
    """Held from the pool now: 0 once the locate has ended."""
    pool_before: int
    """What was left for locates before the decision; negative where more was promised than is there."""
    pool_after: int
    received_ns: int
    updated_ns: int
    expires_ns: int
    as_of_ns: int
    fee: int | None
    """Ten-thousandths of a percent a year; None where unknown."""
    created_by: str = ""
    """Whose token asked for it."""
    changed_by: str = ""
    remark: str = ""
    """Why it was changed last, in the words of who did it."""

    @property
    def live(self) -> bool:
        return self.state in LIVE

    @property
    def open(self) -> bool:
        """Live or pending: it may still change."""
        return self.state in NEXT


class Change(Struct, frozen=True):
    """One transition of one locate. `evidence` where a decision was made."""

    before: Locate | None
    after: Locate
    evidence: Evidence | None


def decrement(ratio_basis_points: int, approved: int, executed: int = 0) -> int:
    """clamp(max(ratio x approved, executed), 0, approved) in shares, a part of a share counting as a whole one."""
    held = -(-ratio_basis_points * approved // WHOLE)
    return min(max(held, executed, 0), approved)


def largest_within(ratio_basis_points: int, wanted: int, available: int) -> int:
    """The largest quantity up to `wanted` whose decrement does not exceed `available` shares (nothing below 0)."""
    if ratio_basis_points == 0:
        return wanted
    return min(wanted, max(0, available) * WHOLE // ratio_basis_points)
