"""Text messages between browser and gateway: JSON objects told apart by `t`."""

from typing import Annotated, Any, Final

import msgspec

from engine.views import Column, Query

MAX_ROWS: Final = 500
"""The longest window."""
_V = Annotated[int, msgspec.Meta(ge=0, le=2**16 - 1)]
_First = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_ROWS)]
_Names = Annotated[tuple[str, ...], msgspec.Meta(max_length=64)]
_Columns = Annotated[tuple[str, ...], msgspec.Meta(max_length=255)]


class BadMessageError(ValueError):
    """A message that is not one of ours; the text says where."""


class Filter(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which rows of a view; an empty filter holds always."""

    text: str = ""
    markets: _Names = ()
    temperatures: _Names = ()
    changed_today: bool = False


class View(msgspec.Struct, tag_field="t", tag="view", forbid_unknown_fields=True, frozen=True):
    """Look at these columns and rows; replaces what the connection looked at before."""

    v: _V
    columns: _Columns
    table: str = "inventory"
    filter: Filter = Filter()
    sort: tuple[tuple[str, str], ...] = ()
    first: _First = 0
    count: _Count = 60

    def query(self) -> Query:
        """Raises `QueryError`."""
        f = self.filter
        return Query(self.columns, f.text, f.markets, f.temperatures, f.changed_today, self.sort)


class Window(msgspec.Struct, tag_field="t", tag="window", forbid_unknown_fields=True, frozen=True):
    """Other rows of the same view."""

    v: _V
    first: _First
    count: _Count


class ColumnInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """One column there is to see; what is not sent is empty, false or none."""

    id: str
    kind: str
    """"text" or "number"."""
    title: str
    unit: str = ""
    """Of numbers: shares, money, reporting, basis_points (sent as percent), price, rate (percent), ratio, count or time."""
    family: str = ""
    """Where a list of all columns has it."""
    group: str = ""
    """What stands above the titles of neighbours."""
    day: int | None = None
    """0 to 4; none: the day on which a trade of today settles, or no day at all."""
    tip: str = ""
    shown: bool = False
    """Whether to show it to who has not chosen columns."""
    floor: bool = False
    """Whether it is "at least" the number where the column `at_least` is 1."""
    strong: bool = False
    hot: float | None = None
    """From which value on it stands out."""

    @classmethod
    def of(cls, column: Column) -> "ColumnInfo":
        """What a browser is told of a column."""
        return cls(
            id=column.name,
            kind="text" if column.is_text else "number",
            title=column.title,
            unit=column.unit,
            family=column.family,
            group=column.group,
            day=column.day,
            tip=column.tip,
            shown=column.shown,
            floor=column.floor,
            strong=column.strong,
            hot=column.hot,
        )


class Hello(msgspec.Struct, tag_field="t", tag="hello", frozen=True):
    """Once per connection; again when a new writer took over (another `generation`), or other rules have other columns."""

    generation: str
    frame_ms: int
    markets: list[str]
    temperatures: list[str]
    columns: list[ColumnInfo]
    """Every column there is, in the order of the table."""


class Stats(msgspec.Struct, tag_field="t", tag="stats", frozen=True, kw_only=True):
    """Twice a second. Numbers are null while there is no writer; ages are null for what never happened."""

    now_ms: int
    state: str
    """"live", "starting" (feeds are not complete, or rules not known), "stale" (no heartbeat for 2 s, or a silent feed) or
    "down" (no engine)."""
    heartbeat_age_ms: int | None = None
    feed_age_ms: int | None = None
    """Since every feed was known to be alive and abreast of its source."""
    event_age_ms: int | None = None
    events: int | None = None
    events_per_s: int | None = None
    securities: int | None = None
    rows: int | None = None
    duplicates: int | None = None
    missing: int | None = None
    rejected: int | None = None
    quarantined: int | None = None
    parked: int | None = None
    """Events that wait for reference data, and their shares."""
    parked_shares: int | None = None
    doubtful: tuple[str, ...] = ()
    """What late feeds make doubtful: SHARES, MONEY, REFERENCE. SHARES alone makes the state "stale"."""
    located_shares: int | None = None
    locates_live: int | None = None
    locates_pending: int | None = None
    negative: int | None = None
    htb: int | None = None


class Error(msgspec.Struct, tag_field="t", tag="error", frozen=True):
    """What was wrong with a message; the connection stays."""

    detail: str


_decoder: Final = msgspec.json.Decoder(View | Window)
_encoder: Final = msgspec.json.Encoder()


def decode(text: str | bytes) -> View | Window:
    """Raises `BadMessageError`."""
    if isinstance(text, bytes):
        raise BadMessageError("messages are JSON text, not binary")
    try:
        message: View | Window = _decoder.decode(text)
    except msgspec.DecodeError as error:
        raise BadMessageError(str(error)) from None
    if isinstance(message, View) and message.table != "inventory":
        raise BadMessageError(f"unknown table {message.table!r}; known: inventory")
    return message


def encode(message: Any) -> bytes:
    """A message as UTF-8 JSON."""
    return _encoder.encode(message)
