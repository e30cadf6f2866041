"""Empty databases as this program makes them. To make one takes longer than most tests: it is made once, and copied."""

import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

from app import master_database
from app.breaks import store as breaks_store
from app.database import Chain, connect, prepare
from app.settings import Settings

STORES: Final = ("sqlite", "postgresql")
_OWN: Final = "ims_of_a_test"
_MADE: Final = "ims_made"


def journal_url(store: str, request: pytest.FixtureRequest, folder: Path, *, bare: bool = False) -> str:
    """URL of a journal with nothing in it; `bare`: without tables either. There is one of PostgreSQL at a time."""
    if store == "sqlite":
        path = folder / "journal.db"
        if not bare:
            shutil.copyfile(_file(*Chain), path)
        return f"sqlite:///{path}"
    server = str(request.getfixturevalue("postgres_url"))
    if not bare:
        _make_in(server)
    _create(server, _OWN, "template0" if bare else _MADE)
    return _in(server, _OWN)


def lay_out(settings: Settings) -> None:
    """The files of a service with a folder of its own, where they are not there yet."""
    if settings.database is not None:
        return
    files = {
        Path(str(sa.make_url(settings.database_url).database)): (Chain.JOURNAL, Chain.DESK),
        settings.folder / master_database.FILE: (Chain.MASTER,),
        settings.folder / breaks_store.FILE: (Chain.BREAKS,),
    }
    settings.folder.mkdir(parents=True, exist_ok=True)
    for path, chains in files.items():
        if not path.exists():
            shutil.copyfile(_file(*chains), path)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Gone with the session."""
    return tempfile.TemporaryDirectory(prefix="ims-databases-")


@cache
def _file(*chains: Chain) -> Path:
    path = Path(_folder().name) / f"{'-'.join(chains)}.db"
    _make(f"sqlite:///{path}", *chains)
    return path


@cache
def _make_in(server: str) -> None:
    _create(server, _MADE, "template0")
    _make(_in(server, _MADE), *Chain)


def _make(url: str, *chains: Chain) -> None:
    engine = connect(url)
    for chain in chains:
        prepare(engine, chain)
    engine.dispose()


def _create(server: str, name: str, template: str) -> None:
    """An empty database, instead of the one of that name; whoever is connected to that one is not any more."""
    engine = connect(server).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    engine.dispose()


def _in(server: str, name: str) -> str:
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)
