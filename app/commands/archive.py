"""`ims archive status`: what is in the archive, how far it is, and what is missing."""

import argparse
import sqlite3
import sys

import msgspec

from app.archive_status import Watch
from app.settings import Settings


def add(parser: argparse.ArgumentParser) -> None:
    """One action so far."""
    actions = parser.add_subparsers(dest="action", metavar="status", required=True)
    status = actions.add_parser("status", help="how far it is, how large, and what is missing")
    status.add_argument("--json", action="store_true", help="one JSON object")
    status.add_argument("--data", help="data folder of the service (.ims)")
    status.add_argument("--instance", help="name of the service's shared memory (main)")


def run(args: argparse.Namespace) -> int:
    """Exit code 3: something is missing."""
    settings = Settings.load({"data": args.data, "instance": args.instance})
    watch = Watch(settings)
    try:
        status = watch.status()
    except sqlite3.Error as error:
        print(f"ims archive: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        watch.close()
    if args.json:
        sys.stdout.write(msgspec.json.encode(status).decode() + "\n")
    else:
        from app.archive_answer import iso  # noqa: PLC0415  numpy and pyarrow: only for a person

        state = status.state if status.state != "down" else "no engine or no archive process is running"
        written = iso(status.written_to_ns) if status.written_to_ns else "-"
        lines = [
            f"state        {state}" + (f": {status.problem}" if status.problem else ""),
            f"on disk to   {written}, place {status.written_place:,}; {status.behind_messages:,} messages to go",
            f"files        {status.files:,}, {status.bytes / 1e6:,.1f} MB",
            f"today        {status.files_today:,}, {status.bytes_today / 1e6:,.1f} MB",
            f"gaps         {status.gap_count:,}",
        ]
        lines += [f"  {iso(g.at_ns)}  places {g.first:,} to {g.last:,}: {g.why}" for g in status.gaps]
        sys.stdout.write("\n".join(lines) + "\n")
    return 3 if status.gap_count else 0
