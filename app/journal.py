"""The journal of locates: what was decided is on disk before it is answered.

One writer thread takes everything that is waiting and commits it at once, so that one fsync serves many requests. A
commit that fails is reported to all who wait for it. Whether the database kept it all the same cannot be known then:
what was lost may be the server's answer only. So the next commit first takes back whatever of it arrived.
"""

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import exc

from app.journal_schema import HISTORY, IDEMPOTENCY, LOCATES, connect, create
from engine.locates import NEXT, Change, Evidence, Locate, State

T = TypeVar("T")

MAX_WAITING: Final = 20_000
"""Requests that may wait for the writer: beyond that the journal is too slow and says so."""
_MAX_TOGETHER: Final = 2_000
_VOID: Final = "taken back: the journal could not confirm it and it was never answered"
_ENCODE: Final = msgspec.json.Encoder()
_INSERT_LOCATE: Final = sa.insert(LOCATES)
_UPDATE_LOCATE: Final = (
    sa.update(LOCATES)
    .where(LOCATES.c.sequence == sa.bindparam("which"))
    .values({name: sa.bindparam(name) for name in ("state", "approved", "decrement", "document")})
)
_INSERT_HISTORY: Final = sa.insert(HISTORY)
_INSERT_ANSWER: Final = sa.insert(IDEMPOTENCY)


class JournalError(RuntimeError):
    """What was to be written is not written, and has not happened."""


class Answer(Struct, frozen=True):
    """An answer kept under the key of its request. `body_hash`: SHA-256 of path and body, in hexadecimal."""

    scope: str
    key: str
    body_hash: str
    status: int
    body: bytes
    created_ns: int


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


class _Entry:
    """What one caller waits for."""

    __slots__ = ("answer", "changes", "done", "forget_ns")

    def __init__(self, changes: Sequence[Change], answer: Answer | None, forget_ns: int = 0) -> None:
        self.changes = changes
        self.answer = answer
        self.forget_ns = forget_ns
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Journal:
    """Opened by its constructor; belongs to one asyncio loop. Raises `JournalError` if the database cannot be had."""

    def __init__(self, url: str) -> None:
        path = sa.make_url(url).database if url.startswith("sqlite") else None
        if path:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        self._engine = connect(url)
        try:
            create(self._engine)
        except exc.SQLAlchemyError as error:
            raise JournalError(f"the locate journal cannot be opened: {error}") from error
        self._doubtful: list[_Entry] = []
        self._waiting = 0
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(2, "journal-read")
        self._writer = threading.Thread(target=self._write_all, name="journal-write", daemon=True)
        self._writer.start()

    async def write(self, changes: Sequence[Change], answer: Answer | None = None) -> None:
        """Returns once everything is on disk. Raises `JournalError` if it is not: all of it, or nothing."""
        if self._waiting >= MAX_WAITING:
            raise JournalError(f"{self._waiting:,} requests wait for the journal already")
        await self._enqueue(_Entry(changes, answer))

    async def forget_answers(self, before_ns: int) -> None:
        """Drop the answers to keys used before that time."""
        await self._enqueue(_Entry((), None, before_ns))

    def load_open(self) -> tuple[list[Locate], int]:
        """Locates that are live or pending, oldest first, and the newest sequence number ever used (0: none)."""
        states = sorted(state for state in NEXT if state != State.RECEIVED)
        chosen = sa.select(LOCATES.c.document).where(LOCATES.c.state.in_(states)).order_by(LOCATES.c.sequence)
        with self._engine.connect() as connection:
            documents = connection.execute(chosen).scalars().all()
            last = connection.execute(sa.select(sa.func.max(LOCATES.c.sequence))).scalar_one()
        return [_locate(document) for document in documents], last or 0

    async def get(self, sequence: int) -> Locate | None:
        """The locate as it was last committed."""
        chosen = sa.select(LOCATES.c.document).where(LOCATES.c.sequence == sequence)
        document = await self._read(lambda connection: connection.execute(chosen).scalar_one_or_none())
        return None if document is None else _locate(document)

    async def history(self, sequence: int) -> list[Transition]:
        """All transitions of a locate, oldest first; empty if there is none of that number."""
        chosen = (
            sa.select(HISTORY.c.document, HISTORY.c.evidence)
            .where(HISTORY.c.sequence == sequence)
            .order_by(HISTORY.c.entry)
        )
        rows = await self._read(lambda connection: connection.execute(chosen).all())
        return [Transition(_locate(d), None if e is None else msgspec.json.decode(e, type=Evidence)) for d, e in rows]

    async def find(self, query: Query) -> list[Locate]:
        """Locates that match, newest first."""
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
        chosen = sa.select(column.document).where(*wanted).order_by(column.sequence.desc()).limit(query.limit)
        documents = await self._read(lambda connection: connection.execute(chosen).scalars().all())
        return [_locate(document) for document in documents]

    async def answer(self, scope: str, key: str) -> Answer | None:
        """The answer given before to the request with that key."""
        column = IDEMPOTENCY.c
        chosen = sa.select(column.body_hash, column.status, column.answer, column.created_ns).where(
            column.scope == scope, column.key == key
        )
        row = await self._read(lambda connection: connection.execute(chosen).one_or_none())
        return None if row is None else Answer(scope, key, row[0], row[1], bytes(row[2]), row[3])

    def close(self) -> None:
        """Write what waits, then let go. Blocks for as long as that takes."""
        self._queue.put(None)
        self._writer.join()
        self._readers.shutdown()
        self._engine.dispose()

    async def _enqueue(self, entry: _Entry) -> None:
        self._waiting += 1
        self._queue.put(entry)
        try:
            await asyncio.shield(entry.done)
        finally:
            self._waiting -= 1

    async def _read(self, run: Callable[[sa.Connection], T]) -> T:
        def job() -> T:
            with self._engine.connect() as connection:
                return run(connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, job)
        except exc.SQLAlchemyError as error:
            raise JournalError(f"the locate journal cannot be read: {error}") from error

    # the writer's thread

    def _write_all(self) -> None:
        stopping = False
        while not stopping:
            entries: list[_Entry] = []
            entry = self._queue.get()
            while entry is not None:
                entries.append(entry)
                if len(entries) == _MAX_TOGETHER or self._queue.empty():
                    break
                entry = self._queue.get()
            stopping = entry is None
            if entries:
                self._write_together(entries)

    def _write_together(self, entries: list[_Entry]) -> None:
        """Commit; if it is the data that is refused and not the database that is ill, everybody alone."""
        try:
            self._commit(entries)
        except (exc.DataError, exc.IntegrityError) as error:
            if len(entries) == 1:
                self._report(entries, error)
            for entry in entries if len(entries) > 1 else ():
                self._write_together([entry])
        except Exception as error:  # noqa: BLE001  whatever it was, nobody may wait for ever
            self._doubtful += entries
            self._report(entries, error)
        else:
            self._report(entries, None)

    def _commit(self, entries: list[_Entry]) -> None:
        with self._engine.begin() as connection:
            for entry in self._doubtful:
                _take_back(connection, entry)
            changes = [change for entry in entries for change in entry.changes]
            answers = [entry.answer for entry in entries if entry.answer]
            _insert(connection, changes)
            if answers:
                connection.execute(_INSERT_ANSWER, [_answer_row(answer) for answer in answers])
            if forget_ns := max(entry.forget_ns for entry in entries):
                connection.execute(sa.delete(IDEMPOTENCY).where(IDEMPOTENCY.c.created_ns < forget_ns))
        self._doubtful.clear()

    @staticmethod
    def _report(entries: list[_Entry], error: Exception | None) -> None:
        def tell() -> None:
            for entry in entries:
                if entry.done.cancelled():
                    continue
                if error is None:
                    entry.done.set_result(None)
                else:
                    failure = JournalError(f"the locate journal cannot be written: {error}")
                    failure.__cause__ = error
                    entry.done.set_exception(failure)

        entries[0].done.get_loop().call_soon_threadsafe(tell)


def _insert(connection: sa.Connection, changes: list[Change]) -> None:
    """Write transitions: the state of each locate, and a line of history each."""
    documents = [_ENCODE.encode(change.after).decode() for change in changes]
    pairs = list(zip(changes, documents, strict=True))
    if new := [_locate_row(change.after, document) for change, document in pairs if change.before is None]:
        connection.execute(_INSERT_LOCATE, new)
    if changed := [_changed_row(change.after, document) for change, document in pairs if change.before is not None]:
        connection.execute(_UPDATE_LOCATE, changed)
    if pairs:
        connection.execute(_INSERT_HISTORY, [_history_row(change, document) for change, document in pairs])


def _take_back(connection: sa.Connection, entry: _Entry) -> None:
    """Undo, by further transitions, what a failed commit left behind after all."""
    for change in entry.changes:
        after = change.after
        chosen = sa.select(LOCATES.c.document).where(LOCATES.c.sequence == after.sequence)
        document = connection.execute(chosen).scalar_one_or_none()
        if document is None or _locate(document) != after:
            continue
        restored = change.before or replace(after, state=State.REVOKED, decrement=0)
        _insert(connection, [Change(after, replace(restored, remark=_VOID), None)])
    if entry.answer:
        column, answer = IDEMPOTENCY.c, entry.answer
        connection.execute(sa.delete(IDEMPOTENCY).where(column.scope == answer.scope, column.key == answer.key))


def _locate(document: str) -> Locate:
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
