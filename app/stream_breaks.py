"""Breaks as the stream tells them: what the process of breaks knows, asked for while somebody follows."""

from typing import Final

from app.breaks.client import BreaksAwayError, BreaksClient
from app.stream_board import Board
from app.stream_followed import Followed
from app.stream_messages import StreamError, Subscribe

_NOTHING: Final = b"null"


class BreaksBoard:
    """A copy of the board of another process, under numbers of its own: readers outlive that process."""

    def __init__(self, client: BreaksClient) -> None:
        self.board = Board()
        self._client = client
        self._followers = 0
        self._epoch = ""
        self._sequence = 0

    async def follow(self, asked: Subscribe) -> Followed:
        """Asks first. Raises `StreamError`."""
        if any(each is not None for each in (asked.clients, asked.aggregation_units, asked.securities, asked.markets)):
            raise StreamError("breaks are followed all together")
        try:
            await self._ask()
        except BreaksAwayError as error:
            raise StreamError(f"{error}; ask again") from error
        self._followers += 1

        def end() -> None:
            self._followers -= 1

        return Followed(self.board, asked, lambda _key: True, end)

    async def turn(self) -> None:
        """Ask what has changed. While nobody answers, what was known stays."""
        if self._followers:
            try:
                await self._ask()
            except BreaksAwayError:
                return

    async def _ask(self) -> None:
        changed = await self._client.changes(self._epoch, self._sequence)
        before = self.board.sequence
        if changed.whole:
            present = {line.key for line in changed.lines}
            for key in self.board.present():
                if key not in present:
                    self.board.remove(key)
        for line in changed.lines:
            if bytes(line.data) == _NOTHING:
                self.board.remove(line.key)
            else:
                self.board.put(line.key, bytes(line.data))
        self._epoch, self._sequence = changed.epoch, changed.sequence
        if self.board.sequence != before:
            self.board.changed.ring()
