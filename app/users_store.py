"""The people who may log in: `users.json` in the data folder, readable by its owner only."""

import asyncio
import base64
import contextlib
import fcntl
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from app.identity import LOCAL_USER, MACHINE_USER, SHIPPER, Identity, Role

FILE: Final = "users.json"
SHORTEST_PASSWORD: Final = 10
LONGEST_PASSWORD: Final = 1_024
RESERVED: Final = frozenset({LOCAL_USER, MACHINE_USER, SHIPPER})
_FORMAT: Final = 2
"""2: users have clients, which an older program would not heed."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class UsersError(ValueError):
    """A user that cannot be added or found, or a file that cannot be read; the message says which."""


class Scrypt(Struct, frozen=True):
    """A password's hash and how it was made; salt and hash in base64."""

    salt: str
    hash: str
    n: int = 1 << 14
    r: int = 8
    p: int = 5

    def matches(self, password: str) -> bool:
        """Takes some 0.2 s of a core: not for an event loop."""
        return hmac.compare_digest(_scrypt(password, self), base64.b64decode(self.hash))


class User(Struct, frozen=True):
    """One line of the file."""

    name: str
    roles: tuple[Role, ...]
    password: Scrypt
    clients: tuple[str, ...] | None = None
    """Whose locates, orders and limits are shown; None: everybody's."""

    def identity(self) -> Identity:
        """Who it is, once that has been proved."""
        return Identity(self.name, frozenset(self.roles), None if self.clients is None else frozenset(self.clients))


class _File(Struct, frozen=True):
    users: tuple[User, ...] = ()
    format: int = _FORMAT


class Users:
    """Read anew whenever the file has changed, so a removed user is out at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._users: dict[str, User] = {}
        # one at a time: who tries passwords in parallel waits for himself
        self._hashing = ThreadPoolExecutor(1, "passwords")

    def exist(self) -> bool:
        """Whether anybody has to log in. A file with nobody in it counts: nobody may."""
        self._refresh()
        return self._stamp is not None

    def all(self) -> list[User]:
        """By name."""
        self._refresh()
        return sorted(self._users.values(), key=lambda user: user.name)

    def admit(self, identity: Identity) -> Identity | None:
        """The holder of a genuine token with the roles and clients that are his today; None for one who has been removed.

        Where there are no users, a token alone says who somebody is.
        """
        if not self.exist():
            return identity
        user = self._users.get(identity.user)
        return None if user is None else identity.within(user.identity())

    async def login(self, name: str, password: str) -> Identity | None:
        """Who it is, if the password is right. An unknown name takes as long as a wrong password."""
        self._refresh()
        user = self._users.get(name)
        if len(password) > LONGEST_PASSWORD:
            return None
        hashed = user.password if user else _NOBODY
        same = await asyncio.get_running_loop().run_in_executor(self._hashing, hashed.matches, password)
        return user.identity() if user and same else None

    def add(self, name: str, password: str, roles: Iterable[Role], clients: Iterable[str] | None = None) -> None:
        """`clients`: whose things are shown, None for everybody's.

        Raises `UsersError` where the name is taken or cannot be used, or the password is too short.
        """
        wanted = tuple(sorted(set(roles)))
        if not _NAME.fullmatch(name) or name in RESERVED:
            raise UsersError(f"{name!r} cannot be a user's name: letters, digits, . _ @ -, at most 64, none of ours")
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise UsersError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD:,} characters")
        if not wanted:
            raise UsersError("a user has at least one role")
        fresh = Scrypt(base64.b64encode(secrets.token_bytes(16)).decode(), "")
        hashed = replace(fresh, hash=base64.b64encode(_scrypt(password, fresh)).decode())
        with self._changing() as users:
            if name in users:
                raise UsersError(f"there is a user {name} already")
            users[name] = User(name, wanted, hashed, None if clients is None else tuple(sorted(set(clients))))

    def remove(self, name: str) -> None:
        """Raises `UsersError` if there is no such user."""
        with self._changing() as users:
            if users.pop(name, None) is None:
                raise UsersError(f"there is no user {name}")

    def close(self) -> None:
        self._hashing.shutdown()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, User]]:
        """The users to be changed; written whole, or not at all, while no other process writes."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._refresh()
            users = dict(self._users)
            yield users
            text = msgspec.json.format(msgspec.json.encode(_File(tuple(users.values()))), indent=2)
            beside = self._path.with_suffix(".new")
            with os.fdopen(os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as out:
                out.write(text + b"\n")
                out.flush()
                os.fsync(out.fileno())
            beside.replace(self._path)

    def _refresh(self) -> None:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._users = None, {}
            return
        stamp = stat.st_ino, stat.st_mtime_ns, stat.st_size
        if stamp == self._stamp:
            return
        try:
            file = msgspec.json.decode(self._path.read_bytes(), type=_File)
        except msgspec.DecodeError as error:
            raise UsersError(f"{self._path}: {error}") from error
        if file.format > _FORMAT:
            raise UsersError(f"{self._path}: format {file.format} is newer than this program reads (up to {_FORMAT})")
        self._stamp, self._users = stamp, {user.name: user for user in file.users}


def _scrypt(password: str, how: Scrypt) -> bytes:
    given = password.encode("utf-8", "surrogatepass")
    memory = 256 * how.n * how.r
    return hashlib.scrypt(given, salt=base64.b64decode(how.salt), n=how.n, r=how.r, p=how.p, maxmem=memory, dklen=32)


_NOBODY: Final = Scrypt(base64.b64encode(bytes(16)).decode(), base64.b64encode(bytes(32)).decode())
