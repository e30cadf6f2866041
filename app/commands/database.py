"""`ims database status|upgrade`: which versions the databases of a service have, and bringing them to the newest.

A service does that itself when it starts; this is for who wants it done before, or wants to know.
"""

import argparse
import sys
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc

from app import master_database
from app.breaks import store
from app.database import Chain, connect, missing, prepare, version_of
from app.settings import Settings


def add(parser: argparse.ArgumentParser) -> None:
    """What can be done, each to all databases of a service."""
    actions = parser.add_subparsers(dest="action", metavar="status|upgrade", required=True)
    status = actions.add_parser(
        "status", help="the versions they have, and what is missing; exit code 3 if anything is"
    )
    upgraded = actions.add_parser("upgrade", help="bring them to the newest versions")
    for sub in (status, upgraded):
        sub.add_argument("--data", help="data folder of the service (.ims)")
        sub.add_argument("--database", metavar="URL", help="where the service keeps them (SQLite in the data folder)")


def run(args: argparse.Namespace) -> int:
    """Exit code 1: a database cannot be had or is of a later program, and standard error says why."""
    settings = Settings.load({"data": args.data, "database": args.database})
    behind = False
    for chain, url in (
        (Chain.JOURNAL, settings.database_url),
        (Chain.MASTER, master_database.url_of(settings)),
        (Chain.BREAKS, store.url_of(settings)),
        (Chain.DESK, settings.database_url),
    ):
        if args.action == "status" and not _exists(url):
            sys.stdout.write(f"{chain:10}{'-':10}not there yet\n")
            continue
        engine = connect(url)
        try:
            if args.action == "upgrade":
                prepare(engine, chain)
            lacking = missing(engine, chain)
            shown = f"lacks {' '.join(lacking)}" if lacking else "up to date"
            sys.stdout.write(f"{chain:10}{version_of(engine, chain) or '-':10}{shown}\n")
        except exc.SQLAlchemyError as error:
            print(f"ims database: the {chain}: {error}", file=sys.stderr)  # noqa: T201
            return 1
        finally:
            engine.dispose()
        behind = behind or bool(lacking)
    return 3 if behind else 0


def _exists(url: str) -> bool:
    """Whether asking would make nothing: opening a file of SQLite makes it."""
    parsed = sa.make_url(url)
    return parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").is_file()
