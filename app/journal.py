"""The journal of locates: what was decided is on disk before it is answered.

One writer thread takes everything that is waiting and commits it at once, so that one fsync serves many requests. A
commit that fails is reported to all who wait for it. Whether the database kept it all the same cannot be known then:
what was lost may be the server's answer only. So the next commit first takes back whatever of it arrived.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeAlias, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy import exc
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.pool import PoolProxiedConnection

from app.database import Chain, connect, prepare
from app.journal_rows import (
    Answer,
    AnyChange,
    Query,
    Statements,
    Transition,
    chosen_by,
    left_behind,
    locate_of,
    order_of,
    transition_of,
)
from app.journal_schema import HISTORY, IDEMPOTENCY, LOCATES, ORDER_HISTORY, ORDERS, carry_over
from engine import orders
from engine.locate_today import QUARTER_NS
from engine.locates import ENDED_EARLY, OPEN, Locate
from engine.orders import Order

T = TypeVar("T")
log = structlog.get_logger()

MAX_WAITING: Final = 20_000
"""Requests that may wait for the writer: beyond that the journal is too slow and says so."""
MAX_KNOWN: Final = 1_000_000
"""Keys held in memory, some 70 bytes each; beyond that the database is asked for every key."""
_MAX_TOGETHER: Final = 2_000
COMMIT_EVERY_S: Final = 0.002
"""The least time between two hand-overs to the writer: each commit asks for the interpreter's lock a few times, and many
small ones would starve the loop. Who comes after a pause does not wait."""
CARRY_EVERY_S: Final = 0.5
_KEPT_ANSWER: Final = sa.select(
    IDEMPOTENCY.c.body_hash, IDEMPOTENCY.c.status, IDEMPOTENCY.c.answer, IDEMPOTENCY.c.created_ns
).where(IDEMPOTENCY.c.scope == sa.bindparam("scope"), IDEMPOTENCY.c.key == sa.bindparam("key"))


class JournalError(RuntimeError):
    """What was to be written is not written, and has not happened."""


Told: TypeAlias = Callable[[JournalError | None], None]
"""Hears what became of what was written: None where it is on disk."""


class _Entry:
    """What one caller waits for; `told`: called with what became of it."""

    __slots__ = ("answer", "changes", "forget_ns", "told")

    def __init__(self, changes: Sequence[AnyChange], answer: Answer | None, told: Told, forget_ns: int = 0) -> None:
        self.changes = changes
        self.answer = answer
        self.told = told
        self.forget_ns = forget_ns


class Journal:
    """Opened by its constructor; belongs to one asyncio loop. Raises `JournalError` if the database cannot be had."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url)
        try:
            prepare(self._engine, Chain.JOURNAL)
        except exc.SQLAlchemyError as error:
            raise JournalError(f"the locate journal cannot be opened: {error}") from error
        database = self._engine.dialect.loaded_dbapi
        self._any = database.Error
        self._refused = database.DataError, database.IntegrityError
        self._lost = database.OperationalError, database.InterfaceError
        self._statements = Statements(self._engine)
        self._connection: PoolProxiedConnection | None = None
        self._doubtful: list[_Entry] = []
        self._waiting = 0
        self._known = self._load_known(IDEMPOTENCY.c.scope, IDEMPOTENCY.c.key)
        self._known_orders = self._load_known(ORDERS.c.order_id)
        self._queue: queue.SimpleQueue[list[_Entry] | None] = queue.SimpleQueue()
        self._outgoing: list[_Entry] = []
        self._next_s = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        """That of whoever writes."""
        self._readers = ThreadPoolExecutor(2, "journal-read")
        self._writer = threading.Thread(target=self._write_all, name="journal-write", daemon=True)
        self._writer.start()
        self._closing = threading.Event()
        self._carrier = threading.Thread(target=self._carry_over, name="journal-carry", daemon=True)
        if self._engine.dialect.name == "sqlite":
            self._carrier.start()

    def write(self, changes: Sequence[AnyChange], answer: Answer | None = None) -> asyncio.Future[None]:
        """Done once everything is on disk, or failed with `JournalError`: all of it is, or nothing."""
        done, told = _future()
        self.hand_over(changes, answer, told)
        return done

    def hand_over(self, changes: Sequence[AnyChange], answer: Answer | None, told: Told) -> None:
        """The same; `told` is called on the loop once everything is on disk, or with why nothing is, which may be at once."""
        if self._waiting >= MAX_WAITING:
            told(JournalError(f"{self._waiting:,} requests wait for the journal already"))
            return
        if answer is not None and self._known is not None:
            self._known.add(hash((answer.scope, answer.key)))
            if len(self._known) > MAX_KNOWN:
                self._known = None
        if self._known_orders is not None:
            begun = (change.after for change in changes if change.before is None)
            self._known_orders.update(hash(order.request.order) for order in begun if isinstance(order, Order))
            if len(self._known_orders) > MAX_KNOWN:
                self._known_orders = None
        self._enqueue(_Entry(changes, answer, told))

    async def forget_answers(self, before_ns: int) -> None:
        """Drop the answers to keys used before that time."""
        done, told = _future()
        self._enqueue(_Entry((), None, told, before_ns))
        await done

    def load_open(self) -> tuple[list[Locate], int]:
        """Locates that hold something or wait, oldest first, and the newest sequence number ever used (0: none)."""
        column = LOCATES.c
        held = column.state.in_(sorted(ENDED_EARLY)) & (column.decrement > 0)
        chosen = sa.select(column.document).where(column.state.in_(sorted(OPEN)) | held).order_by(column.sequence)
        with self._engine.connect() as connection:
            documents = connection.execute(chosen).scalars().all()
            last = connection.execute(sa.select(sa.func.max(LOCATES.c.sequence))).scalar_one()
        return [locate_of(document) for document in documents], last or 0

    def load_located(self, since_ns: int) -> list[tuple[str, str, int, int]]:
        """Security, client, quarter of an hour since 1970 and shares: what was approved of the requests since then."""
        column = LOCATES.c
        quarter = column.received_ns // QUARTER_NS
        chosen = (
            sa.select(column.security, column.client, quarter, sa.func.sum(column.approved))
            .where(column.received_ns >= since_ns, column.approved > 0)
            .group_by(column.security, column.client, quarter)
        )
        with self._engine.connect() as connection:
            return [(row[0], row[1], row[2], int(row[3])) for row in connection.execute(chosen)]

    def load_open_orders(self) -> tuple[list[Order], int]:
        """Orders that hold something or may, oldest first, and the newest sequence number ever used (0: none)."""
        states = sorted(orders.NEXT)
        chosen = sa.select(ORDERS.c.document).where(ORDERS.c.state.in_(states)).order_by(ORDERS.c.sequence)
        with self._engine.connect() as connection:
            documents = connection.execute(chosen).scalars().all()
            # of one that was taken back the history is all there is
            last = connection.execute(sa.select(sa.func.max(ORDER_HISTORY.c.sequence))).scalar_one()
        return [order_of(document) for document in documents], last or 0

    def may_know_order(self, order_id: str) -> bool:
        """False: certainly no order had this id."""
        return self._known_orders is None or hash(order_id) in self._known_orders

    async def order(self, order_id: str) -> Order | None:
        """The order of that id as it was last committed."""
        chosen = sa.select(ORDERS.c.document).where(ORDERS.c.order_id == order_id)
        document = await self._read(lambda connection: connection.execute(chosen).scalar_one_or_none())
        return None if document is None else order_of(document)

    async def order_history(self, sequence: int) -> list[Order]:
        """An order's life, oldest step first."""
        table = ORDER_HISTORY.c
        chosen = sa.select(table.document).where(table.sequence == sequence).order_by(table.entry)
        return list(map(order_of, await self._read(lambda connection: connection.execute(chosen).scalars().all())))

    async def get(self, sequence: int) -> Locate | None:
        """The locate as it was last committed."""
        chosen = sa.select(LOCATES.c.document).where(LOCATES.c.sequence == sequence)
        document = await self._read(lambda connection: connection.execute(chosen).scalar_one_or_none())
        return None if document is None else locate_of(document)

    async def history(self, sequence: int) -> list[Transition]:
        """All transitions of a locate, oldest first; empty if there is none of that number."""
        chosen = (
            sa.select(HISTORY.c.document, HISTORY.c.evidence)
            .where(HISTORY.c.sequence == sequence)
            .order_by(HISTORY.c.entry)
        )
        rows = await self._read(lambda connection: connection.execute(chosen).all())
        return [transition_of(*row) for row in rows]

    async def find(self, query: Query) -> list[Locate]:
        """Locates that match, newest first."""
        chosen = chosen_by(query)
        documents = await self._read(lambda connection: connection.execute(chosen).scalars().all())
        return [locate_of(document) for document in documents]

    async def answer(self, scope: str, key: str) -> Answer | None:
        """The answer given before to the request with that key."""
        if self._known is not None and hash((scope, key)) not in self._known:
            return None  # most keys are new, and that is known without asking the database
        given = {"scope": scope, "key": key}
        row = await self._read(lambda connection: connection.execute(_KEPT_ANSWER, given).one_or_none())
        return None if row is None else Answer(scope, key, row[0], row[1], bytes(row[2]), row[3])

    def close(self) -> None:
        """Write what waits, then let go. Blocks for as long as that takes."""
        self._send_out()
        self._queue.put(None)
        self._writer.join()
        self._closing.set()
        if self._carrier.ident is not None:
            self._carrier.join()
        self._readers.shutdown()
        self._engine.dispose()

    def _load_known(self, *columns: sa.ColumnElement[str]) -> set[int] | None:
        """Hashes of all keys; None if there are too many to hold."""
        chosen = sa.select(*columns).limit(MAX_KNOWN + 1)
        with self._engine.connect() as connection:
            known = {hash(tuple(row) if len(row) > 1 else row[0]) for row in connection.execute(chosen)}
        return known if len(known) <= MAX_KNOWN else None

    def _enqueue(self, entry: _Entry) -> None:
        """With all others of the next two milliseconds: the writer wakes once for them."""
        self._waiting += 1
        self._outgoing.append(entry)
        if len(self._outgoing) == 1:
            loop = self._loop = asyncio.get_running_loop()
            loop.call_at(max(self._next_s, loop.time()), self._send_out)

    def _send_out(self) -> None:
        if self._outgoing and self._loop is not None:
            self._queue.put(self._outgoing)
            self._next_s = self._loop.time() + COMMIT_EVERY_S
            self._outgoing = []

    async def _read(self, run: Callable[[sa.Connection], T]) -> T:
        """Nothing is read that a failed commit may have left behind: it is taken back first, or nobody can tell."""
        if self._doubtful:
            await self.write(())

        def job() -> T:
            with self._engine.connect() as connection:
                return run(connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, job)
        except exc.SQLAlchemyError as error:
            raise JournalError(f"the locate journal cannot be read: {error}") from error

    # the writer's thread

    def _write_all(self) -> None:
        while entries := self._queue.get():
            # what has come while the last commit was written, as far as it is one commit's
            stopping = False
            while not self._queue.empty() and len(entries) < _MAX_TOGETHER and not stopping:
                more = self._queue.get()
                stopping = more is None
                entries += more or ()
            if writes := [entry for entry in entries if not entry.forget_ns]:
                self._write_together(writes)
            for entry in entries:
                if entry.forget_ns:
                    self._forget(entry)
            if stopping:
                break

    def _carry_over(self) -> None:
        """In its own thread: what SQLite would do inside a commit now and then."""
        while not self._closing.wait(CARRY_EVERY_S):
            try:
                with self._engine.connect() as connection:
                    carry_over(connection)
            except exc.SQLAlchemyError as error:
                log.warning("the journal's log was not carried over", error=str(error))

    def _write_together(self, entries: list[_Entry]) -> None:
        """Commit; if it is the data that is refused and not the database that is ill, everybody alone."""
        try:
            self._commit(entries)
        except self._refused as error:
            if len(entries) == 1:
                self._report(entries, error)
            for entry in entries if len(entries) > 1 else ():
                self._write_together([entry])
        except Exception as error:  # noqa: BLE001  whatever it was, nobody may wait for ever
            self._doubtful += [entry for entry in entries if entry.changes or entry.answer]
            self._report(entries, error)
        else:
            self._report(entries, None)

    def _commit(self, entries: list[_Entry]) -> None:
        for entry in self._doubtful:
            self._take_back(entry)
        self._doubtful.clear()
        changes = [change for entry in entries for change in entry.changes]
        answers = [entry.answer for entry in entries if entry.answer]
        if changes or answers:
            self._together(lambda cursor: self._statements.run(cursor, changes, answers))

    def _forget(self, entry: _Entry) -> None:
        """Apart from decisions: what was committed is not undone because old answers could not be dropped."""
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.delete(IDEMPOTENCY).where(IDEMPOTENCY.c.created_ns < entry.forget_ns))
        except Exception as error:  # noqa: BLE001  whatever it was, nobody may wait for ever
            self._report([entry], error)
        else:
            self._report([entry], None)

    def _together(self, run: Callable[[DBAPICursor], None]) -> None:
        """One transaction on the writer's own connection, kept open; one that turns out to be dead is replaced once."""
        while True:
            fresh = self._connection is None
            connection = self._connection = self._connection or self._engine.raw_connection()
            try:
                run(connection.cursor())
            except self._lost:
                self._drop()
                if fresh:
                    raise
                continue  # nothing was committed
            except Exception:
                self._drop()
                raise
            try:
                connection.commit()
            except Exception:
                self._drop()
                raise
            return

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(self._any):  # the connection may be gone, and its transaction with it
                connection.rollback()
            connection.invalidate()

    def _take_back(self, entry: _Entry) -> None:
        """Undo, by further transitions, what a failed commit left behind after all. The id of an order that began in it is
        free again: sent once more, it is decided like any other."""
        with self._engine.begin() as connection:
            taken_back, began = left_behind(connection, entry.changes)
            if entry.answer:
                named = IDEMPOTENCY.c.scope == entry.answer.scope, IDEMPOTENCY.c.key == entry.answer.key
                connection.execute(sa.delete(IDEMPOTENCY).where(*named))

        def run(cursor: DBAPICursor) -> None:
            self._statements.run(cursor, taken_back, ())
            self._statements.free(cursor, began)

        self._together(run)

    def _report(self, entries: list[_Entry], error: Exception | None) -> None:
        failure = None
        if error is not None:
            failure = JournalError(f"the locate journal cannot be written: {error}")
            failure.__cause__ = error

        def tell() -> None:
            self._waiting -= len(entries)
            for entry in entries:
                try:
                    entry.told(failure)
                except Exception:
                    log.exception("what was written could not be told")

        assert self._loop is not None
        self._loop.call_soon_threadsafe(tell)


def _future() -> tuple[asyncio.Future[None], Told]:
    """One that is done when it is told."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def told(error: JournalError | None) -> None:
        if done.done():
            return  # whoever waited has given up
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    return done, told
