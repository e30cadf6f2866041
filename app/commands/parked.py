"""`ims parked list|retry|discard`: records that name something unknown and wait for reference data.

The list is read from the data folder, so it is there without a service; the others ask a running one, as an `ops` or `admin`.
"""

import argparse
import sys
import time
from collections import Counter
from typing import Any, Final

import msgspec

from app.commands.quarantine import printable
from app.parked_record import sort_of
from app.parking_store import FILE, Parked, ParkingStore
from app.rules_client import Client, ClientError
from app.settings import Settings

_LIMIT: Final = 50
_SHOWN: Final = 100


def add(parser: argparse.ArgumentParser) -> None:
    """What can be done."""
    actions = parser.add_subparsers(dest="action", metavar="list|retry|discard", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--data", help="data folder of the service (.ims)")
    asking = argparse.ArgumentParser(add_help=False, parents=[shared])
    asking.add_argument("--token", help="whose token (IMS_API_TOKEN, or the service's own in its data folder)")
    asking.add_argument("--host", help="where the service runs (127.0.0.1)")
    asking.add_argument("--port", type=int, help="the service's port, as given to `ims run` (5006)")
    listed = actions.add_parser("list", help="what waits, in the order in which it will be used", parents=[shared])
    listed.add_argument("--limit", type=int, default=_LIMIT, help=f"how many records ({_LIMIT}); 0: all")
    listed.add_argument("--discarded", action="store_true", help="what people have given up, instead")
    listed.add_argument("--json", action="store_true", help="one JSON object")
    retry = actions.add_parser("retry", help="read records again now, and use what can be used", parents=[asking])
    retry.add_argument("id", type=int, nargs="*", help="which ones (all)")
    discard = actions.add_parser("discard", help="give records up for good", parents=[asking])
    discard.add_argument("id", type=int, nargs="+")
    discard.add_argument("--comment", required=True, help="why; it is kept with who did it")


def run(args: argparse.Namespace) -> int:
    """Exit code 1: it was refused, or some records still cannot be used; 2: nothing there to ask."""
    if args.action == "list":
        return _list(args)
    settings = Settings.load({"data": args.data, "host": args.host, "port": args.port})
    try:
        client = Client(settings, args.token or "", "/api/v1/parked")
        if args.action == "discard":
            told = client.post("/discard", {"ids": args.id, "comment": args.comment})
            print(f"{told['discarded']:,} records discarded")  # noqa: T201
            return 0
        told = client.post("/retry", {"ids": args.id or None})
    except ClientError as error:
        print(f"ims parked: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(f"{told['used']:,} records used, {told['left']:,} still wait")  # noqa: T201
    return 1 if told["left"] else 0


def _list(args: argparse.Namespace) -> int:
    path = Settings.load({"data": args.data}).folder / FILE
    if not path.is_file():
        print(f"ims parked: no {path}: nothing has waited in this service yet", file=sys.stderr)  # noqa: T201
        return 2
    store = ParkingStore(path)
    try:
        if args.discarded:
            gone = store.discarded()
            for each in gone:
                place = f"{each.entry.topic}[{each.entry.partition}]@{each.entry.offset}"
                print(f"{each.at}  {place}  {printable(each.who)}: {printable(each.comment)}")  # noqa: T201
            print(f"{len(gone):,} records were given up")  # noqa: T201
            return 0
        records = list(store.entries(args.limit or None))
        count = store.count()
    finally:
        store.close()
    if args.json:
        told = {"count": count, "records": [_shown(parked) for parked in records]}
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        return 0
    for parked in records:
        entry = parked.entry
        told_at = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(parked.parked_ns / 1e9))
        place = f"{entry.topic}[{entry.partition}]@{entry.offset}"
        print(f"{parked.id:>8}  {told_at}  {place}  {entry.reason}: {printable(entry.detail)}")  # noqa: T201
        print(f"          {printable(entry.raw[:_SHOWN].decode(errors='replace'))}")  # noqa: T201
    shares: Counter[str] = Counter()
    for parked in records:
        shares.update(dict(parked.concerns.shares))
    for security, quantity in shares.most_common(20):
        print(f"{printable(security):24}{quantity:>18,} shares")  # noqa: T201
    print(f"{count:,} records wait" if count else "nothing waits")  # noqa: T201
    return 0


def _shown(parked: Parked) -> dict[str, Any]:
    entry = parked.entry
    return {
        "id": parked.id,
        "topic": entry.topic,
        "partition": entry.partition,
        "offset": entry.offset,
        "reason": entry.reason,
        "detail": entry.detail,
        "events": entry.events,
        "parked_ns": parked.parked_ns,
        "names": [{"kind": sort_of(space), "code": code} for space, code in parked.concerns.wants],
        "shares": dict(parked.concerns.shares),
        "raw": entry.raw.decode(errors="replace"),
    }
