"""`ims users add|list|remove`: who may log in to the pages and use the API by name."""

import argparse
import getpass
import sys

from app.identity import Role
from app.settings import Settings
from app.users_store import FILE, Users, UsersError


def add(parser: argparse.ArgumentParser) -> None:
    """What can be done, each in a data folder."""
    actions = parser.add_subparsers(dest="action", metavar="add|list|remove", required=True)
    added = actions.add_parser("add", help="let somebody in; asks for the password")
    added.add_argument("name")
    roles = [role.value for role in Role]
    added.add_argument("--role", action="append", required=True, choices=roles, help="may be given more than once")
    added.add_argument("--client", action="append", help="sees this client only; may be given more than once (all)")
    added.add_argument("--password-stdin", action="store_true", help="read the password's line from standard input")
    listed = actions.add_parser("list", help="who there is")
    removed = actions.add_parser("remove", help="take somebody out, at once")
    removed.add_argument("name")
    for sub in (added, listed, removed):
        sub.add_argument("--data", help="data folder of the service (.ims)")


def run(args: argparse.Namespace) -> int:
    """Exit code 1: it did not happen, and standard error says why."""
    users = Users(Settings.load({"data": args.data}).folder / FILE)
    try:
        if args.action == "add":
            users.add(
                args.name, _password(from_stdin=args.password_stdin), [Role(role) for role in args.role], args.client
            )
        elif args.action == "remove":
            users.remove(args.name)
        else:
            for user in users.all():
                clients = "" if user.clients is None else f"  clients: {' '.join(user.clients)}"
                sys.stdout.write(f"{user.name:24}{' '.join(user.roles)}{clients}\n")
            if not users.exist():
                sys.stdout.write("there are no users: whoever reaches the pages on this machine is local\n")
    except (UsersError, OSError, EOFError) as error:
        print(f"ims users: {str(error) or 'no password'}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        users.close()
    return 0


def _password(*, from_stdin: bool) -> str:
    """Never an argument: those are everybody's to read. Raises `UsersError`."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != first:
        raise UsersError("the two are not the same")
    return first
