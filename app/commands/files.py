"""`ims files ...`: batch files, from the command line: what came, how each fared, what they must look like, and loading one."""

import argparse
import hashlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from app import files_report
from app.commands.terminal import say_text
from app.files_folder import DROP
from app.files_store import FILE, FileReport, FilesStore, FileState
from app.settings import Settings

_LIMIT: Final = 20
_LOOK_S: Final = 0.1
_ASIDE_S: Final = 1.5
_WAIT_S: Final = 120.0
_DONE: Final = (FileState.LOADED, FileState.REFUSED, FileState.DUPLICATE)


def add(parser: argparse.ArgumentParser) -> None:
    """What can be done."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--data", help="data folder of the service (.ims)")

    def action(name: str, summary: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=summary, description=summary, parents=[shared])

    listed = action("list", "files that came, newest last, and those that wait in the drop folder")
    listed.add_argument("--feed", help="of this feed only")
    listed.add_argument("--state", choices=[state.value for state in FileState], help="in this state only")
    listed.add_argument("--limit", type=int, default=_LIMIT, help=f"at most so many ({_LIMIT})")
    listed.add_argument("--json", action="store_true", help="one JSON object")
    show = action("show", "the report of a file: what is wrong, by line and column")
    show.add_argument("id", type=int)
    show.add_argument("--all", action="store_true", help="every entry instead of the first twenty")
    show.add_argument("--json", action="store_true", help="as JSON")
    load = action("load", "put a file into the drop folder, with its checksum, and wait for its report")
    load.add_argument("file", type=Path)
    load.add_argument("--feed", required=True, help="what it holds: positions, trades, reference, ...")
    load.add_argument("--no-wait", action="store_true", help="do not wait for the report")
    load.add_argument("--timeout", type=float, default=_WAIT_S, help=f"seconds to wait at most ({_WAIT_S:.0f})")
    force = action("force", "load a file that was refused for doubts only; asked over the API by ops or admin, too")
    force.add_argument("id", type=int)
    force.add_argument("--comment", required=True, help="why; it is in the report")
    columns = action("columns", "what the files of a feed must look like")
    columns.add_argument("feed", nargs="?", help="(all)")


def run(args: argparse.Namespace) -> int:
    """Exit code 1: the file was not loaded; 2: it cannot be done; 3: nothing has come of it in time."""
    if args.action == "columns":
        return _columns(args.feed)
    data = Settings.load({"data": args.data}).folder
    path = data / FILE
    if not path.is_file():
        return _fail(f"no {path}: the service has not run with this folder")
    store = FilesStore(path)
    try:
        if args.action == "list":
            return _list(store, args)
        if args.action == "load":
            return _load(store, data, args)
        return _show(store, args) if args.action == "show" else _force(store, args)
    finally:
        store.close()


def _list(store: FilesStore, args: argparse.Namespace) -> int:
    reports = store.reports(args.limit, feed=args.feed, state=args.state)[::-1]
    waiting = [file for file in store.waiting() if args.feed in {None, file.feed}]
    if args.json:
        say_text(msgspec.json.encode({"files": reports, "waiting": waiting}).decode())
        return 0
    for report in reports:
        say_text(_line(report))
    for file in waiting:
        say_text(f"{'-':>6}  {file.feed:18}{file.name:40}  {'waiting':10}  {file.why} (since {file.since[:19]})")
    if not reports and not waiting:
        say_text("no files")
    return 0


def _line(report: FileReport) -> str:
    progress = ""
    if report.state == FileState.LOADING:
        progress = f"{report.applied:,} of {report.records:,} records used"
    elif report.state == FileState.CHECKING:
        progress = f"{report.rows:,} rows checked"
    elif report.state == FileState.LOADED:
        waits = f", {report.unknown:,} wait for reference" if report.unknown else ""
        aside = f", {report.set_aside_count:,} set aside" if report.set_aside_count else ""
        progress = f"{report.rows:,} rows in {(report.check_ms + report.load_ms) / 1e3:.1f} s{waits}{aside}"
    told = progress or report.why
    return f"{report.id:>6}  {report.feed:18}{report.name:40}  {report.state.value:10}  {told}  {report.taken_at[:19]}"


def _show(store: FilesStore, args: argparse.Namespace) -> int:
    report = store.report(args.id)
    if report is None:
        return _fail(f"no file {args.id}")
    if args.json:
        say_text(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        say_text(files_report.text(report, **({"shown": 10**9} if args.all else {})))
    return 0


def _load(store: FilesStore, data: Path, args: argparse.Namespace) -> int:
    folder = data / DROP / args.feed
    if not folder.is_dir():
        known = ", ".join(sorted(each.name for each in (data / DROP).glob("*") if each.is_dir()))
        return _fail(f"no feed {args.feed} with files: {known}")
    if not args.file.is_file():
        return _fail(f"{args.file} cannot be read")
    newest = max((report.id for report in store.reports(1)), default=0)
    target = folder / args.file.name
    if target.exists():
        return _fail(f"{target} is waiting there already")
    _copy(args.file, target)
    if args.no_wait:
        say_text(f"{target} waits to be taken")
        return 0
    return _follow(store, args.feed, target.name, newest, time.monotonic() + args.timeout)


def _copy(file: Path, target: Path) -> None:
    """Its checksum first, then the file under a name of no account, then its name: nobody sees half of it."""
    part = target.with_name(f".{target.name}.part")
    shutil.copyfile(file, part)
    with part.open("rb") as copied:
        digest = hashlib.file_digest(copied, "sha256").hexdigest()
    target.with_name(f"{target.name}.sha256").write_text(f"{digest}  {target.name}\n")
    os.replace(part, target)  # noqa: PTH105  in place, whatever was there


def _follow(store: FilesStore, feed: str, name: str, newest: int, until_s: float, number: int = 0) -> int:
    """Show how far the file is until it is done."""
    shown = ""
    while time.monotonic() < until_s:
        found = [each for each in store.reports(20, feed=feed) if each.name == name and each.id > newest]
        report = store.report(number) if number else next(iter(found), None)
        if report is not None and report.state in _DONE and not (number and not report.forced_by):
            if report.state == FileState.LOADED:  # what the engine sets aside is written down a moment later
                time.sleep(_ASIDE_S)
                report = store.report(report.id) or report
            say_text(files_report.text(report))
            return 0 if report.state == FileState.LOADED else 1
        if report is not None and (line := _line(report)) != shown:
            shown = line
            say_text(line)
        time.sleep(_LOOK_S)
    return _fail(f"{name}: nothing has come of it yet; see `ims files list`", 3)


def _force(store: FilesStore, args: argparse.Namespace) -> int:
    report = store.report(args.id)
    if report is None:
        return _fail(f"no file {args.id}")
    if not (report.can_be_forced or report.state == FileState.DUPLICATE):
        return _fail(f"file {args.id} is {report.state.value}, for more than a doubt: mend it and drop it again")
    if not store.force(args.id, os.environ.get("USER") or str(os.getuid()), args.comment):
        return _fail(f"file {args.id} is {report.state.value}, or is being forced already")
    return _follow(store, report.feed, report.name, 0, time.monotonic() + _WAIT_S, args.id)


def _columns(name: str | None) -> int:
    from feeds import files_forms  # noqa: PLC0415  the decoders of all feeds

    chosen = [feed for feed in files_forms.feeds() if name in {None, feed.name}]
    if not chosen:
        return _fail(f"no files of a feed {name}: {', '.join(feed.name for feed in files_forms.feeds())}")
    for feed in chosen:
        say_text(files_forms.described(feed))
    return 0


def _fail(reason: str, code: int = 2) -> int:
    print(f"ims files: {reason}", file=sys.stderr)  # noqa: T201
    return code
