"""`ims asof TIME --security X`: what the inventory of a security was."""

import argparse
import datetime as dt
import sqlite3
import sys

import msgspec

from app.archive_place import folder_of, snapshots_of
from app.moments import moment_ns
from app.settings import Settings


def add(parser: argparse.ArgumentParser) -> None:
    """When, and of what."""
    parser.add_argument(
        "time", metavar="TIME", help="2026-11-20T14:31:07.25, or 14:31 of today; UTC, or with an offset"
    )
    parser.add_argument(
        "--security", required=True, metavar="X", help="code, ISIN, CUSIP, SEDOL, FIGI or TICKER@MARKET"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object, with everything")
    parser.add_argument("--data", help="data folder of the service (.ims)")


def run(args: argparse.Namespace) -> int:
    """Exit code 1: the archive does not know; 2: the command line is wrong; 3: the answer may not be complete."""
    try:
        at_ns = moment_ns(args.time, dt.datetime.now(dt.UTC))
    except ValueError as error:
        print(f"ims asof: {error}", file=sys.stderr)  # noqa: T201
        return 2
    settings = Settings.load({"data": args.data})
    from app.archive_answer import answer, text  # noqa: PLC0415  numba and pyarrow: only for a question that is one
    from app.archive_asof import asof  # noqa: PLC0415  the same
    from app.archive_names import NothingError  # noqa: PLC0415  the same
    from feeds.archive_files import DamagedError  # noqa: PLC0415  the same

    try:
        found = asof(folder_of(settings), at_ns, args.security, snapshots_of(settings))
    except (NothingError, DamagedError, FileNotFoundError, sqlite3.Error) as error:
        print(f"ims asof: {error}", file=sys.stderr)  # noqa: T201
        return 1
    sys.stdout.write(msgspec.json.encode(answer(found, at_ns)).decode() + "\n" if args.json else text(found, at_ns))
    return 3 if found.gaps else 0
