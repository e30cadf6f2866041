"""What people say about breaks, as typed bodies."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

_ID = Annotated[str, Meta(pattern=r"^B[0-9]{10}$")]
Text = Annotated[str, Meta(max_length=2_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
"""Lines of text."""
Needed = Annotated[str, Meta(min_length=1, max_length=2_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Person = Annotated[str, Meta(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Code = Annotated[str, Meta(max_length=24, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Shares = Annotated[int, Meta(ge=0, le=10**12)]
_Signed = Annotated[int, Meta(ge=-(10**12), le=10**12)]


class AssignRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose it is; empty: nobody's."""

    owner: Person
    comment: Text = ""


class CommentRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be said."""

    comment: Needed


class NoteRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step, and what is to be said of it."""

    comment: Text = ""


class HoldRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many shares to keep back; what is missing, where it is not said."""

    quantity: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    comment: Text = ""


class BreakActionsRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same for many breaks."""

    action: Literal["assign", "comment", "acknowledge", "group", "ungroup"]
    ids: Annotated[list[_ID], Meta(min_length=1, max_length=1_000)]
    owner: Person = ""
    group: Person = ""
    comment: Text = ""


class GroupRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Breaks that belong together."""

    ids: Annotated[list[_ID], Meta(min_length=1, max_length=1_000)]
    name: Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$")]
    comment: Text = ""


class MatchRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Breaks that explain each other; with `force`, whatever they come to, and for a reason."""

    ids: Annotated[list[_ID], Meta(min_length=1, max_length=100)]
    force: bool = False
    comment: Text = ""


class AdjustRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which row of our books is to change by how much, and why."""

    book: Annotated[str, Meta(min_length=1, max_length=24, pattern=r"^[^\x00-\x1f\x7f]*$")]
    position_type: Literal["FIRM", "CLIENT_FREE", "CLIENT_SEGREGATED", "SLAB_BORROW", "SLAB_LOAN", "REPO_RECEIVED"]
    quantity: _Signed
    comment: Needed
    depot: _Code = ""


class OutcomeRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the engine made of an approved adjustment; empty: it is in the books."""

    problem: str = ""


REQUEST_TYPES = (
    AssignRequest,
    CommentRequest,
    NoteRequest,
    HoldRequest,
    BreakActionsRequest,
    GroupRequest,
    MatchRequest,
    AdjustRequest,
)
