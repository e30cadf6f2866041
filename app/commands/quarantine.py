"""`ims quarantine list|export`: records that could not be used, with where they came from, why, and every byte of them."""

import argparse
import base64
import csv
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final, TextIO

import msgspec

from app.quarantine_store import FILE, Entry, QuarantineStore
from app.settings import Settings

_SHOWN: Final = 100
_LIMIT: Final = 50
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def add(parser: argparse.ArgumentParser) -> None:
    """`list` and `export`, each with the data folder."""
    actions = parser.add_subparsers(dest="action", metavar="list|export", required=True)
    shown = actions.add_parser("list", help="show the newest entries, and how many there are by reason")
    shown.add_argument("--limit", type=int, default=_LIMIT, help=f"how many entries ({_LIMIT}); 0: all")
    shown.add_argument("--json", action="store_true", help="one JSON object: counts and entries")
    export = actions.add_parser("export", help="write all entries to a file, whole")
    export.add_argument("file", metavar="FILE", type=Path, help="ends with .jsonl or .csv")
    for sub in (shown, export):
        sub.add_argument("--reason", help="only entries of this reason, such as unknown_security")
        sub.add_argument("--data", help="data folder of the service (.ims)")


def run(args: argparse.Namespace) -> int:
    """Exit code 2: the file's name says no known format, or there is no quarantine in the folder."""
    path = Settings.load({"data": args.data}).folder / FILE
    if not path.is_file():
        print(f"ims quarantine: no {path}: this service has quarantined nothing yet", file=sys.stderr)  # noqa: T201
        return 2
    store = QuarantineStore(path)
    try:
        if args.action == "export":
            return _export(store, args.file, args.reason)
        _list(store, args.reason, args.limit or None, as_json=args.json)
        return 0
    finally:
        store.close()


def shown(entry: Entry) -> dict[str, object]:
    """An entry with its bytes as text: `raw` where they are UTF-8, else `raw_base64`; never cut."""
    fields = {name: value for name, value in asdict(entry).items() if name != "raw"}
    try:
        return fields | {"raw": entry.raw.decode()}
    except UnicodeDecodeError:
        return fields | {"raw_base64": base64.b64encode(entry.raw).decode()}


def _list(store: QuarantineStore, reason: str | None, limit: int | None, *, as_json: bool) -> None:
    counts = {name: count for name, count in store.counts().items() if reason in {None, name}}
    entries = store.entries(reason, limit)
    out = sys.stdout
    if as_json:
        counted = {name: {"entries": entries, "events": events} for name, (entries, events) in counts.items()}
        out.write(
            msgspec.json.encode({"counts": counted, "entries": [shown(entry) for entry in entries]}).decode() + "\n"
        )
        return
    for entry in entries:
        raw = entry.raw[:_SHOWN].decode(errors="replace")
        cut = f" ... ({len(entry.raw):,} bytes)" if len(entry.raw) > _SHOWN else ""
        out.write(
            f"{entry.received_at}  {entry.topic}[{entry.partition}]@{entry.offset}  {entry.reason}: {entry.detail}\n"
        )
        out.write(f"    {printable(raw)}{cut}\n")
    if not counts:
        out.write("nothing is in quarantine\n")
    for name, (number, events) in counts.items():
        out.write(f"{name:24}{number:>12,} entries{events:>14,} events\n")


def printable(text: str) -> str:
    """A terminal must not be steered by what somebody sent."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def _export(store: QuarantineStore, file: Path, reason: str | None) -> int:
    writers = {".jsonl": _write_jsonl, ".csv": _write_csv}
    writer = writers.get(file.suffix.lower())
    if writer is None:
        print(f"ims quarantine: {file.name} ends with neither .jsonl nor .csv", file=sys.stderr)  # noqa: T201
        return 2
    with file.open("w", encoding="utf-8", newline="") as out:
        count = writer(store.entries(reason), out)
    print(f"{count:,} entries written to {file}")  # noqa: T201
    return 0


def _write_jsonl(entries: Iterator[Entry], out: TextIO) -> int:
    count = 0
    for entry in entries:
        out.write(msgspec.json.encode(shown(entry)).decode() + "\n")
        count += 1
    return count


def _write_csv(entries: Iterator[Entry], out: TextIO) -> int:
    names = [*(name for name in Entry.__slots__ if name != "raw"), "raw", "raw_base64"]
    writer = csv.DictWriter(out, names)
    writer.writeheader()
    count = 0
    for entry in entries:
        writer.writerow({name: _defused(value) for name, value in shown(entry).items()})
        count += 1
    return count


def _defused(value: object) -> object:
    """A text that a spreadsheet would run as a formula gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
