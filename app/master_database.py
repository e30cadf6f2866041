"""The database of the security master: opened, asked, and closed the same way by all who use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import exc

from app import master_schema as tables
from app.database import Chain, connect, prepare
from app.settings import Settings

FILE: Final = "master.db"


class MasterStoreError(RuntimeError):
    """The database cannot be had: what was to be written has not happened."""


class DecisionConflictError(RuntimeError):
    """Somebody else decided on the same thing at the same time; nothing was written."""


def url_of(settings: Settings) -> str:
    """Where the security master is kept."""
    return settings.database or f"sqlite:///{settings.folder / FILE}"


class MasterDatabase:
    """Opened by its constructor; any thread may call it."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url)
        with self._asking():
            prepare(self._engine, Chain.MASTER)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except exc.IntegrityError as error:
            raise DecisionConflictError("somebody else decided on it at the same time") from error
        except exc.SQLAlchemyError as error:
            raise MasterStoreError(f"the security master cannot be had: {error}") from error


def baskets_query(code: str | None = None) -> sa.Select[Any]:
    """The newest composition of every security (of this one, where one is named), kind and source."""
    column = tables.BASKETS.c
    newest = sa.select(sa.func.max(column.entry)).group_by(column.security, column.kind, column.source)
    if code is not None:
        newest = newest.where(column.security == code)
    return sa.select(column.document).where(column.entry.in_(newest)).order_by(column.entry)
