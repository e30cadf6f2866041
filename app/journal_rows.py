"""Locates, orders, their changes and answers as rows, and the statements of a commit."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.engine.interfaces import DBAPICursor

from app.journal_schema import HISTORY, IDEMPOTENCY, LOCATES, ORDER_HISTORY, ORDERS, Row, Statement
from engine.locates import Change, Evidence, Locate, State
from engine.orders import Order, OrderChange, OrderState

Kept: TypeAlias = Locate | Order
"""What has a life that the journal keeps."""
AnyChange: TypeAlias = Change | OrderChange
_ENCODE: Final = msgspec.json.Encoder()
_VOID: Final = "taken back: the journal could not confirm it and it was never answered"


class Query(Struct, frozen=True, kw_only=True):
    """Which locates to list, newest first; None asks for all. `before`: sequence numbers below it only."""

    client: str | None = None
    security: str | None = None
    state: State | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    before: int | None = None
    limit: int = 100


class Transition(Struct, frozen=True):
    """One line of a locate's history."""

    locate: Locate
    evidence: Evidence | None


class Answer(Struct, frozen=True):
    """An answer kept under the key of its request: a row of `IDEMPOTENCY`.

    `body_hash`: SHA-256 of path and body, in hexadecimal.
    """

    scope: str
    key: str
    body_hash: str
    status: int
    body: bytes
    created_ns: int


def _locate_row(locate: Any, document: str) -> Row:
    """In the order of the columns of `LOCATES`, as `Form.row` is."""
    request = locate.request
    return (
        locate.sequence,
        locate.state.value,
        request.security,
        request.client,
        request.type.value,
        request.quantity,
        locate.approved,
        locate.decrement,
        locate.used,
        locate.received_ns,
        document,
    )


def _order_row(order: Any, document: str) -> Row:
    """In the order of the columns of `ORDERS`."""
    request = order.request
    return (
        order.sequence,
        request.order,
        order.state.value,
        request.security,
        request.client,
        request.side.value,
        order.quantity,
        order.executed,
        order.received_ns,
        document,
    )


@dataclass(frozen=True, slots=True)
class Form:
    """How one sort of thing is kept: as it is now in `table`, every step in `history`."""

    kind: type[Kept]
    table: sa.Table
    history: sa.Table
    row: Callable[[Any, str], Row]
    changing: tuple[str, ...]
    """Columns that a step may change, the document apart."""
    void: Callable[[Any], Any]
    """One that began in a commit which failed after all: it holds nothing."""

    def of(self, document: str) -> Any:
        """The thing of a stored document."""
        return msgspec.json.decode(document, type=self.kind)


FORMS: Final[Mapping[type[Kept], Form]] = {
    Locate: Form(
        Locate,
        LOCATES,
        HISTORY,
        _locate_row,
        ("state", "approved", "decrement", "used"),
        lambda locate: replace(locate, state=State.REVOKED, decrement=0),
    ),
    Order: Form(
        Order,
        ORDERS,
        ORDER_HISTORY,
        _order_row,
        ("state", "quantity", "executed"),
        lambda order: replace(order, state=OrderState.EXPIRED),
    ),
}


def form_of(change: AnyChange) -> Form:
    """How what has changed is kept."""
    return FORMS[type(change.after)]


def voided(change: AnyChange) -> AnyChange:
    """The step back from a change that was never answered."""
    kept: Any = replace(change.before or form_of(change).void(change.after), remark=_VOID)
    return Change(change.after, kept, None) if isinstance(change, Change) else OrderChange(change.after, kept)


def left_behind(connection: sa.Connection, changes: Sequence[AnyChange]) -> tuple[list[AnyChange], list[int]]:
    """The steps back from what a commit that failed has kept after all, and the numbers of orders that began in it."""
    taken_back: list[AnyChange] = []
    began: list[int] = []
    for change in changes:
        form, after = form_of(change), change.after
        chosen = sa.select(form.table.c.document).where(form.table.c.sequence == after.sequence)
        document = connection.execute(chosen).scalar_one_or_none()
        if document is not None and form.of(document) == after:
            taken_back.append(voided(change))
            if change.before is None and isinstance(after, Order):
                began.append(after.sequence)
    return taken_back, began


class Statements:
    """What a commit runs."""

    def __init__(self, engine: sa.Engine) -> None:
        self._server = engine.dialect.name != "sqlite"
        self._of = {kind: _Prepared(form, engine) for kind, form in FORMS.items()}
        self._free = Statement(sa.delete(ORDERS).where(ORDERS.c.sequence == sa.bindparam("which")), ["which"], engine)
        self._answer = Statement(sa.insert(IDEMPOTENCY), IDEMPOTENCY.c.keys(), engine)

    def run(self, cursor: DBAPICursor, changes: Sequence[AnyChange], answers: Sequence[Answer]) -> None:
        """The state of each thing, a line of history each, and the answers."""
        with self._in_one_go(cursor):
            for kind, prepared in self._of.items():
                if mine := [change for change in changes if type(change.after) is kind]:
                    prepared.run(cursor, mine)
            self._answer.run(cursor, [msgspec.structs.astuple(answer) for answer in answers])

    def free(self, cursor: DBAPICursor, sequences: Sequence[int]) -> None:
        """Of these orders the history alone is kept."""
        self._free.run(cursor, [(sequence,) for sequence in sequences])

    def _in_one_go(self, cursor: Any) -> contextlib.AbstractContextManager[object]:
        """Where a statement is a message to a server, all are sent before the first is answered."""
        return cursor.connection.pipeline() if self._server else contextlib.nullcontext()


class _Prepared:
    """The statements of one form."""

    def __init__(self, form: Form, engine: sa.Engine) -> None:
        table, history = form.table, form.history
        self._form = form
        self._changed = (*form.changing, "document", "sequence")
        self._places = [table.c.keys().index(name) for name in self._changed]
        changing = sa.update(table).where(table.c.sequence == sa.bindparam("which"))
        changing = changing.values({name: sa.bindparam(name) for name in self._changed[:-1]})
        self._insert = Statement(sa.insert(table), table.c.keys(), engine)
        self._change = Statement(changing, (*self._changed[:-1], "which"), engine)
        remembered = [column.name for column in history.c if column.name != "entry"]
        self._remember = Statement(sa.insert(history).inline(), remembered, engine)

    def run(self, cursor: DBAPICursor, changes: Sequence[AnyChange]) -> None:
        begun: list[Row] = []
        changed: list[Row] = []
        steps: list[Row] = []
        for change in changes:
            after = change.after
            document = _ENCODE.encode(after).decode()
            (begun if change.before is None else changed).append(self._form.row(after, document))
            steps.append(_history_row(change, document))
        self._insert.run(cursor, begun)
        self._change.run(cursor, [tuple(row[place] for place in self._places) for row in changed])
        self._remember.run(cursor, steps)


def chosen_by(query: Query) -> sa.Select[Any]:
    """The documents of locates that match, newest first."""
    column = LOCATES.c
    wanted: list[sa.ColumnElement[bool]] = [
        column[name] == value
        for name, value in (("client", query.client), ("security", query.security), ("state", query.state))
        if value is not None
    ]
    if query.since_ns is not None:
        wanted.append(column.received_ns >= query.since_ns)
    if query.until_ns is not None:
        wanted.append(column.received_ns < query.until_ns)
    if query.before is not None:
        wanted.append(column.sequence < query.before)
    return sa.select(column.document).where(*wanted).order_by(column.sequence.desc()).limit(query.limit)


def locate_of(document: str) -> Locate:
    """The locate of a stored document."""
    return msgspec.json.decode(document, type=Locate)


def transition_of(document: str, evidence: str | None) -> Transition:
    """The step of a locate's life that a line of its history keeps."""
    return Transition(locate_of(document), None if evidence is None else msgspec.json.decode(evidence, type=Evidence))


def order_of(document: str) -> Order:
    """The order of a stored document."""
    return msgspec.json.decode(document, type=Order)


def _history_row(change: AnyChange, document: str) -> Row:
    """In the order of the columns of the form's history, but its `entry`."""
    after = change.after
    step = after.sequence, after.updated_ns, after.state.value, document
    if isinstance(change, Change):
        return (*step, _ENCODE.encode(change.evidence).decode() if change.evidence else None)
    return step
