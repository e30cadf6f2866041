"""What was decided, in the order in which it was written down: the histories of locates and orders, read by their numbers.

Decisions and history are one transaction, so what is here has happened, and all that has happened is here. A consumer (Kafka,
a webhook, a websocket) asks for what comes after the last step it has, and notes how far it is; nothing is sent from memory.
A consumer gets a step at least once: its `entry` says whether it had it before.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Final, TypeVar

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import exc

from app.alerts_schema import ALERT_EVENTS, ALERT_HISTORY
from app.alerts_store import OPEN, event_of
from app.api.alert_answers import event_answer, event_id
from app.api.answers import locate_answer
from app.api.order_answers import order_answer
from app.bell import Bell
from app.database import connect, without_waiting
from app.journal_rows import locate_of, order_of
from app.journal_schema import HISTORY, LOCATES, ORDER_HISTORY, ORDERS
from app.outbox_schema import CURSORS
from engine import locates, orders
from engine.locates import Locate, locate_id
from engine.orders import Order

T = TypeVar("T")
PAGE: Final = 1_000
"""Steps of one read at most."""
_REMEMBERED: Final = 20_000
"""The newest steps of a kind that are kept in memory: some 30 MB at most, read once for all who follow."""
_THREADS: Final = 2
_JSON: Final = msgspec.json.Encoder()
_BY_ENTRY: Final = attrgetter("entry")


class OutboxError(RuntimeError):
    """The database cannot be asked at the moment."""


class Kind(StrEnum):
    """What was decided on."""

    LOCATES = "locates"
    ORDERS = "orders"
    ALERTS = "alerts"
    """Of people, not of clients: each is told of his own."""


DECISIONS: Final = (Kind.LOCATES, Kind.ORDERS)
"""What is everybody's who may see the client."""


class Step(Struct, frozen=True):
    """One step of one life. `data`: what the API answers of the locate, order or event as it was then, JSON."""

    entry: int
    """Grows with every step of the kind."""
    name: str
    client: str
    """Whose it is; of an alert's event, the person's."""
    security: str
    state: str
    at_ns: int
    data: bytes
    sent: bool = True
    """Whether webhooks are told of it."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a kind is kept."""

    now: sa.Table
    history: sa.Table
    open_states: tuple[str, ...]
    step: Callable[[int, str], Step]
    whose: str = "client"
    """Column of those who are kept apart."""


def _locate(entry: int, document: str) -> Step:
    locate: Locate = locate_of(document)
    request = locate.request
    data = _JSON.encode(locate_answer(locate))
    name = locate_id(locate.sequence)
    return Step(entry, name, request.client, request.security, locate.state, locate.updated_ns, data)


def _order(entry: int, document: str) -> Step:
    order: Order = order_of(document)
    request = order.request
    data = _JSON.encode(order_answer(order))
    return Step(entry, request.order, request.client, request.security, order.state, order.updated_ns, data)


def _alert(entry: int, document: str) -> Step:
    event = event_of(document)
    data = _JSON.encode(event_answer(event))
    at_ns = event.cleared_ns or event.acknowledged_ns or event.raised_ns
    return Step(
        entry, event_id(event.sequence), event.owner, event.security, event.state, at_ns, data, sent=event.webhook
    )


def kept_to_clients(data: bytes) -> bytes:
    """A step's `data` for one who is told of some clients only: the limit of an order's unit is about others, too."""
    told = msgspec.json.decode(data)
    return _JSON.encode(told | {"au_limit": None}) if "au_limit" in told else data


_SOURCES: Final = {
    Kind.LOCATES: _Source(LOCATES, HISTORY, tuple(locates.OPEN), _locate),
    Kind.ORDERS: _Source(ORDERS, ORDER_HISTORY, tuple(orders.NEXT), _order),
    Kind.ALERTS: _Source(ALERT_EVENTS, ALERT_HISTORY, OPEN, _alert, whose="owner"),
}


class Outbox:
    """`url`: the journal's database, made already. Belongs to one asyncio loop.

    Whoever writes steps calls `ring`; `changed` is heard by all who follow.
    """

    def __init__(self, url: str) -> None:
        self._engine = connect(url)
        self._snapshots = self._engine
        if self._engine.dialect.name == "sqlite":
            # a cursor lost with the machine's power is a step sent twice; the journal would wait for every sync of ours
            without_waiting(self._engine)
        else:
            # what is read together is of one moment; of SQLite it is asked for in words
            self._snapshots = self._engine.execution_options(isolation_level="REPEATABLE READ")
        self._threads = ThreadPoolExecutor(_THREADS, "outbox")
        self._tails = {kind: _Tail() for kind in Kind}
        self._cursors: dict[tuple[str, str], int] = {}
        self._unwritten: set[tuple[str, str]] = set()
        self._flushing = asyncio.Lock()
        self.changed = Bell()
        with self._engine.connect() as connection:
            self.begun = {kind: _newest(connection, kind) for kind in Kind}
            """The newest step of each kind when the service began."""

    def ring(self) -> None:
        """Steps were written."""
        for tail in self._tails.values():
            tail.stale = True
        self.changed.ring()

    async def after(self, kind: Kind, entry: int, limit: int = PAGE) -> Sequence[Step]:
        """The next steps, oldest first; none where there are no newer ones. Raises `OutboxError`."""
        tail = self._tails[kind]
        if not tail.first <= entry <= tail.last:
            steps = await self._read(lambda: self._steps(kind, entry, limit))
            tail.begin(entry, steps)
            return steps
        # the newest: read by the first who asks, found in memory by the others
        async with tail.reading:
            found = tail.after(entry, limit)
            if len(found) < limit and tail.stale:
                tail.stale = False
                try:
                    steps = await self._read(lambda: self._steps(kind, tail.last, PAGE))
                except OutboxError:
                    tail.stale = True
                    raise
                tail.extend(steps)
                tail.stale |= len(steps) == PAGE
                found = tail.after(entry, limit)
        return found

    async def newest(self, kind: Kind) -> int:
        """The number of the newest step; 0 where there is none. Raises `OutboxError`."""
        return await self.do(lambda connection: _newest(connection, kind))

    async def open(self, kind: Kind, clients: Collection[str] | None, limit: int) -> tuple[int, Sequence[Step]]:
        """What is not final now, of these clients (None: of all), the oldest `limit`; and the newest step that is in it. Raises
        `OutboxError`."""
        source = _SOURCES[kind]
        table = source.now.c
        wanted = [table.state.in_(source.open_states)]
        if clients is not None:
            wanted.append(table[source.whose].in_(sorted(clients)))
        chosen = sa.select(table.document).where(*wanted).order_by(table.sequence).limit(limit)

        def read() -> tuple[int, Sequence[Step]]:
            with self._snapshots.connect() as connection, connection.begin():
                if connection.dialect.name == "sqlite":
                    connection.exec_driver_sql("BEGIN")  # its driver begins none for what only reads
                newest = _newest(connection, kind)
                documents = connection.execute(chosen).scalars().all()
            return newest, [source.step(newest, document) for document in documents]

        return await self._read(read)

    async def cursor(self, consumer: str, kind: str) -> int | None:
        """How far a consumer is; None for one that there was not. Raises `OutboxError`."""
        name = consumer, kind
        if name not in self._cursors:
            column = CURSORS.c
            chosen = sa.select(column.entry).where(column.consumer == consumer, column.kind == kind)
            kept = await self.do(lambda connection: connection.execute(chosen).scalar_one_or_none())
            if kept is None:
                return None
            self._cursors.setdefault(name, kept)
        return self._cursors[name]

    async def cursor_or(self, consumer: str, kind: Kind, begins: int) -> int:
        """How far a consumer is; a new one begins after that step, and it is noted. Raises `OutboxError`."""
        entry = await self.cursor(consumer, kind)
        if entry is None:
            self.advance(consumer, kind, entry := begins)
            await self.flush()
        return entry

    def advance(self, consumer: str, kind: str, entry: int) -> None:
        """A consumer has got so far. Written with the next `flush`: what is lost of it is sent again."""
        self._cursors[consumer, kind] = entry
        self._unwritten.add((consumer, kind))

    async def flush(self) -> None:
        """Write down how far consumers are. Raises `OutboxError`; then it is tried again with the next."""
        async with self._flushing:
            written = self._take_unwritten()
            if not written:
                return
            try:
                await self._read(lambda: self._write(written))
            except OutboxError:
                self._unwritten |= written.keys() & self._cursors.keys()
                raise

    async def forget(self, consumer: str) -> None:
        """There is no such consumer any more. Raises `OutboxError`."""
        async with self._flushing:
            for name in [name for name in self._cursors if name[0] == consumer]:
                del self._cursors[name]
                self._unwritten.discard(name)
            gone = sa.delete(CURSORS).where(CURSORS.c.consumer == consumer)
            await self.do(lambda connection: connection.execute(gone))

    async def do(self, job: Callable[[sa.Connection], T]) -> T:
        """Something in one transaction of the same database. Raises `OutboxError`."""

        def run() -> T:
            with self._engine.begin() as connection:
                return job(connection)

        return await self._read(run)

    def close(self) -> None:
        """Write how far everybody is, then let go."""
        self._write(self._take_unwritten())
        self._threads.shutdown()
        self._engine.dispose()

    # parts

    def _take_unwritten(self) -> dict[tuple[str, str], int]:
        taken = {name: self._cursors[name] for name in self._unwritten}
        self._unwritten.clear()
        return taken

    async def _read(self, job: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, job)
        except exc.SQLAlchemyError as error:
            raise OutboxError(f"the journal cannot be read: {error}") from error

    def _steps(self, kind: Kind, entry: int, limit: int) -> list[Step]:
        source = _SOURCES[kind]
        column = source.history.c
        chosen = sa.select(column.entry, column.document).where(column.entry > entry).order_by(column.entry)
        with self._engine.connect() as connection:
            rows = connection.execute(chosen.limit(limit)).all()
        return [source.step(number, document) for number, document in rows]

    def _write(self, entries: dict[tuple[str, str], int]) -> None:
        column = CURSORS.c
        with self._engine.begin() as connection:
            for (consumer, kind), entry in entries.items():
                mine = column.consumer == consumer, column.kind == kind
                if not connection.execute(sa.update(CURSORS).where(*mine).values(entry=entry)).rowcount:
                    connection.execute(sa.insert(CURSORS).values(consumer=consumer, kind=kind, entry=entry))


class _Tail:
    """The newest steps of a kind without a gap: all after `first`, up to `last`."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.first = self.last = -1
        self.stale = True
        """Whether there may be newer ones."""
        self.reading = asyncio.Lock()

    def begin(self, first: int, steps: Sequence[Step]) -> None:
        """Here they begin, if these are newer than what is here."""
        last = steps[-1].entry if steps else first
        if last > self.last and not self.reading.locked():
            self.steps, self.first, self.last = list(steps), first, last

    def extend(self, steps: Sequence[Step]) -> None:
        """More of them, after `last`."""
        self.steps += steps
        if steps:
            self.last = steps[-1].entry
        if len(self.steps) > _REMEMBERED + PAGE:
            self.first = self.steps[-_REMEMBERED - 1].entry
            del self.steps[:-_REMEMBERED]

    def after(self, entry: int, limit: int) -> list[Step]:
        """Those after this one."""
        at = bisect_right(self.steps, entry, key=_BY_ENTRY)
        return self.steps[at : at + limit]


def _newest(connection: sa.Connection, kind: Kind) -> int:
    newest: int | None = connection.execute(sa.select(sa.func.max(_SOURCES[kind].history.c.entry))).scalar_one()
    return newest or 0
