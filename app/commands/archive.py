"""`ims archive status|repair`: what is in the archive, how far it is, what is missing, and getting that from Kafka."""

import argparse
import asyncio
import sqlite3
import sys
import time
from functools import partial

import msgspec

from app.archive_manifest import FILE
from app.archive_place import folder_of
from app.archive_status import Watch
from app.settings import Settings


def add(parser: argparse.ArgumentParser) -> None:
    """`status` and `repair`."""
    actions = parser.add_subparsers(dest="action", metavar="status|repair", required=True)
    mend = actions.add_parser("repair", help="read what is missing from Kafka; while the archive process may run on")
    mend.add_argument("--kafka", metavar="HOST:PORT", required=True, help="where the records still are")
    mend.add_argument("--data", help="data folder of the service (.ims)")
    mend.add_argument("--events-topic", help="topic of events (ims.events)")
    mend.add_argument("--reference-topic", help="topic of reference data (ims.reference)")
    status = actions.add_parser("status", help="how far it is, how large, and what is missing")
    status.add_argument("--json", action="store_true", help="one JSON object")
    status.add_argument("--data", help="data folder of the service (.ims)")
    status.add_argument("--instance", help="name of the service's shared memory (main)")


def run(args: argparse.Namespace) -> int:
    """Exit code 3: something is missing."""
    if args.action == "repair":
        return _repair(args)
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


def _repair(args: argparse.Namespace) -> int:
    """Exit code 1: a gap that cannot be filled."""
    from app.archive_manifest import Manifest  # noqa: PLC0415  numba and pyarrow: only where there is something to do
    from app.archive_names import NothingError  # noqa: PLC0415  the same
    from app.archive_repair import from_kafka, repair  # noqa: PLC0415  the same
    from feeds.archive_files import DamagedError  # noqa: PLC0415  the same
    from feeds.registry import topics  # noqa: PLC0415  the same

    given = {"data": args.data, "events_topic": args.events_topic, "reference_topic": args.reference_topic}
    settings = Settings.load(given | {"kafka": args.kafka})
    folder = folder_of(settings)
    if not (folder / FILE).is_file():
        print(f"ims archive: no {folder / FILE}: nothing has been archived there", file=sys.stderr)  # noqa: T201
        return 2
    manifest, failed = Manifest(folder, write=True), 0
    names = topics(settings.events_topic, settings.reference_topic)
    for gap in manifest.gaps():
        told = f"places {gap.first:,} to {gap.last:,}"
        try:
            fetch = partial(from_kafka, args.kafka)
            count = asyncio.run(repair(folder, manifest, gap, names, fetch, time.time_ns()))
        except (NothingError, DamagedError, OSError) as error:
            failed += 1
            print(f"{told}: not repaired: {error}", file=sys.stderr)  # noqa: T201
        else:
            print(f"{told}: repaired with {count:,} events")  # noqa: T201
    manifest.close()
    return 1 if failed else 0
