"""Logins that were ended before their time, kept in a file: another page process must not take up what one has let go."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

FILE: Final = "ended-logins.jsonl"
_LONGEST: Final = 10_000
"""Lines after which the file is written anew, without those whose time is over."""


class _Ended(msgspec.Struct, frozen=True):
    """A login that is over, and until when a cookie would still speak for it, in seconds since 1970."""

    session: str
    expires_s: float


class EndedLogins:
    """One page process at a time writes; `clock` gives seconds since 1970. Raises OSError where the file cannot be read."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path, self._clock = path, clock
        self._expires_s: dict[str, float] = {}
        self._lines = 0
        for line in path.read_bytes().splitlines() if path.exists() else ():
            self._lines += 1
            try:
                ended = msgspec.json.decode(line, type=_Ended)
            except (
                msgspec.DecodeError
            ):  # the last line of one who was killed while he wrote: that sign-out was never answered
                continue
            self._expires_s[ended.session] = ended.expires_s

    def __contains__(self, session: str) -> bool:
        return session in self._expires_s

    def add(self, session: str, expires_s: float) -> None:
        """Written down before it returns. Raises OSError."""
        self._expires_s[session] = expires_s
        if self._lines >= _LONGEST:
            self._write_anew()
            return
        with self._path.open("ab") as file:
            file.write(b"\n" + _line(session, expires_s))  # a torn line before it is a line of its own
        self._lines += 2

    def _write_anew(self) -> None:
        now_s = self._clock()
        self._expires_s = {session: until for session, until in self._expires_s.items() if until > now_s}
        beside = self._path.with_suffix(".new")
        beside.write_bytes(b"\n".join(_line(*each) for each in self._expires_s.items()))
        beside.replace(self._path)
        self._lines = len(self._expires_s)


def _line(session: str, expires_s: float) -> bytes:
    return msgspec.json.encode(_Ended(session, expires_s))
