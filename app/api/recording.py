"""What all decisions have in common: a key is answered once, and a change is on disk before it is answered.

All on one asyncio loop: between two awaits nothing else decides. Only the journal and lookups of keys are awaited.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from app.api.problems import ProblemError
from app.journal import Journal, JournalError
from app.journal_rows import Answer, AnyChange

C = TypeVar("C", bound=AnyChange)
C_contra = TypeVar("C_contra", bound=AnyChange, contravariant=True)


class Key(Struct, frozen=True):
    """An Idempotency-Key, whose it is, and the fingerprint of what came with it."""

    scope: str
    key: str
    body_hash: str


class Reply(Struct, frozen=True):
    """An answer as it goes over the wire."""

    status: int
    body: bytes

    def kept_under(self, key: Key | None, now_ns: int) -> Answer | None:
        """The answer as the journal keeps it."""
        return None if key is None else Answer(key.scope, key.key, key.body_hash, self.status, self.body, now_ns)


class Once:
    """The first answer to a key, whoever asks, however often."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._in_flight: dict[tuple[str, str], str] = {}
        """Hashes of the bodies of requests that are being answered."""

    async def __call__(self, key: Key | None, decide: Callable[[], Awaitable[Reply]]) -> Reply:
        """Raises `ProblemError` where the key came with another body, or its first request is still being answered."""
        if key is None:
            return await decide()
        name = key.scope, key.key
        if name in self._in_flight:
            _refuse_other_body(key, self._in_flight[name])
            wait = {"Retry-After": "1"}
            raise ProblemError(409, "key-in-flight", "the first request with this key is being answered", headers=wait)
        self._in_flight[name] = key.body_hash
        try:
            return await self._kept_answer(key) or await decide()
        finally:
            del self._in_flight[name]

    async def _kept_answer(self, key: Key) -> Reply | None:
        try:
            kept = await self._journal.answer(key.scope, key.key)
        except JournalError as error:
            raise unavailable(error) from error
        if kept is None:
            return None
        _refuse_other_body(key, kept.body_hash)
        return Reply(kept.status, kept.body)


class Desk(Protocol[C_contra]):
    """Where a change has its effect."""

    def settle(self, change: C_contra) -> None: ...
    def undo(self, change: C_contra) -> None: ...


class Written:
    """What becomes of changes, for all who wait for it: any of them may give up, and the others wait on."""

    __slots__ = ("_waiting", "done", "error")

    def __init__(self) -> None:
        self.done = False
        self.error: JournalError | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def tell(self, error: JournalError | None) -> None:
        """They are on disk, or could not be written."""
        self.done, self.error = True, error
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def wait(self) -> None:
        """Returns once it is told."""
        if not self.done:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            await waiting


class Recorder(Generic[C]):
    """Writes changes, then settles them; or undoes all of them, whether or not the one who waits is still there.

    `named`: the name under which others wait for a thing that moves; `changed` is called with what will last; `invariant`: the
    errors after which nothing may be decided any more.
    """

    def __init__(
        self,
        desk: Desk[C],
        journal: Journal,
        *,
        named: Callable[[C], Hashable],
        changed: Callable[[Sequence[C]], None],
        invariant: type[Exception] | tuple[type[Exception], ...],
    ) -> None:
        self.broken: Exception | None = None
        """Set when the desk no longer agrees with the inventory: nothing is decided any more."""
        self.moving: dict[Hashable, Written] = {}
        """What is being written."""
        self._desk = desk
        self._journal = journal
        self._named = named
        self._changed = changed
        self._invariant = invariant

    async def record(self, changes: Sequence[C], answer: Answer | None = None) -> None:
        """Raises a `ProblemError` where nothing of it could be kept, or the desk's invariant error."""
        written = Written()
        for change in changes:
            self.moving[self._named(change)] = written
        self._journal.hand_over(changes, answer, lambda error: self._finish(changes, written, error))
        await written.wait()
        if written.error:
            raise unavailable(written.error) from written.error
        if self.broken:
            raise self.broken

    async def wait(self, name: Hashable) -> None:
        """Until a change of it is settled, or once round the loop where it is not being written yet."""
        written = self.moving.get(name)
        await (asyncio.sleep(0) if written is None else written.wait())

    async def quiet(self) -> None:
        """Returns once everything decided is written and those who asked have had a turn to answer."""
        while self.moving:
            await next(iter(self.moving.values())).wait()
        for _ in range(5):
            await asyncio.sleep(0)

    def refuse_if_broken(self) -> None:
        """Raises a `ProblemError`."""
        if self.broken:
            raise ProblemError(503, "unavailable", "decisions and inventory do not agree: the desk has stopped")

    def _finish(self, changes: Sequence[C], written: Written, error: JournalError | None) -> None:
        """Called once the journal has said what became of them, before anybody who waits goes on."""
        for change in changes:
            del self.moving[self._named(change)]
        try:
            if error is None:
                for change in changes:
                    self._desk.settle(change)
                self._changed(changes)
            else:
                for change in reversed(changes):
                    self._desk.undo(change)
        except self._invariant as broken:
            self.broken = broken
        finally:
            written.tell(error)


def unavailable(error: JournalError) -> ProblemError:
    """It could not be written down and has not happened."""
    return ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"})


def _refuse_other_body(key: Key, body_hash: str) -> None:
    if key.body_hash != body_hash:
        raise ProblemError(422, "key-reused", "this Idempotency-Key came with another request before")
