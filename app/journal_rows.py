"""Locates, their changes and answers as rows, and the statements of a commit."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.engine.interfaces import DBAPICursor

from app.journal_schema import HISTORY, IDEMPOTENCY, LOCATES, Statement
from engine.locates import Change, Locate

_ENCODE: Final = msgspec.json.Encoder()
_CHANGED: Final = ("state", "approved", "decrement", "document")


class Answer(Struct, frozen=True):
    """An answer kept under the key of its request. `body_hash`: SHA-256 of path and body, in hexadecimal."""

    scope: str
    key: str
    body_hash: str
    status: int
    body: bytes
    created_ns: int


class Statements:
    """What a commit runs."""

    def __init__(self, engine: sa.Engine) -> None:
        changing = sa.update(LOCATES).where(LOCATES.c.sequence == sa.bindparam("which"))
        changing = changing.values({name: sa.bindparam(name) for name in _CHANGED})
        self._insert = Statement(sa.insert(LOCATES), LOCATES.c.keys(), engine)
        self._change = Statement(changing, (*_CHANGED, "which"), engine)
        self._remember = Statement(
            sa.insert(HISTORY).inline(), [column.name for column in HISTORY.c if column.name != "entry"], engine
        )
        self._answer = Statement(sa.insert(IDEMPOTENCY), IDEMPOTENCY.c.keys(), engine)

    def run(self, cursor: DBAPICursor, changes: Sequence[Change], answers: Sequence[Answer]) -> None:
        """The state of each locate, a line of history each, and the answers."""
        documents = [_ENCODE.encode(change.after).decode() for change in changes]
        pairs = list(zip(changes, documents, strict=True))
        self._insert.run(cursor, [_locate_row(c.after, document) for c, document in pairs if c.before is None])
        self._change.run(cursor, [_changed_row(c.after, document) for c, document in pairs if c.before is not None])
        self._remember.run(cursor, [_history_row(change, document) for change, document in pairs])
        self._answer.run(cursor, [_answer_row(answer) for answer in answers])


def locate_of(document: str) -> Locate:
    """The locate of a stored document."""
    return msgspec.json.decode(document, type=Locate)


def _locate_row(locate: Locate, document: str) -> dict[str, Any]:
    request = locate.request
    return {
        "sequence": locate.sequence,
        "state": locate.state.value,
        "security": request.security,
        "client": request.client,
        "type": request.type.value,
        "requested": request.quantity,
        "approved": locate.approved,
        "decrement": locate.decrement,
        "received_ns": locate.received_ns,
        "document": document,
    }


def _changed_row(locate: Locate, document: str) -> dict[str, Any]:
    return {
        "which": locate.sequence,
        "state": locate.state.value,
        "approved": locate.approved,
        "decrement": locate.decrement,
        "document": document,
    }


def _history_row(change: Change, document: str) -> dict[str, Any]:
    return {
        "sequence": change.after.sequence,
        "at_ns": change.after.updated_ns,
        "state": change.after.state.value,
        "document": document,
        "evidence": _ENCODE.encode(change.evidence).decode() if change.evidence else None,
    }


def _answer_row(answer: Answer) -> dict[str, Any]:
    return {
        "scope": answer.scope,
        "key": answer.key,
        "body_hash": answer.body_hash,
        "status": answer.status,
        "answer": answer.body,
        "created_ns": answer.created_ns,
    }
