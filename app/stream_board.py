"""What is now, by key, with a number for every change: whoever was away for a while gets what has changed since."""

import secrets
from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

from app.bell import Bell
from app.stream_messages import Line

_GONE: Final = 10_000
"""Keys that are no more and still told of; who was away for longer begins with a snapshot."""


class Board:
    """The newest line of each key, in the order of change. Numbers are of this `epoch` only: it ends with the process."""

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(4)
        self.sequence = 0
        self.changed = Bell()
        self._lines: dict[str, Line] = {}
        self._gone: deque[tuple[int, str]] = deque()
        self._floor = 0
        """Of what was gone by then, nothing is known any more."""

    def put(self, key: str, data: bytes) -> None:
        """It is this now; nothing happens where it was this before."""
        before = self._lines.get(key)
        if before is None or before.data is None or bytes(before.data) != data:
            self._set(key, msgspec.Raw(data))

    def remove(self, key: str) -> None:
        """It is no more."""
        before = self._lines.get(key)
        if before is None or before.data is None:
            return
        self._set(key, None)
        self._gone.append((self.sequence, key))
        while len(self._gone) > _GONE:
            self._floor, key = self._gone.popleft()
            line = self._lines.get(key)
            if line is not None and line.sequence == self._floor:
                del self._lines[key]

    def present(self) -> list[str]:
        """Of all that is."""
        return [key for key, line in self._lines.items() if line.data is not None]

    def knows(self, epoch: str, sequence: int) -> bool:
        """Whether all that has changed since that number can be told."""
        return epoch == self.epoch and self._floor <= sequence <= self.sequence

    def since(self, sequence: int) -> list[Line]:
        """What has changed after that number, oldest first; at 0 also what is gone."""
        found = []
        for line in self._newest_first():
            if line.sequence <= sequence:
                break
            found.append(line)
        return found[::-1]

    def all(self) -> list[Line]:
        """What is now."""
        return [line for line in self._lines.values() if line.data is not None]

    def _newest_first(self) -> Iterator[Line]:
        return reversed(self._lines.values())

    def _set(self, key: str, data: msgspec.Raw | None) -> None:
        self.sequence += 1
        self._lines.pop(key, None)  # to the end
        self._lines[key] = Line(self.sequence, key, data)
