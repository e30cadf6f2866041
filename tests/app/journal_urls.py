"""An empty journal in each kind of database."""

from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

from app.database import connect

STORES: Final = ("sqlite", "postgresql")


def journal_url(store: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """URL of a journal without tables; PostgreSQL's is the one of the session, emptied."""
    if store == "sqlite":
        return f"sqlite:///{folder / 'journal.db'}"
    address = str(request.getfixturevalue("postgres_url"))
    engine = connect(address)
    with engine.begin() as connection:
        for table in sa.inspect(connection).get_table_names():
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {table} CASCADE"))
    engine.dispose()
    return address
