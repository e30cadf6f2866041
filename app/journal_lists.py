"""Lists of locates and orders, and their totals, read from the journal's database beside everything that decides.

A connection and a thread of its own: a long list keeps no lookup of a key waiting.
"""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import exc

from app.database import connect
from app.journal import JournalError
from app.journal_rows import FORMS
from engine.locates import Locate, State
from engine.orders import Order

T = TypeVar("T")
K = TypeVar("K", Locate, Order)
_HALF: Final = 1 << 32
"""Sums are made of the two halves of a number: SQLite fails where a sum passes 63 bits."""


class Query(Struct, frozen=True, kw_only=True):
    """What to list; None asks for all. `beyond`: numbers below it only, or above it where the `oldest` come first."""

    clients: Collection[str] | None = None
    securities: Collection[str] | None = None
    states: Collection[str] | None = None
    unit: str | None = None
    """The aggregation unit whose limit was looked at; of orders only."""
    since_ns: int | None = None
    until_ns: int | None = None
    beyond: int | None = None
    oldest: bool = False
    limit: int = 100


class Totals(Struct, frozen=True):
    """Locates of one state, in shares."""

    state: State
    count: int
    requested: int
    approved: int
    used: int
    decrement: int


class JournalLists:
    """Opened by its constructor, after the journal has made the tables. Everything raises `JournalError`."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url)
        self._thread = ThreadPoolExecutor(1, "journal-lists")

    async def find(self, kind: type[K], query: Query) -> list[K]:
        """Locates or orders that match, newest first unless it says otherwise."""
        form = FORMS[kind]
        table = form.table.c
        order = table.sequence.asc() if query.oldest else table.sequence.desc()
        chosen = sa.select(table.document).where(*self._wanted(form.table, query)).order_by(order).limit(query.limit)
        return await self._read(
            lambda connection: [form.of(document) for document in connection.execute(chosen).scalars()]
        )

    async def totals(self, query: Query) -> list[Totals]:
        """Counts and shares by state, in the order of the states."""
        table = FORMS[Locate].table
        columns = (table.c.requested, table.c.approved, table.c.used, table.c.decrement)
        halves = [sa.func.sum(half) for column in columns for half in (column // _HALF, column % _HALF)]
        chosen = sa.select(table.c.state, sa.func.count(), *halves).where(*self._wanted(table, query))
        rows = await self._read(lambda connection: connection.execute(chosen.group_by(table.c.state)).all())
        found = {
            State(state): Totals(
                State(state), count, *(int(sums[i]) * _HALF + int(sums[i + 1]) for i in range(0, len(sums), 2))
            )
            for state, count, *sums in rows
        }
        return [found[state] for state in State if state in found]

    def close(self) -> None:
        self._thread.shutdown()
        self._engine.dispose()

    def _wanted(self, table: sa.Table, query: Query) -> list[sa.ColumnElement[bool]]:
        column = table.c
        wanted: list[sa.ColumnElement[bool]] = [
            column[name].in_(sorted(values))
            for name, values in (("client", query.clients), ("security", query.securities), ("state", query.states))
            if values is not None
        ]
        if query.unit is not None:
            wanted.append(self._inside(column.document, "unit_limit", "owner").as_string() == query.unit)
        if query.since_ns is not None:
            wanted.append(column.received_ns >= query.since_ns)
        if query.until_ns is not None:
            wanted.append(column.received_ns < query.until_ns)
        if query.beyond is not None:
            wanted.append(column.sequence > query.beyond if query.oldest else column.sequence < query.beyond)
        return wanted

    def _inside(self, document: sa.Column[str], *path: str) -> Any:
        """A value inside a document. A cast is no cast in SQLite, and the lack of one an error in PostgreSQL."""
        of = sa.type_coerce if self._engine.dialect.name == "sqlite" else sa.cast
        return of(document, sa.JSON)[path]

    async def _read(self, run: Callable[[sa.Connection], T]) -> T:
        def job() -> T:
            with self._engine.connect() as connection:
                return run(connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, job)
        except exc.SQLAlchemyError as error:
            raise JournalError(f"the locate journal cannot be read: {error}") from error
