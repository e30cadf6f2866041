"""One reader of the stream: what it follows, and never more than one message on its way to it.

Nothing is queued for a reader: what it has not had stands in the journal or on a board. One that does not take a message in
time is cut off, and goes on later from the last sequence it has.
"""

import asyncio
import datetime as dt
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Protocol

import structlog

from app.bell import Bell, rung
from app.outbox import OutboxError
from app.stream_messages import (
    Delta,
    Ended,
    Heartbeat,
    Line,
    Refused,
    Said,
    Snapshot,
    StreamError,
    Subscribe,
    Topic,
    encode,
)

log = structlog.get_logger()
HEARTBEAT_S: Final = 5.0
SLOW_S: Final = 10.0
"""Who does not take a message in this time is cut off."""
BETWEEN_S: Final = 0.02
"""The least time between two looks: what comes together goes together."""
LINES: Final = 500
"""Of one message."""
_WAITING: Final = 100


class Following(Protocol):
    """One topic as one reader follows it."""

    @property
    def epoch(self) -> str: ...
    @property
    def sequence(self) -> int:
        """Of the last line that was told, or looked at and not meant for this reader."""
        ...

    @property
    def changed(self) -> Bell: ...

    async def begin(self) -> Sequence[Line] | None:
        """The snapshot; None where the reader goes on from where it was. Raises `StreamError` or `OutboxError`."""
        ...

    async def more(self) -> Sequence[Line]:
        """The next lines for this reader, at most `LINES`; none where there are none. Raises `OutboxError`."""
        ...

    def end(self) -> None:
        """It is followed no more."""
        ...


class CutOffError(Exception):
    """The reader is let go. `code`: of the websocket's close."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Session:
    """`send`: gives one message to the socket, done when it is taken; `follow`: how a topic is followed, raises `StreamError`;
    `renew`: raises `CutOffError` once the reader may not read any more; `stale`: whether inputs are late."""

    def __init__(
        self,
        send: Callable[[bytes], Awaitable[None]],
        follow: Callable[[Subscribe], Awaitable[Following]],
        renew: Callable[[], None],
        stale: Callable[[], bool],
    ) -> None:
        self._send_one = send
        self._follow = follow
        self._renew = renew
        self._stale = stale
        self._followed: dict[Topic, Following] = {}
        self._said: deque[Said | StreamError] = deque()
        self._listener = asyncio.Event()
        self._beat_s = time.monotonic()
        self._was_stale = False

    def hear(self, said: Said | StreamError) -> None:
        """What the reader wants, or that it was not understood. Raises `CutOffError` for one that talks too much."""
        if len(self._said) >= _WAITING:
            raise CutOffError(1008, "too many messages at once")
        self._said.append(said)
        self._listener.set()

    async def run(self) -> None:
        """Until it is cut off: raises `CutOffError`."""
        try:
            await self._beat()
            while True:
                await rung(self._listener, max(0.0, self._beat_s + HEARTBEAT_S - time.monotonic()))
                while self._said:
                    await self._obey(self._said.popleft())
                await self._tell()
                if self._stale() != self._was_stale or time.monotonic() >= self._beat_s + HEARTBEAT_S:
                    self._renew()
                    await self._beat()
                await asyncio.sleep(BETWEEN_S)
        finally:
            for topic in list(self._followed):
                self._end(topic)

    # parts

    async def _obey(self, said: Said | StreamError) -> None:
        if isinstance(said, StreamError):
            await self._send(encode(Refused(detail=str(said))))
            return
        if not isinstance(said, Subscribe):
            self._end(said.topic)
            await self._send(encode(Ended(topic=said.topic)))
            return
        try:
            following = await self._follow(said)
            snapshot = await following.begin()
        except StreamError as error:
            await self._send(encode(Refused(detail=str(error), topic=said.topic, code=error.code)))
            return
        except OutboxError as error:
            await self._send(encode(Refused(detail=str(error), topic=said.topic, code="unavailable")))
            return
        self._end(said.topic)
        self._followed[said.topic] = following
        if snapshot is not None:
            async for part in _parts(snapshot):
                message = Snapshot(
                    topic=said.topic,
                    epoch=following.epoch,
                    sequence=following.sequence,
                    lines=part,
                    last=len(part) < LINES,
                )
                await self._send(encode(message))
        following.changed.add(self._listener)

    async def _tell(self) -> None:
        """A message of each topic that has news; where there may be more, the next look is at once."""
        for topic, following in self._followed.items():
            try:
                before, lines = following.sequence, await following.more()
            except OutboxError as error:
                log.warning("a reader of the stream waits", topic=topic, error=str(error))
                continue
            if lines:
                message = Delta(topic=topic, epoch=following.epoch, sequence=following.sequence, lines=list(lines))
                await self._send(encode(message))
            if following.sequence != before:
                self._listener.set()

    async def _beat(self) -> None:
        self._was_stale, self._beat_s = self._stale(), time.monotonic()
        sequences = {topic.value: following.sequence for topic, following in self._followed.items()}
        await self._send(encode(Heartbeat(at=dt.datetime.now(dt.UTC), sequences=sequences, stale=self._was_stale)))

    async def _send(self, message: bytes) -> None:
        taken = asyncio.ensure_future(self._send_one(message))
        taken.add_done_callback(_seen)
        done, _ = await asyncio.wait([taken], timeout=SLOW_S)
        if not done:
            raise CutOffError(1008, f"too slow: a message was not taken in {SLOW_S:.0f} s")
        taken.result()

    def _end(self, topic: Topic) -> None:
        following = self._followed.pop(topic, None)
        if following is not None:
            if all(following.changed is not other.changed for other in self._followed.values()):
                following.changed.remove(self._listener)
            following.end()


async def _parts(lines: Sequence[Line]) -> AsyncIterator[list[Line]]:
    """The lines by `LINES`, the last of them shorter (and there is one, be it empty); others have a turn between them."""
    for at in range(0, len(lines) + 1, LINES):
        yield list(lines[at : at + LINES])
        await asyncio.sleep(0)


def _seen(taken: "asyncio.Future[None]") -> None:
    """Whoever was cut off is not asked why the message was not taken after all."""
    if not taken.cancelled():
        taken.exception()
