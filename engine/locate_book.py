"""Open locates by number, by what they wait for, by whose they are, and by when they end."""

import heapq
from collections.abc import Collection, Iterable, Iterator

from engine.locate_queue import LocateQueue
from engine.locates import Locate, LocateType, State


class LocateBook:
    """As they are shown: an opening at once, an end only when it is kept."""

    def __init__(self) -> None:
        self.queue = LocateQueue()
        self.live_count = 0
        self._open: dict[int, Locate] = {}
        self._live_of: dict[tuple[str, str, LocateType], set[int]] = {}
        """Live locates by code, client and type."""
        self.shrunk: set[int] = set()
        """Live locates that hold less than by their ratio: their market closes soon."""
        self._expiry: list[tuple[int, int]] = []
        self._nearing: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Locate]:
        return iter(self._open.values())

    def get(self, sequence: int) -> Locate | None:
        """None unless it is open."""
        return self._open.get(sequence)

    def live_of(self, codes: Iterable[str], client: str, kind: LocateType) -> list[Locate]:
        """A client's live locates on these codes; oldest first."""
        numbers = sorted(n for code in codes for n in self._live_of.get((code, client, kind), ()))
        return [self._open[number] for number in numbers]

    def show(self, before: Locate | None, after: Locate | None) -> None:
        """A locate is another one from now on, comes in (`before`: None), or goes (`after`: None)."""
        if before is not None:
            del self._open[before.sequence]
            self._unfile(before)
        if after is not None:
            self._open[after.sequence] = after
            self._file(after)

    def watch(self, locate: Locate) -> None:
        """Its time will come."""
        entry = locate.expires_ns, locate.sequence
        heapq.heappush(self._expiry, entry)
        heapq.heappush(self._nearing, entry)

    def due(self, now_ns: int, most: int, later: Collection[int]) -> list[int]:
        """Numbers of those whose time has come, oldest first; each is told once, but those of `later` again."""
        due: dict[int, None] = {}
        again: list[tuple[int, int]] = []
        while self._expiry and self._expiry[0][0] <= now_ns and len(due) < most:
            entry = heapq.heappop(self._expiry)
            locate = self._open.get(entry[1])
            if entry[1] in later:
                again.append(entry)
            elif locate is not None and locate.expires_ns <= now_ns:  # else it ends later, or has
                due[entry[1]] = None
        for entry in again:
            heapq.heappush(self._expiry, entry)
        return list(due)

    def nearing(self, until_ns: int, most: int) -> list[Locate]:
        """Live locates that expire until then; each is told once."""
        found: list[Locate] = []
        while self._nearing and self._nearing[0][0] <= until_ns and len(found) < most:
            locate = self._open.get(heapq.heappop(self._nearing)[1])
            if locate is not None and locate.live:
                found.append(locate)
        return found

    # parts

    def _file(self, locate: Locate) -> None:
        if locate.state == State.PENDING:
            self.queue.add(locate)
        elif locate.live:
            self.live_count += 1
            self._live_of.setdefault(_place(locate), set()).add(locate.sequence)
            if locate.decrement < locate.full:
                self.shrunk.add(locate.sequence)

    def _unfile(self, locate: Locate) -> None:
        if locate.state == State.PENDING:
            self.queue.remove(locate)
        elif locate.live:
            self.live_count -= 1
            self.shrunk.discard(locate.sequence)
            place = _place(locate)
            self._live_of[place].remove(locate.sequence)
            if not self._live_of[place]:
                del self._live_of[place]


def _place(locate: Locate) -> tuple[str, str, LocateType]:
    return locate.request.security, locate.request.client, locate.request.type
