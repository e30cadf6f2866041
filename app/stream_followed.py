"""A board as a reader of the stream follows it."""

from collections.abc import Callable, Sequence

from app.bell import Bell
from app.stream_board import Board
from app.stream_messages import Line, Subscribe
from app.stream_session import LINES


class Followed:
    """`wanted`: which keys are for this reader; `ended` is called once it has gone."""

    def __init__(
        self, board: Board, asked: Subscribe, wanted: Callable[[str], bool], ended: Callable[[], None]
    ) -> None:
        self._board = board
        self._asked = asked
        self._wanted = wanted
        self.end = ended
        self.sequence = 0

    @property
    def epoch(self) -> str:
        return self._board.epoch

    @property
    def changed(self) -> Bell:
        return self._board.changed

    async def begin(self) -> Sequence[Line] | None:
        """What is now; nothing where the board knows what has changed since the reader was here."""
        after = self._asked.after
        if after is not None and self._board.knows(self._asked.epoch, after):
            self.sequence = after
            return None
        self.sequence = self._board.sequence
        if not self._asked.snapshot:
            return None
        return [line for line in self._board.all() if self._wanted(line.key)]

    async def more(self) -> Sequence[Line]:
        """What has changed since; of what changed twice, the newest."""
        found = []
        for line in self._board.since(self.sequence):
            self.sequence = line.sequence
            if self._wanted(line.key):
                found.append(line)
                if len(found) == LINES:
                    break
        return found
