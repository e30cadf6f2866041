"""`ims webhooks ...`: who is told of decisions, from the command line.

Registering, replaying and removing takes the token of an admin: see `ims token`. Where anything may be sent to at all, the
service's setting `webhook_origins` (IMS_WEBHOOK_ORIGINS) says.
"""

import argparse
import sys
from collections.abc import Callable
from typing import Any, Final

from app.commands.terminal import say
from app.rules_client import Client, ClientError, part
from app.settings import Settings, SettingsError


def add(parser: argparse.ArgumentParser) -> None:
    """What can be done."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--token", help="whose token (IMS_API_TOKEN, or the service's own in its data folder)")
    shared.add_argument("--host", help="where the service runs (127.0.0.1)")
    shared.add_argument("--port", type=int, help="the service's port, as given to `ims run` (5006)")
    shared.add_argument("--data", help="data folder of the service (.ims)")

    def action(name: str, summary: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=summary, description=summary, parents=[shared])

    action("list", "all of them, how far each is, and what is wrong")
    new = action("add", "tell an address of decisions from now on; prints the secret that signs, this once")
    new.add_argument("url")
    new.add_argument(
        "--kind", action="append", choices=("locates", "orders"), help="of what (locates); may be repeated"
    )
    new.add_argument("--client", action="append", help="of these clients only; may be repeated")
    new.add_argument("--comment", default="")
    replay = action("replay", "send again what came after a step; one that is dead lives again")
    replay.add_argument("id")
    replay.add_argument("after", type=int, help="the sequence of the last event one has; 0: everything")
    replay.add_argument("--kind", choices=("locates", "orders"), default="locates")
    action("remove", "tell nobody there any more").add_argument("id")


def run(args: argparse.Namespace) -> int:
    """Exit code 1: it did not happen, and standard error says why; 2: the command line cannot be used."""
    try:
        settings = Settings.load({"host": args.host, "port": args.port, "data": args.data})
    except SettingsError as error:
        print(f"ims webhooks: {error}", file=sys.stderr)  # noqa: T201
        return 2
    try:
        _ACTIONS[args.action](Client(settings, args.token or "", "/api/v1/webhooks"), args)
    except (ClientError, OSError) as error:
        print(f"ims webhooks: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _list(client: Client, _args: argparse.Namespace) -> None:
    for webhook in client.get("")["webhooks"]:
        _show(webhook)


def _add(client: Client, args: argparse.Namespace) -> None:
    asked = {"url": args.url, "kinds": args.kind or ["locates"], "clients": args.client, "comment": args.comment}
    made = client.post("", asked)
    _show(made)
    say(f"secret: {made['secret']}")


def _replay(client: Client, args: argparse.Namespace) -> None:
    _show(client.post(f"/{part(args.id)}/replay", {"kind": args.kind, "after": args.after}))


def _remove(client: Client, args: argparse.Namespace) -> None:
    client.post(f"/{part(args.id)}/remove", {})


def _show(webhook: dict[str, Any]) -> None:
    """A line, and another where something is wrong."""
    far = "  ".join(f"{kind} {sequence:,}" for kind, sequence in webhook["sequences"].items())
    whose = "every client" if webhook["clients"] is None else " ".join(webhook["clients"])
    say(f"{webhook['id']}  {webhook['state']:7}{webhook['url']}  {far}  [{whose}]  {webhook['comment']}")
    if webhook["error"]:
        say(f"    not taken {webhook['failures']} times: {webhook['error']}")


_ACTIONS: Final[dict[str, Callable[[Client, argparse.Namespace], None]]] = {
    "list": _list,
    "add": _add,
    "replay": _replay,
    "remove": _remove,
}
