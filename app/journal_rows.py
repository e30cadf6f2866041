"""Locates, orders, their changes and answers as rows, and the statements of a commit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.engine.interfaces import DBAPICursor

from app.journal_schema import HISTORY, IDEMPOTENCY, LOCATES, ORDER_HISTORY, ORDERS, Statement
from engine.locates import Change, Locate, State
from engine.orders import Order, OrderChange, OrderState

Kept: TypeAlias = Locate | Order
"""What has a life that the journal keeps."""
AnyChange: TypeAlias = Change | OrderChange
_ENCODE: Final = msgspec.json.Encoder()
_VOID: Final = "taken back: the journal could not confirm it and it was never answered"


class Answer(Struct, frozen=True):
    """An answer kept under the key of its request. `body_hash`: SHA-256 of path and body, in hexadecimal."""

    scope: str
    key: str
    body_hash: str
    status: int
    body: bytes
    created_ns: int


def _locate_row(locate: Any) -> dict[str, Any]:
    request = locate.request
    return {
        "state": locate.state.value,
        "security": request.security,
        "client": request.client,
        "type": request.type.value,
        "requested": request.quantity,
        "approved": locate.approved,
        "decrement": locate.decrement,
        "used": locate.used,
        "received_ns": locate.received_ns,
    }


def _order_row(order: Any) -> dict[str, Any]:
    request = order.request
    return {
        "order_id": request.order,
        "state": order.state.value,
        "security": request.security,
        "client": request.client,
        "side": request.side.value,
        "quantity": order.quantity,
        "executed": order.executed,
        "received_ns": order.received_ns,
    }


@dataclass(frozen=True, slots=True)
class Form:
    """How one sort of thing is kept: as it is now in `table`, every step in `history`."""

    kind: type[Kept]
    table: sa.Table
    history: sa.Table
    row: Callable[[Any], dict[str, Any]]
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


class Statements:
    """What a commit runs."""

    def __init__(self, engine: sa.Engine) -> None:
        self._of = {kind: _Prepared(form, engine) for kind, form in FORMS.items()}
        self._answer = Statement(sa.insert(IDEMPOTENCY), IDEMPOTENCY.c.keys(), engine)

    def run(self, cursor: DBAPICursor, changes: Sequence[AnyChange], answers: Sequence[Answer]) -> None:
        """The state of each thing, a line of history each, and the answers."""
        for kind, prepared in self._of.items():
            if mine := [change for change in changes if type(change.after) is kind]:
                prepared.run(cursor, mine)
        self._answer.run(cursor, [msgspec.structs.asdict(answer) | {"answer": answer.body} for answer in answers])


class _Prepared:
    """The statements of one form."""

    def __init__(self, form: Form, engine: sa.Engine) -> None:
        table, history = form.table, form.history
        self._form = form
        self._changed = (*form.changing, "document")
        changing = sa.update(table).where(table.c.sequence == sa.bindparam("which"))
        changing = changing.values({name: sa.bindparam(name) for name in self._changed})
        self._insert = Statement(sa.insert(table), table.c.keys(), engine)
        self._change = Statement(changing, (*self._changed, "which"), engine)
        remembered = [column.name for column in history.c if column.name != "entry"]
        self._remember = Statement(sa.insert(history).inline(), remembered, engine)

    def run(self, cursor: DBAPICursor, changes: Sequence[AnyChange]) -> None:
        rows = [
            self._form.row(change.after)
            | {"sequence": change.after.sequence, "document": _ENCODE.encode(change.after).decode()}
            for change in changes
        ]
        pairs = list(zip(changes, rows, strict=True))
        self._insert.run(cursor, [row for change, row in pairs if change.before is None])
        changed = [row for change, row in pairs if change.before is not None]
        self._change.run(cursor, [{n: row[n] for n in self._changed} | {"which": row["sequence"]} for row in changed])
        self._remember.run(cursor, [_history_row(change, row) for change, row in pairs])


def locate_of(document: str) -> Locate:
    """The locate of a stored document."""
    return msgspec.json.decode(document, type=Locate)


def order_of(document: str) -> Order:
    """The order of a stored document."""
    return msgspec.json.decode(document, type=Order)


def _history_row(change: AnyChange, row: Mapping[str, Any]) -> dict[str, Any]:
    step = {name: row[name] for name in ("sequence", "state", "document")} | {"at_ns": change.after.updated_ns}
    if isinstance(change, Change):
        step["evidence"] = _ENCODE.encode(change.evidence).decode() if change.evidence else None
    return step
