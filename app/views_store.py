"""Views that people have saved under a name: their own, and those that others share.

A view is changed by its owner only, and only by who has seen its newest version. Whoever keeps order (`rules=True` below)
may take away what others share, for people leave and their views stay.
"""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import exc

from app.database import Chain, connect, prepare
from app.views_schema import DEFAULTS, VIEWS

T = TypeVar("T")
MOST: Final = 200
"""Views that one person may have of one page."""


class Page(StrEnum):
    """Pages that have views."""

    INVENTORY = "inventory"
    POSITIONS = "positions"


class ViewStoreError(RuntimeError):
    """The database cannot be asked: what was to be written has not happened."""


class NoSuchViewError(LookupError):
    """There is no such view, or it is not shown to who asks."""


class NotYoursError(PermissionError):
    """It is somebody else's."""


class ViewConflictError(RuntimeError):
    """Somebody has changed it since, or the name is taken; the message says which."""


class SavedView(Struct, frozen=True, kw_only=True):
    """A view under its name."""

    id: str
    owner: str
    page: Page
    name: str
    shared: bool
    query: str
    """The state of the page, as its address has it."""
    version: int
    created_ns: int
    updated_ns: int


class Viewer(Struct, frozen=True, kw_only=True):
    """Who asks."""

    user: str
    rules: bool = False
    """Whether they may take away what others share."""
    own_only: bool = False
    """Whether what others share is not shown to them: its conditions may name clients that are not theirs."""


class ViewStore:
    """Opened by its constructor. A thread of its own asks the database; every method may raise `ViewStoreError`."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url)
        try:
            prepare(self._engine, Chain.DESK)
        except exc.SQLAlchemyError as error:
            raise ViewStoreError(f"views cannot be had: {error}") from error
        self._thread = ThreadPoolExecutor(1, "views")

    def close(self) -> None:
        self._thread.shutdown()
        self._engine.dispose()

    async def of(self, viewer: Viewer, page: Page) -> tuple[list[SavedView], str | None]:
        """Their own and those that others share, by name; and which of them the page opens with."""

        def read(connection: sa.Connection) -> tuple[list[SavedView], str | None]:
            rows = connection.execute(
                sa.select(VIEWS)
                .where(VIEWS.c.page == page.value, _shown(viewer))
                .order_by(sa.func.lower(VIEWS.c.name), VIEWS.c.owner)
            )
            views = [_view(row) for row in rows]
            chosen = connection.execute(
                sa.select(DEFAULTS.c.view).where(DEFAULTS.c.owner == viewer.user, DEFAULTS.c.page == page.value)
            ).scalar_one_or_none()
            # one that is no longer shown is no default: its owner has taken it back
            return views, chosen if any(view.id == chosen for view in views) else None

        return await self._do(read)

    async def get(self, viewer: Viewer, name: str) -> SavedView:
        """Raises `NoSuchViewError`."""
        return await self._do(lambda connection: _found(connection, viewer, name))

    async def add(self, viewer: Viewer, page: Page, name: str, query: str, *, shared: bool, now_ns: int) -> SavedView:
        """Raises `ViewConflictError` where they have a view of that name, or too many."""
        view = SavedView(
            id=f"V{secrets.token_hex(6)}",
            owner=viewer.user,
            page=page,
            name=name,
            shared=shared,
            query=query,
            version=1,
            created_ns=now_ns,
            updated_ns=now_ns,
        )

        def write(connection: sa.Connection) -> SavedView:
            own = sa.select(sa.func.count()).where(VIEWS.c.owner == viewer.user, VIEWS.c.page == page.value)
            if connection.execute(own).scalar_one() >= MOST:
                raise ViewConflictError(f"nobody has more than {MOST} views of a page: remove one first")
            connection.execute(sa.insert(VIEWS).values(_row(view)))
            return view

        return await self._do(write)

    async def change(self, viewer: Viewer, view_id: str, version: int, now_ns: int, /, **changed: Any) -> SavedView:
        """`changed`: some of name, query and shared. Raises `NoSuchViewError`, `NotYoursError` or `ViewConflictError`."""

        def write(connection: sa.Connection) -> SavedView:
            view = _found(connection, viewer, view_id)
            takes_back = viewer.rules and changed == {"shared": False}
            if view.owner != viewer.user and not takes_back:
                raise NotYoursError(f"this view is {view.owner}'s: save it under a name of your own")
            values = changed | {"version": version + 1, "updated_ns": now_ns}
            asked = sa.update(VIEWS).where(VIEWS.c.id == view_id, VIEWS.c.version == version).values(values)
            _expect_one(connection.execute(asked), view)
            return _view(connection.execute(sa.select(VIEWS).where(VIEWS.c.id == view_id)).one())

        return await self._do(write)

    async def remove(self, viewer: Viewer, name: str, version: int) -> None:
        """Raises `NoSuchViewError`, `NotYoursError` or `ViewConflictError`."""

        def write(connection: sa.Connection) -> None:
            view = _found(connection, viewer, name)
            if view.owner != viewer.user and not viewer.rules:
                raise NotYoursError(f"this view is {view.owner}'s")
            gone = sa.delete(VIEWS).where(VIEWS.c.id == name, VIEWS.c.version == version)
            _expect_one(connection.execute(gone), view)
            connection.execute(sa.delete(DEFAULTS).where(DEFAULTS.c.view == name))

        await self._do(write)

    async def open_with(self, viewer: Viewer, page: Page, name: str | None) -> None:
        """Which view the page opens with for them; None: as the desk shows it. Raises `NoSuchViewError`."""

        def write(connection: sa.Connection) -> None:
            mine = (DEFAULTS.c.owner == viewer.user, DEFAULTS.c.page == page.value)
            if name is not None and _found(connection, viewer, name).page != page:
                raise NoSuchViewError(f"{name} is no view of {page}")
            connection.execute(sa.delete(DEFAULTS).where(*mine))
            if name is not None:
                values = {"owner": viewer.user, "page": page.value, "view": name}
                connection.execute(sa.insert(DEFAULTS).values(values))

        await self._do(write)

    async def _do(self, work: Callable[[sa.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._in_transaction, work)

    def _in_transaction(self, work: Callable[[sa.Connection], T]) -> T:
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except exc.IntegrityError as error:
            raise ViewConflictError("there is a view of that name") from error
        except exc.SQLAlchemyError as error:
            raise ViewStoreError(f"views cannot be had: {error}") from error


def _shown(viewer: Viewer) -> sa.ColumnElement[bool]:
    own = VIEWS.c.owner == viewer.user
    return own if viewer.own_only else own | VIEWS.c.shared


def _found(connection: sa.Connection, viewer: Viewer, name: str) -> SavedView:
    row = connection.execute(sa.select(VIEWS).where(VIEWS.c.id == name, _shown(viewer))).one_or_none()
    if row is None:
        raise NoSuchViewError(f"no view {name}")
    return _view(row)


def _expect_one(result: sa.CursorResult[Any], view: SavedView) -> None:
    if result.rowcount != 1:
        raise ViewConflictError(f"{view.name} has been changed since: its version is {view.version}")


def _row(view: SavedView) -> dict[str, Any]:
    return {name: getattr(view, name) for name in view.__struct_fields__} | {"page": view.page.value}


def _view(row: sa.Row[Any]) -> SavedView:
    fields = dict(row._mapping)  # noqa: SLF001  SQLAlchemy's own public name
    return SavedView(**fields | {"page": Page(fields["page"])})
