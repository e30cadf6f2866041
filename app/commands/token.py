"""`ims token`: a signed token for a person or a program, good for a while. Whoever can read the data folder can make one."""

import argparse
import re
import sys
import time
from typing import Final

from app.identity import MACHINE_USER, SHIPPER, Identity, Role, issue_token
from app.settings import Settings
from app.users_store import FILE, Users, UsersError

_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def add(parser: argparse.ArgumentParser) -> None:
    """Whose, and for how long."""
    parser.add_argument("--user", required=True, help="whose name it carries")
    roles = [role.value for role in Role]
    parser.add_argument("--role", action="append", choices=roles, help="may be given more than once (the user's own)")
    parser.add_argument("--client", action="append", help="shows this client only; may be given more than once (all)")
    parser.add_argument("--ttl", default="8h", help="how long it is good: seconds, or with m, h or d (8h)")
    parser.add_argument("--data", help="data folder of the service (.ims)")


def run(args: argparse.Namespace) -> int:
    """Prints the token. Exit code 1: there can be none, and standard error says why."""
    settings = Settings.load({"data": args.data})
    users = Users(settings.folder / FILE)
    try:
        roles = _roles(users, args.user, [Role(role) for role in args.role or ()])
        identity = Identity(args.user, roles, None if args.client is None else frozenset(args.client))
        print(issue_token(settings.secret, identity, _seconds(args.ttl), time.time()))  # noqa: T201
    except (ValueError, OSError) as error:
        print(f"ims token: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        users.close()
    return 0


def _roles(users: Users, name: str, wanted: list[Role]) -> frozenset[Role]:
    """Raises `UsersError` for somebody there is not, or roles that are not his."""
    if name in {MACHINE_USER, SHIPPER} or not name.isprintable() or not 0 < len(name) <= 64:  # noqa: PLR2004
        raise UsersError(f"nobody can be called {name!r}")
    if not users.exist():
        if not wanted:
            raise UsersError("there are no users yet: say which --role the token has")
        return frozenset(wanted)
    known = {user.name: frozenset(user.roles) for user in users.all()}
    if name not in known:
        raise UsersError(f"there is no user {name}")
    if missing := set(wanted) - known[name]:
        raise UsersError(f"{name} has not the role {', '.join(sorted(missing))}")
    return frozenset(wanted) or known[name]


def _seconds(text: str) -> int:
    found = re.fullmatch(r"(\d{1,9})([smhd]?)", text, re.ASCII)
    if not found:
        raise ValueError(f"--ttl {text}: a whole number, or one with s, m, h or d behind it")
    return int(found[1]) * _UNITS[found[2]]
