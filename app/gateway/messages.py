"""Text messages between browser and gateway: JSON objects told apart by `t`."""

from dataclasses import replace
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec

from app.gateway.plans import Place
from engine.views import INVENTORY, POSITIONS, Column, Condition, Opening, Query

MAX_ROWS: Final = 500
"""The longest window."""
_V = Annotated[int, msgspec.Meta(ge=0, le=2**16 - 1)]
_First = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_ROWS)]
_Names = Annotated[tuple[str, ...], msgspec.Meta(max_length=64)]
_Toggled = Annotated[tuple[tuple[str, ...], ...], msgspec.Meta(max_length=2_000)]
_Columns = Annotated[tuple[str, ...], msgspec.Meta(max_length=255)]


Said = TypeVar("Said", "Hello", "Stats")


class BadMessageError(ValueError):
    """A message that is not one of ours; the text says where."""


class Where(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A condition on a column, see `engine.views.Condition`."""

    column: str
    op: str
    value: str | int | float | tuple[str | int | float, ...]


class Filter(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Which rows of a view; an empty filter holds always."""

    text: str = ""
    markets: _Names = ()
    temperatures: _Names = ()
    changed_today: bool = False
    where: tuple[Where, ...] = ()

    def conditions(self) -> tuple[Condition, ...]:
        """Raises `QueryError`."""
        return tuple(Condition(each.column, each.op, each.value) for each in self.where)


class View(msgspec.Struct, tag_field="t", tag="view", forbid_unknown_fields=True, frozen=True):
    """Look at these columns and rows; replaces what the connection looked at before."""

    v: _V
    columns: _Columns
    table: str = INVENTORY
    filter: Filter = Filter()
    sort: tuple[tuple[str, str], ...] = ()
    groups: _Names = ()
    """Text columns: the view is a tree, flattened."""
    depth: int = 0
    toggled: _Toggled = ()
    """Which groups are open, see `engine.views.Opening`."""
    pivot: str = ""
    totals: bool = False
    first: _First = 0
    count: _Count = 60

    def query(self, clients: frozenset[str] | None) -> Query:
        """What is looked at by somebody who may see what is these clients'. Raises `QueryError`."""
        return query_of(
            self.table, self.columns, self.filter, clients, sort=self.sort, groups=self.groups, pivot=self.pivot
        )

    def place(self) -> Place:
        """The window to begin with."""
        return Place(self.columns, self.first, self.count, Opening(self.depth, frozenset(self.toggled)), self.totals)


def query_of(
    table: str,
    columns: tuple[str, ...],
    chosen: Filter,
    clients: frozenset[str] | None,
    sort: tuple[tuple[str, str], ...] = (),
    groups: tuple[str, ...] = (),
    pivot: str = "",
) -> Query:
    """Raises `QueryError`."""
    return Query(
        columns=columns,
        text=chosen.text,
        markets=chosen.markets,
        temperatures=chosen.temperatures,
        changed_today=chosen.changed_today,
        sort=sort,
        table=table,
        where=chosen.conditions(),
        clients=clients,
        groups=groups,
        pivot=pivot,
    )


class Window(msgspec.Struct, tag_field="t", tag="window", forbid_unknown_fields=True, frozen=True):
    """Other rows of the same view; with `depth` or `toggled`, other groups open."""

    v: _V
    first: _First
    count: _Count
    depth: int | None = None
    toggled: _Toggled | None = None

    def place(self, before: Place) -> Place:
        """The window that follows upon another."""
        depth = before.opening.depth if self.depth is None else self.depth
        toggled = before.opening.toggled if self.toggled is None else frozenset(self.toggled)
        return replace(before, first=self.first, count=self.count, opening=Opening(depth, toggled))


class Values(msgspec.Struct, tag_field="t", tag="values", forbid_unknown_fields=True, frozen=True):
    """Which texts there are in a column, among the rows that pass a filter."""

    r: int
    column: str
    table: str = INVENTORY
    filter: Filter = Filter()
    search: Annotated[str, msgspec.Meta(max_length=100)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 200

    def query(self, clients: frozenset[str] | None) -> Query:
        """The rows that pass, by the column. Raises `QueryError`."""
        return query_of(self.table, (self.column,), self.filter, clients, groups=(self.column,))


class Find(msgspec.Struct, tag_field="t", tag="find", forbid_unknown_fields=True, frozen=True):
    """Where a row stands in the view; a group by its number below 0."""

    r: int
    v: _V
    id: int


class Renewal(msgspec.Struct, tag_field="t", tag="ticket", forbid_unknown_fields=True, frozen=True):
    """A newer ticket of whoever opened the connection: it stays open for as long as this one is good."""

    ticket: Annotated[str, msgspec.Meta(max_length=32_768)]


class ValuesFound(msgspec.Struct, tag_field="t", tag="values", frozen=True):
    """The texts of a column in its order and how many rows have each; `distinct`: of how many there are."""

    r: int
    column: str
    values: list[tuple[str, int]]
    distinct: int
    rows: int


class Found(msgspec.Struct, tag_field="t", tag="found", frozen=True):
    """The row; null where it is not in the view."""

    r: int
    row: int | None


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
    sum: bool = False
    """Whether groups, totals and pivots have sums of it."""

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
            sum=column.summed,
        )


class TableInfo(msgspec.Struct, frozen=True):
    """One table there is to see."""

    id: str
    title: str
    columns: list[ColumnInfo]
    """Every column there is, in the order of the table."""


class ShapeOfPivot(msgspec.Struct, tag_field="t", tag="shape", frozen=True):
    """What the columns of the frames are that follow."""

    v: int
    columns: list[ColumnInfo]


class Hello(msgspec.Struct, tag_field="t", tag="hello", frozen=True):
    """Once per connection; again when a new writer took over (another `generation`), or other rules have other columns."""

    generation: str
    frame_ms: int
    markets: list[str]
    temperatures: list[str]
    columns: list[ColumnInfo]
    """Of the inventory, where who asks may see it."""
    tables: list[TableInfo]


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
    """What late feeds make doubtful: SHARES, MONEY, REFERENCE, STATEMENTS. SHARES alone makes the state "stale"."""
    located_shares: int | None = None
    locates_live: int | None = None
    locates_pending: int | None = None
    negative: int | None = None
    htb: int | None = None


class Error(msgspec.Struct, tag_field="t", tag="error", frozen=True, omit_defaults=True):
    """What was wrong with a message; the connection stays."""

    detail: str
    v: int | None = None
    """The view that has no answer, or `r` the request, where there is one."""
    r: int | None = None


def kept(message: Said) -> Said:
    """What of it somebody may know who is kept to clients: nothing of the machine as a whole."""
    if isinstance(message, Hello):
        tables = [table for table in message.tables if table.id == POSITIONS]
        return msgspec.structs.replace(message, columns=[], tables=tables)
    return Stats(
        now_ms=message.now_ms,
        state=message.state,
        heartbeat_age_ms=message.heartbeat_age_ms,
        feed_age_ms=message.feed_age_ms,
        event_age_ms=message.event_age_ms,
        doubtful=message.doubtful,
    )


Asked: TypeAlias = View | Window | Values | Find | Renewal
_decoder: Final = msgspec.json.Decoder(View | Window | Values | Find | Renewal)
_encoder: Final = msgspec.json.Encoder()


def decode(text: str | bytes) -> Asked:
    """Raises `BadMessageError`."""
    if isinstance(text, bytes):
        raise BadMessageError("messages are JSON text, not binary")
    try:
        message: Asked = _decoder.decode(text)
    except msgspec.DecodeError as error:
        raise BadMessageError(str(error)) from None
    return message


def encode(message: Any) -> bytes:
    """A message as UTF-8 JSON."""
    return _encoder.encode(message)
