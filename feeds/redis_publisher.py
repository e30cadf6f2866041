"""Changed inventory to Redis: one hash per security, and one message per batch of securities that changed.

The hash `ims:inventory:CODE` holds one field per number; the message on `ims.inventory` is a JSON list of the codes
whose hashes have just been written. Only the newest row of a security is kept, so a slow or absent Redis costs memory
for one row per security and never holds the writer up. Redis may come back empty: after every new connection all is
written again.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import redis.asyncio as aioredis
import structlog
from numpy.typing import NDArray
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

CHANNEL: Final = "ims.inventory"
KEY: Final = "ims:inventory:"
INTERVAL_S: Final = 0.1
"""The least time between two flushes: what changes more often is sent once."""
BATCH: Final = 64
"""Securities in one pipeline and one message: packed while the loop can do nothing else: 1 to 7 ms."""
_REST: Final = 4
"""A flush that took t rests for this many t: in the writer's process it takes a fifth of a core at most."""
_LONGEST_WAIT_S: Final = 5.0
_FAREWELL_S: Final = 1.0

log = structlog.get_logger()


class RedisPublisher:
    """`offer` rows from the loop's thread; `run` writes the newest of each security. Counts securities.

    published: hashes written. failed: hashes that a failed attempt left unwritten; they are tried again.
    """

    def __init__(self, url: str, fields: Sequence[str]) -> None:
        """`fields` names the columns of the rows to come. Raises `ValueError` for a URL that is none of Redis."""
        self.published = 0
        self.failed = 0
        self._fields = [name.encode() for name in fields]
        self._codes: list[str] = []
        self._slots: dict[str, int] = {}
        self._rows = np.zeros((0, len(fields)), np.int64)
        self._sent = np.zeros((0, len(fields)), np.int64)
        self._known = np.zeros(0, np.bool_)  # whether Redis holds the row of `_sent`
        self._changed = np.zeros(0, np.bool_)
        self._connections = 0
        self._client = aioredis.Redis.from_url(
            url,
            socket_connect_timeout=2,
            socket_timeout=5,
            # a retry of redis-py's own would hide that the connection, and with it perhaps the data, is new
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=self._connected,
            max_connections=1,
        )

    def offer(self, codes: Sequence[str], rows: NDArray[np.int64]) -> None:
        """The newest rows[security, field] of `codes`, copied. Raises `ValueError` for another shape."""
        if rows.shape != (len(codes), len(self._fields)):
            raise ValueError(f"rows: {rows.shape} instead of {(len(codes), len(self._fields))}")
        slots = [self._slots.get(code, -1) for code in codes]
        if -1 in slots:
            slots = [self._slot(code) for code in codes]
        self._rows[slots] = rows
        self._changed[slots] = True

    @property
    def waiting(self) -> int:
        """Securities whose newest row has not been written yet."""
        return int(np.count_nonzero(self._changed))

    async def run(self) -> None:
        """Write until cancelled; then write what is left, if Redis takes it within a second."""
        try:
            await self._run()
        finally:
            try:
                await asyncio.wait_for(self._flush(), _FAREWELL_S)
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("redis: last rows not written", securities=self.waiting, error=str(error))
            await self._client.aclose()

    async def _run(self) -> None:
        wait_s, down, task = INTERVAL_S, False, asyncio.current_task()
        # the client may lose a cancellation that comes just as it has written; the task knows of it
        while task is None or not task.cancelling():
            await asyncio.sleep(wait_s)
            began = time.monotonic()
            try:
                await self._flush()
            except (RedisError, OSError, TimeoutError) as error:
                self.failed += self.waiting
                if not down:
                    log.warning("redis: not writing", error=str(error), waiting=self.waiting)
                down, wait_s = True, min(wait_s * 2, _LONGEST_WAIT_S)
            else:
                if down:
                    log.info("redis: writing again", failed=self.failed)
                down, wait_s = False, max(INTERVAL_S, _REST * (time.monotonic() - began))

    async def _flush(self) -> None:
        """Write every row that has changed; those that fail stay changed, and the error is raised."""
        await self._client.ping()  # a new connection is made here, and a restarted Redis noticed in a quiet market too
        slots = np.flatnonzero(self._changed)
        for first in range(0, slots.size, BATCH):
            await self._write(slots[first : first + BATCH])

    async def _write(self, slots: NDArray[np.intp]) -> None:
        rows, connection = self._rows[slots], self._connections
        self._changed[slots] = False
        differs = (rows != self._sent[slots]) | ~self._known[slots, None]
        codes: list[str] = []
        async with self._client.pipeline(transaction=False) as pipe:
            for slot, row, fields in zip(slots.tolist(), rows.tolist(), differs, strict=True):
                items: list[Any] = []
                for field in np.flatnonzero(fields).tolist():
                    items += (self._fields[field], row[field])
                if items:
                    codes.append(self._codes[slot])
                    pipe.hset(KEY + self._codes[slot], items=items)
            if not codes:
                return
            pipe.publish(CHANNEL, msgspec.json.encode(codes))
            try:
                await pipe.execute()
            except BaseException:
                self._changed[slots] = True
                self._known[slots] = False  # part of it may have been written
                raise
        self.published += len(codes)
        if connection == self._connections:
            self._sent[slots] = rows
            self._known[slots] = True

    async def _connected(self, connection: aioredis.Connection) -> None:
        """A new connection: what Redis holds now is unknown."""
        await connection.on_connect()
        self._connections += 1
        self._known[:] = False
        self._changed[: len(self._codes)] = True

    def _slot(self, code: str) -> int:
        """The place of a security, found or made."""
        slot = self._slots.setdefault(code, len(self._codes))
        if slot == len(self._codes):
            self._codes.append(code)
            if slot == len(self._rows):
                more = max(1024, slot)
                self._rows = np.pad(self._rows, ((0, more), (0, 0)))
                self._sent = np.pad(self._sent, ((0, more), (0, 0)))
                self._known = np.pad(self._known, (0, more))
                self._changed = np.pad(self._changed, (0, more))
        return slot
