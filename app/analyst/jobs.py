"""Heavy reads take turns in one thread, so that the process keeps answering; who comes when too many wait is sent away."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

MOST: Final = 5
"""Jobs at a time: the one that runs, and those that wait for it."""


class BusyError(RuntimeError):
    """Too many wait already."""


class GoneError(RuntimeError):
    """Nobody waits for the answer any more."""


class Jobs:
    """The thread, and how many wait for it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._executor = ThreadPoolExecutor(1, "job")
        self.asked = 0
        """Jobs that run or wait."""
        self.stopping = False

    async def run(self, job: Callable[[], T], wanted: Callable[[], bool] = lambda: True) -> T:
        """What `job` returns, or raises, in the thread. Raises `BusyError`; `GoneError` where its turn comes too late."""
        if self.asked >= self._most:
            raise BusyError(f"{self.asked - 1} requests are waiting already")
        self.asked += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._turn, job, wanted)
        finally:
            self.asked -= 1

    def _turn(self, job: Callable[[], T], wanted: Callable[[], bool]) -> T:
        if self.stopping or not wanted():
            raise GoneError("nobody waits for it any more")
        return job()

    def stop(self) -> None:
        """Begin nothing more. What runs looks at `stopping`, and ends soon."""
        self.stopping = True
        self._executor.shutdown(wait=False, cancel_futures=True)
