"""The words of locates (domain.md 4): a request, the decision on it, its states and its evidence.

Quantities are whole shares; ratios are basis points of the approved quantity; times are UTC nanoseconds.
"""

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

LIMIT: Final = 10**12
"""The largest quantity anybody can ask for: what a million of them hold together still fits into 64 bits."""
WHOLE: Final = 10_000
"""100% in basis points."""
_TEXT: Final = r"^[^\x00-\x1f\x7f]*$"

Quantity = Annotated[int, Meta(ge=1, le=LIMIT, description="Whole shares.")]
Code = Annotated[str, Meta(min_length=1, max_length=40, pattern=_TEXT)]
Name = Annotated[str, Meta(max_length=64, pattern=_TEXT)]
Remark = Annotated[str, Meta(max_length=400, pattern=_TEXT)]


class IdentifierKind(StrEnum):
    """How a request names its security; where it does not say, whatever the text leads to."""

    CODE = "code"
    ISIN = "isin"
    CUSIP = "cusip"
    SEDOL = "sedol"
    FIGI = "figi"
    TICKER = "ticker"


class Settlement(StrEnum):
    """How the client will be short: by a sale of shares, or by a swap on them."""

    CASH = "cash"
    SWAP = "swap"


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
    RATE_EXCEEDED = "rate_exceeded"
    """The borrow costs more than the request permits, or nobody knows what it costs."""
    THRESHOLD_SECURITY = "threshold_security"
    STALE_INPUTS = "stale_inputs"
    MANUAL_REJECT = "manual_reject"


LIVE: Final = frozenset({State.APPROVED, State.PARTIALLY_APPROVED})
"""States in which the client may still sell."""
OPEN: Final = LIVE | {State.PENDING, State.EXHAUSTED}
"""States that time alone ends."""
ENDED_EARLY: Final = frozenset({State.RELEASED, State.CANCELLED, State.REVOKED})
"""Ended before the market's close: what was used, or may not be promised again the same day, stays held until then."""
_DECIDED: Final = frozenset({State.APPROVED, State.PARTIALLY_APPROVED, State.REJECTED})
_LIVE_NEXT: Final = LIVE | ENDED_EARLY | {State.EXHAUSTED, State.EXPIRED}
NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.RECEIVED: _DECIDED | {State.PENDING},
    State.PENDING: _DECIDED | {State.PENDING, State.CANCELLED, State.EXPIRED},
    State.APPROVED: _LIVE_NEXT - {State.PARTIALLY_APPROVED},
    State.PARTIALLY_APPROVED: _LIVE_NEXT - {State.APPROVED},
    State.EXHAUSTED: frozenset({State.EXPIRED}),
    **dict.fromkeys(sorted(ENDED_EARLY), frozenset({State.EXPIRED})),
}
"""Where a state may lead; a state that is not here is final. A state to itself: for another reason, or used in part."""


class Named(Struct, frozen=True, kw_only=True):
    """A security as somebody else names it."""

    security: Annotated[
        Code,
        Meta(description="Our code, an ISIN, CUSIP, SEDOL or FIGI, or TICKER@MARKET; a bare ticker needs `market`."),
    ]
    identifier_type: Annotated[
        IdentifierKind | None, Meta(description="What `security` is; null: whatever it leads to.")
    ] = None
    market: Annotated[
        Annotated[str, Meta(max_length=40, pattern=_TEXT)],
        Meta(description="Where it is traded: a MIC, a country or our own code of the market."),
    ] = ""


class LocateRequest(Named, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a request. Text carries no control characters."""

    client: Annotated[Name, Meta(min_length=1, description="Who asks.")]
    quantity: Quantity
    type: Annotated[LocateType, Meta(description="A short sale, or a long sale where a market asks for a locate.")] = (
        LocateType.SHORT
    )
    au: Annotated[Name, Meta(description="The aggregation unit that will sell.")] = ""
    settlement: Annotated[Settlement, Meta(description="A sale of shares, or a swap on them.")] = Settlement.CASH
    allow_partial: Annotated[bool, Meta(description="Whether less than `quantity` is of use.")] = True
    minimum_quantity: Annotated[Quantity, Meta(description="Less than this is of no use.")] = 1
    on_insufficient: Annotated[OnInsufficient, Meta(description="Where there is not enough.")] = OnInsufficient.REJECT
    max_rate: Annotated[
        Annotated[float, Meta(ge=0, le=10_000)] | None,
        Meta(
            description="Percent a year that the borrow may cost; where the rate is unknown, nothing is approved by rule."
        ),
    ] = None
    intraday_cover: Annotated[bool, Meta(description="Whether it will be bought back on the same day.")] = False
    good_for: Annotated[
        dt.date | None, Meta(description="The trading day at whose close it expires; null: the next close.")
    ] = None
    priority: Annotated[int, Meta(ge=0, le=9, description="Pending requests of a higher one are tried first.")] = 0
    reference: Annotated[Name, Meta(description="The client's own id of this line.")] = ""
    requested_by: Annotated[Name, Meta(description="The person or system asking.")] = ""
    comment: Remark = ""

    @property
    def least(self) -> int:
        """The smallest approval that is of use."""
        return max(self.minimum_quantity, 1) if self.allow_partial else self.quantity


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
    settlement: str = "cash"
    intraday_cover: bool = False
    client_known: bool = True
    """Whether reference data names the client."""


class Evidence(Struct, frozen=True, kw_only=True):
    """What a decision was made on."""

    decision_rule: RuleUsed
    decrement_rule: RuleUsed
    ratio_basis_points: int
    market: str
    temperature: str
    pool_before: int
    """What was left for locates before the decision; negative where more was promised than is there."""
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
    """Held from the pool now. What was used stays held until the market's close, and a trade feed that is late with
    the sale promises nothing twice."""
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
    decided_by: str = ""
    """Who approved or rejected it last: "rules", or a person."""
    ratio_basis_points: int | None = None
    """Of the decrement; None in locates from before it was kept."""
    reuse: bool = True
    """Whether what comes back before the market's close may be promised again the same day."""
    cost: int | None = None
    """What borrowing the approved shares costs a day, in hundredths of `currency`; None where unknown."""
    currency: str = ""

    @property
    def live(self) -> bool:
        return self.state in LIVE

    @property
    def remaining(self) -> int:
        """Shares that may still be sold on it."""
        return self.approved - self.used if self.live else 0

    @property
    def open(self) -> bool:
        """It holds something, or may: the desk has it in mind."""
        return self.state in OPEN or (self.state in ENDED_EARLY and self.decrement > 0)

    @property
    def full(self) -> int:
        """What it holds by its ratio and its use."""
        if self.ratio_basis_points is None:
            return max(self.decrement, self.used)
        return decrement(self.ratio_basis_points, self.approved, self.used)


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


def locate_id(sequence: int) -> str:
    """The number of a locate as programs see it."""
    return f"L{sequence:010d}"


def sequence_of(text: str) -> int | None:
    """The number of an id; None where the text is none."""
    digits = text[1:]
    good = text[:1] == "L" and digits.isascii() and digits.isdigit() and len(digits) < 19  # noqa: PLR2004  int64
    return int(digits) if good and locate_id(int(digits)) == text else None
