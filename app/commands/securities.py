"""`ims securities ...`: the security master of a running service, from the command line.

Who decides is a person: give the token of one (`ims token --user NAME --role ops`), or put it into IMS_API_TOKEN.
"""

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec

from app.commands.terminal import say
from app.rules_client import Client, ClientError, part
from app.settings import Settings, SettingsError

_LIMIT: Final = 50
_HELP: Final = "code, ISIN, CUSIP, SEDOL, FIGI, RIC or TICKER@MARKET; also a former one"


def add(parser: argparse.ArgumentParser) -> None:
    """What can be done."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--token", help="whose token (IMS_API_TOKEN, or the service's own in its data folder)")
    shared.add_argument("--host", help="where the service runs (127.0.0.1)")
    shared.add_argument("--port", type=int, help="the service's port, as given to `ims run` (5006)")
    shared.add_argument("--data", help="data folder of the service (.ims)")
    shared.add_argument("--json", action="store_true", help="the answer as JSON")

    def action(name: str, summary: str, *, deciding: bool = False) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=summary, description=summary, parents=[shared])
        if deciding:
            sub.add_argument("--comment", default="", help="why; kept in the audit")
        return sub

    action("show", "a security as everybody sees it, and whose word that is").add_argument("security", help=_HELP)
    history = action("history", "versions, decisions and moved positions of a security")
    history.add_argument("security", help=_HELP)
    action("composition", "pricing and creation baskets of an index or a fund").add_argument("security", help=_HELP)
    listed = action("exceptions", "what sources differ on, and what of their records cannot be used")
    listed.add_argument("--state", default="open", choices=("open", "decided", "closed"), help="(open)")
    listed.add_argument("--security", help="of this one")
    listed.add_argument("--limit", type=int, default=_LIMIT, help=f"at most so many ({_LIMIT})")
    decide = action("decide", "say which value of an exception is right", deciding=True)
    decide.add_argument("exception", help="its id")
    decide.add_argument("value", help='the value, or the code of a security; "" for none of them')
    decide.add_argument("--again", action="store_true", help="also where somebody has decided before")
    merge = action("merge", "let a security become another one, with its names and positions", deciding=True)
    merge.add_argument("security", help=_HELP)
    merge.add_argument("into", help=_HELP)
    split = action("split", "move positions to another security, or take a merge back", deciding=True)
    split.add_argument("security", help="that has the positions now")
    split.add_argument("to", help="that gets them (its own code)")
    split.add_argument("--book", default="", help="positions of this book only")
    split.add_argument("--depot", default="", help="positions in this depot only")


def run(args: argparse.Namespace) -> int:
    """Exit code 1: it did not happen, and standard error says why; 2: the command line cannot be used."""
    try:
        settings = Settings.load({"host": args.host, "port": args.port, "data": args.data})
    except SettingsError as error:
        print(f"ims securities: {error}", file=sys.stderr)  # noqa: T201
        return 2
    try:
        client = Client(settings, args.token or "", "/api/v1/securities")
        answer, tell = _ACTIONS[args.action](client, args)
        if args.json:
            sys.stdout.write(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode() + "\n")
        else:
            tell(answer)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # who reads has seen enough
        return 1
    except (ClientError, OSError) as error:
        print(f"ims securities: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


Told = tuple[Any, Callable[[Any], None]]


def _show(client: Client, args: argparse.Namespace) -> Told:
    return client.get(f"/{part(args.security)}"), _tell_security


def _tell_security(found: dict[str, Any]) -> None:
    say(f"{found['security']}  version {found['version']} of {found['changed']}")
    for name, value in found["record"].items():
        source = found["fields"].get(name, {}).get("source", "")
        say(f"  {name:16}{value!s:40}{source}")
    for one in found["identifiers"]:
        since, until = one["valid_from"] or "", one["valid_to"] or ""
        period = f"  {since}..{until}" if since or until else ""
        state = "leads here" if one["leads"] else "leads nowhere" if one["current"] else "former"
        say(f"  {one['type']:8}{one['value']:26}{one['source']:16}{one['priority']:>2}  {state}{period}")
    for case in found["exceptions"]:
        _tell_case(case)


def _history(client: Client, args: argparse.Namespace) -> Told:
    return client.get(f"/{part(args.security)}/history"), _tell_history


def _tell_history(found: dict[str, Any]) -> None:
    for version in found["versions"]:
        say(f"{version['at']}  version {version['version']}")
        for name, (before, after) in version["changes"].items():
            say(f"    {name:16}{before!s} -> {after!s}")
    for one in found["decisions"]:
        what = one["value"] if one["kind"] == "decide" else f"{one['source']} -> {one['target']}"
        where = " ".join(filter(None, (one["book"], one["depot"])))
        said = f"  REFUSED: {one['refused']}" if one["refused"] else ""
        say(f"{one['at']}  {one['kind']:8}{what} {where}  by {one['who']}  {one['comment']}{said}")
    for move in found["moved"]:
        left = sum(row["left"] for row in move["rows"])
        said = f", {left} of them could not be told apart and stayed" if left else ""
        say(f"{move['at']}  {len(move['rows'])} positions  {move['source']} -> {move['target']}{said}")


def _composition(client: Client, args: argparse.Namespace) -> Told:
    return client.get(f"/{part(args.security)}/composition"), _tell_baskets


def _tell_baskets(found: dict[str, Any]) -> None:
    for basket in found["baskets"]:
        say(f"{basket['kind']}  by {basket['source']}  of {basket['date'] or 'no date'}  unit {basket['unit']:,}")
        for one in basket["components"]:
            much = f"{one['shares']:,}" if one.get("shares") else f"{one.get('weight', 0) / 1e7:.4f}%"
            say(f"    {one['security']:26}{much:>16}")


def _exceptions(client: Client, args: argparse.Namespace) -> Told:
    of = f"&security={part(args.security)}" if args.security else ""
    return client.get(f"/exceptions?state={args.state}&limit={args.limit}{of}"), _tell_exceptions


def _tell_exceptions(found: dict[str, Any]) -> None:
    for case in found["exceptions"]:
        _tell_case(case)
    say(f"{found['open']:,} open")


def _tell_case(case: dict[str, Any]) -> None:
    chosen = f" for {case['chosen']}" if case["chosen"] else ""
    say(f"{case['id']}  {case['state']}{chosen}  {case['kind']}  {case['security']}  {case['detail']}")


def _decide(client: Client, args: argparse.Namespace) -> Told:
    body = {"value": args.value, "comment": args.comment, "again": args.again}
    return client.post(f"/exceptions/{part(args.exception)}/decide", body), _tell_outcome


def _merge(client: Client, args: argparse.Namespace) -> Told:
    return client.post(f"/{part(args.security)}/merge", {"into": args.into, "comment": args.comment}), _tell_outcome


def _split(client: Client, args: argparse.Namespace) -> Told:
    body = {"to": args.to, "book": args.book, "depot": args.depot, "comment": args.comment}
    return client.post(f"/{part(args.security)}/split", body), _tell_outcome


def _tell_outcome(found: dict[str, Any]) -> None:
    at = found["carried_out"]
    say(f"decision {found['entry']}: {f'carried out at {at}' if at else 'written down, not yet carried out'}")


_ACTIONS: Final[dict[str, Callable[[Client, argparse.Namespace], Told]]] = {
    "show": _show,
    "history": _history,
    "composition": _composition,
    "exceptions": _exceptions,
    "decide": _decide,
    "merge": _merge,
    "split": _split,
}
