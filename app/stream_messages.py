"""What is said on the stream's websocket: JSON text, a struct each."""

import datetime as dt
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

import msgspec
from msgspec import Meta, Struct

_MOST_NAMES: Final = 1_000
Names = Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(min_length=1, max_length=_MOST_NAMES)]


class Topic(StrEnum):
    """What can be followed."""

    LOCATES = "locates"
    ORDERS = "orders"
    AVAILABILITY = "availability"
    LIMITS = "limits"
    BREAKS = "breaks"
    ALERTS = "alerts"


class Subscribe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="subscribe"):
    """Follow a topic, from a snapshot on, or (`after`) from where one has been before."""

    topic: Topic
    clients: Annotated[Names | None, Meta(description="Of these only; for limits, whose.")] = None
    aggregation_units: Annotated[Names | None, Meta(description="Of limits: whose.")] = None
    securities: Annotated[Names | None, Meta(description="Of these only, by any of their names.")] = None
    markets: Annotated[Names | None, Meta(description="Of availability: of these markets only.")] = None
    snapshot: Annotated[bool, Meta(description="false: only what happens from now on.")] = True
    after: (
        Annotated[int, Meta(ge=0)] | Annotated[None, Meta(description="The `sequence` of the last message one has.")]
    ) = None
    epoch: Annotated[str, Meta(description="The `epoch` of that message.")] = ""


class Unsubscribe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="unsubscribe"):
    """No more of a topic."""

    topic: Topic


class Line(Struct, frozen=True):
    """One thing of a topic as it is since `sequence`; `data` null: it is no more."""

    sequence: int
    key: str
    data: msgspec.Raw | None


class Snapshot(Struct, frozen=True, kw_only=True, tag_field="type", tag="snapshot"):
    """What there is; in several messages where it is much, of which only one is the `last`."""

    topic: Topic
    epoch: str
    sequence: int
    lines: list[Line]
    last: bool


class Delta(Struct, frozen=True, kw_only=True, tag_field="type", tag="delta"):
    """What has happened since."""

    topic: Topic
    epoch: str
    sequence: int
    lines: list[Line]


class Heartbeat(Struct, frozen=True, kw_only=True, tag_field="type", tag="heartbeat"):
    """Nothing was missed: how far each topic is. `stale`: inputs are late, nothing is approved by rules."""

    at: dt.datetime
    sequences: dict[str, int]
    stale: bool


class Refused(Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """What was asked for could not be done; what was followed before is followed on."""

    detail: str
    topic: str = ""
    code: Annotated[
        Literal["refused", "forbidden", "unavailable"],
        Meta(description="forbidden: not with this token. unavailable: ask again later."),
    ] = "refused"


class Ended(Struct, frozen=True, kw_only=True, tag_field="type", tag="unsubscribed"):
    """No more of this topic comes."""

    topic: Topic


Said = Subscribe | Unsubscribe
_SAID: Final = msgspec.json.Decoder(Said)
_JSON: Final = msgspec.json.Encoder()


class StreamError(ValueError):
    """What was asked for cannot be done; the message says why."""

    code: ClassVar[Literal["refused", "forbidden"]] = "refused"


class StreamForbiddenError(StreamError):
    """Not with this token."""

    code = "forbidden"


def read(text: str | bytes) -> Said:
    """Raises `StreamError`."""
    try:
        said: Said = _SAID.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise StreamError(str(error)) from error
    return said


def encode(message: Snapshot | Delta | Heartbeat | Refused | Ended) -> bytes:
    """As it goes over the wire."""
    return _JSON.encode(message)
