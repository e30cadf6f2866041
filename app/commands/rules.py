"""`ims rules ...`: the rules of a running service, from the command line.

Who asks is the service's own token (it may write and test), or whose token is given: see `ims token`.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from app.commands.rules_dry_run import lines_of
from app.commands.terminal import say
from app.rules_client import Client, ClientError, part
from app.settings import Settings, SettingsError

_STEPS: Final = {
    "submit": "ask another person to check a tested version",
    "approve": "let a submitted version become active on its date (an admin who did not make it)",
    "reject": "refuse a submitted version for good (an admin who did not make it)",
    "withdraw": "take back a version that is not active yet",
}
_SHOWN: Final = 20
"""Securities shown of an impact, and lines of a dry run."""
_MOST: Final = 100_000
"""Lines that a dry run has at most."""


def add(parser: argparse.ArgumentParser) -> None:
    """What can be done."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--token", help="whose token (IMS_API_TOKEN, or the service's own in its data folder)")
    shared.add_argument("--host", help="where the service runs (127.0.0.1)")
    shared.add_argument("--port", type=int, help="the service's port, as given to `ims run` (5006)")
    shared.add_argument("--data", help="data folder of the service (.ims)")

    def action(name: str, summary: str, *, comment: bool = False) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=summary, description=summary, parents=[shared])
        if comment:
            sub.add_argument("--comment", default="", help="what is to be said of it; kept in the audit")
        return sub

    listed = action("list", "documents, what is active and what waits")
    listed.add_argument("document", nargs="?", help="all versions of this one")
    show = action("show", "the text of a version, as it was written")
    show.add_argument("document")
    show.add_argument("version", nargs="?", type=int, help="(the active one)")
    show.add_argument("--history", action="store_true", help="who did what when, instead of the text")
    diff = action("diff", "what two versions differ in")
    diff.add_argument("document")
    diff.add_argument("first", nargs="?", type=int, metavar="FROM", help="(the active one)")
    diff.add_argument("second", nargs="?", type=int, metavar="TO", help="(the newest one)")
    test = action("test", "what a version would change on the live positions", comment=True)
    test.add_argument("document")
    test.add_argument("version", type=int)
    test.add_argument("--json", action="store_true", help="all of it")
    dry_run = action(
        "dry-run", "what a version would have decided on the requests of a period, against what was decided"
    )
    dry_run.add_argument("document")
    dry_run.add_argument("version", type=int)
    dry_run.add_argument(
        "--from", dest="since", metavar="WHEN", help="a day (UTC) or a moment (seven days before the end)"
    )
    dry_run.add_argument(
        "--to", dest="until", metavar="WHEN", help="a day, which is in it, or a moment, which is not (now)"
    )
    dry_run.add_argument("--lines", type=int, help=f"so many of those that differ ({_SHOWN}; in a file {_MOST})")
    dry_run.add_argument("--csv", type=Path, metavar="FILE", help="write the lines there; - for standard output")
    dry_run.add_argument("--json", action="store_true", help="all of it")
    for name, summary in _STEPS.items():
        step = action(name, summary, comment=True)
        step.add_argument("document")
        step.add_argument("version", type=int)
    revert = action("revert", "a new version with the text of an old one", comment=True)
    revert.add_argument("document")
    revert.add_argument("to", type=int, metavar="VERSION")
    export = action("export", "all active documents as one YAML file, as they were written")
    export.add_argument("file", nargs="?", type=Path, help="(standard output)")
    imported = action(
        "import", "drafts of whatever a file says otherwise; refused whole where anything is wrong", comment=True
    )
    imported.add_argument("file", type=Path, help="one document, or several with a line --- between two")


def run(args: argparse.Namespace) -> int:
    """Exit code 1: it did not happen, and standard error says why; 2: the command line cannot be used."""
    try:
        settings = Settings.load({"host": args.host, "port": args.port, "data": args.data})
    except SettingsError as error:
        print(f"ims rules: {error}", file=sys.stderr)  # noqa: T201
        return 2
    try:
        _ACTIONS.get(args.action, _step)(Client(settings, args.token or ""), args)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # who reads has seen enough
        return 1
    except (ClientError, OSError) as error:
        print(f"ims rules: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _list(client: Client, args: argparse.Namespace) -> None:
    if args.document:
        for version in client.get(f"/{part(args.document)}/versions")["versions"]:
            say(_line(version))
        return
    for document in client.get("")["documents"]:
        active = document["active"]
        say(f"{document['document']:12}{document['title']}  [{' '.join(document['markets']) or 'every market'}]")
        for version in ([active] if active else []) + document["drafts"]:
            say(f"    {_line(version)}")


def _line(version: dict[str, Any]) -> str:
    """A version in a line."""
    people = f"by {version['author']}"
    if version["approved_by"]:
        people += f", approved by {version['approved_by']}"
    since = version["effective_from"] or "now on"
    return f"{version['version']:>4}  {version['state']:10}  from {since}  {people}  {version['comment']}"


def _show(client: Client, args: argparse.Namespace) -> None:
    number = args.version
    if number is None:
        versions = client.get(f"/{part(args.document)}/versions")["versions"]
        number = next((version["version"] for version in versions if version["state"] == "active"), None)
        if number is None:
            raise ClientError(f"no version of {args.document} is active: name one")
    version = client.get(f"/{part(args.document)}/versions/{number}")
    if not args.history:
        _write(version["text"].encode())
        return
    for step in version["steps"]:
        say(f"{step['at']}  {step['action']:10}{step['state']:12}{step['who']:16}{step['comment']}")
        for problem in step["problems"]:
            say(f"    {problem}")


def _diff(client: Client, args: argparse.Namespace) -> None:
    given = {"from": args.first, "to": args.second}
    query = "&".join(f"{name}={value}" for name, value in given.items() if value is not None)
    _write(client.text(f"/{part(args.document)}/diff?{query}"))


def _test(client: Client, args: argparse.Namespace) -> None:
    found = client.post(f"/{part(args.document)}/versions/{args.version}/test", {"comment": args.comment})
    impact = found["impact"]
    if args.json:
        _write(msgspec.json.format(msgspec.json.encode(impact), indent=2) + b"\n")
        return
    say(f"{impact.get('securities_changed', 0):,} securities would change ({impact.get('took_ms', 0):,} ms)")
    for name, total in impact.get("totals", {}).items():
        if total["before"] == total["after"]:
            continue
        say(f"    {name:28}{total['before']:>24,} -> {total['after']:>24,}")
    for security in impact.get("securities", ())[:_SHOWN]:
        changes = security["changes"].items()
        shown = "  ".join(f"{name} SD{c['day']} {c['before']:,} -> {c['after']:,}" for name, c in changes)
        say(f"  {security['security']:16}{shown}")
    for limit in impact.get("limits", ()):
        change = f"{limit['calculation']} {limit['before']:,} -> {limit['after']:,}"
        say(f"OVERDRAWN    {limit['security']}  {limit['scope']} {limit['owner']}  {change}")
    if "locates" in impact:
        for line in lines_of(impact["locates"], lines=_SHOWN):
            say(line)
    for water in impact.get("under_water", ()):
        say(f"UNDER WATER  {water['security']}  left {water['remaining_before']:,} -> {water['remaining_after']:,}")
        for locate in water.get("locates", ()):
            say(f"    {locate['id']}  {locate['client']}  {locate['approved']:,}")


def _dry_run(client: Client, args: argparse.Namespace) -> None:
    lines = args.lines if args.lines is not None else _MOST if args.csv else _SHOWN
    given = {"from": args.since, "to": args.until, "limit": lines}
    query = "&".join(f"{name}={part(value)}" for name, value in given.items() if value is not None)
    path = f"/{part(args.document)}/versions/{args.version}/dry-run?{query}"
    if args.csv:
        text = client.text(path, accept="text/csv")
        if str(args.csv) == "-":
            _write(text)
        else:
            args.csv.write_bytes(text)
            say(f"{len(text):,} bytes written to {args.csv}")
    elif args.json:
        _write(msgspec.json.format(client.text(path), indent=2) + b"\n")
    else:
        for line in lines_of(client.get(path)):
            say(line)


def _step(client: Client, args: argparse.Namespace) -> None:
    path = f"/{part(args.document)}/versions/{args.version}/{args.action}"
    say(_line(client.post(path, {"comment": args.comment})))


def _revert(client: Client, args: argparse.Namespace) -> None:
    say(_line(client.post(f"/{part(args.document)}/revert", {"to": args.to, "comment": args.comment})))


def _export(client: Client, args: argparse.Namespace) -> None:
    text = client.text("/export")
    if args.file is None:
        _write(text)
    else:
        args.file.write_bytes(text)
        say(f"{len(text):,} bytes written to {args.file}")


def _import(client: Client, args: argparse.Namespace) -> None:
    versions = client.post_yaml(f"/import?comment={part(args.comment)}", args.file.read_bytes())["versions"]
    for version in versions:
        say(f"{version['document']:12}{_line(version)}")
    if not versions:
        say("nothing differs from what is active")


_ACTIONS: Final[dict[str, Callable[[Client, argparse.Namespace], None]]] = {
    "list": _list,
    "show": _show,
    "diff": _diff,
    "test": _test,
    "dry-run": _dry_run,
    "revert": _revert,
    "export": _export,
    "import": _import,
}


def _write(text: bytes) -> None:
    """Byte for byte, whatever the terminal's encoding."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()
