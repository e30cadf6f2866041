"""From requests to answers: the desk decides, the journal writes, and only then is anything said.

All on one asyncio loop: between two awaits nothing else decides. Only the journal and lookups of keys are awaited.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from app.api.answers import locate_answer, locate_id
from app.api.problems import ProblemError
from app.api.securities import Securities
from app.journal import Journal, JournalError
from app.journal_rows import Answer
from engine.locate_desk import (
    LocateBusyError,
    LocateDesk,
    LocateDeskFullError,
    LocateInvariantError,
    NoSuchLocateError,
    WrongStateError,
)
from engine.locate_judgement import Facts, Inventory
from engine.locates import LIVE, Change, FeedPosition, Locate, LocateRequest, State
from engine.model import Market

log = structlog.get_logger()
LINES_PER_TURN: Final = 50
"""Decisions before others get their turn on the loop: about a millisecond."""
_ENCODE: Final = msgspec.json.Encoder()
_WAYS: Final = dict.fromkeys(LIVE, "granted") | {State.PENDING: "pending"}


class Key(Struct, frozen=True):
    """An Idempotency-Key, whose it is, and the fingerprint of what came with it."""

    scope: str
    key: str
    body_hash: str


class Reply(Struct, frozen=True):
    """An answer as it goes over the wire."""

    status: int
    body: bytes


class Decisions:
    """The one way in. `changed` is called after every change of the desk that will last."""

    def __init__(
        self,
        desk: LocateDesk,
        journal: Journal,
        inventory: Inventory,
        securities: Securities,
        *,
        expires_ns: Callable[[Market, int], int],
        feed_positions: Callable[[], tuple[FeedPosition, ...]],
        clock: Callable[[], int],
        changed: Callable[[Sequence[Change]], None],
    ) -> None:
        self.desk = desk
        self.journal = journal
        self.clock = clock
        self.broken: LocateInvariantError | None = None
        """Set when locates and inventory no longer agree: nothing is decided any more."""
        self._inventory = inventory
        self._securities = securities
        self._expires_ns = expires_ns
        self._feed_positions = feed_positions
        self._changed = changed
        self._in_flight: dict[tuple[str, str], tuple[str, asyncio.Future[Reply]]] = {}
        self._moving: dict[int, asyncio.Future[None]] = {}
        self._ticking = False

    async def submit(self, requests: Sequence[LocateRequest], *, single: bool, key: Key | None) -> Reply:
        """Decide lines. Raises `ProblemError`; then nothing was granted."""
        if key is None:
            return await self._submit(requests, single, None)
        return await self._once(key, lambda: self._submit(requests, single, key))

    async def end(self, sequence: int, state: State, by: str, remark: str) -> Locate:
        """Release or cancel; asking again for what has happened changes nothing. Raises `ProblemError`."""
        while True:
            self._refuse_if_broken()
            try:
                change = self.desk.end(sequence, state, self.clock(), by, remark)
            except LocateBusyError:
                await asyncio.wait([self._moving[sequence]])
            except WrongStateError as error:
                raise ProblemError(409, "conflict", str(error)) from error
            except NoSuchLocateError as error:
                ended = await self._kept(sequence)
                if ended is None:
                    raise ProblemError(404, "not-found", f"no locate {locate_id(sequence)}") from error
                if ended.state != state:
                    raise ProblemError(409, "conflict", f"the locate is {ended.state} already") from error
                return ended
            else:
                await self._record([change], None)
                return change.after

    async def tick(self, now_ns: int) -> None:
        """Expire what is due and try pending requests again. Raises `LocateInvariantError` once the desk is broken."""
        if self.broken:
            raise self.broken
        if self._ticking:
            return
        self._ticking = True
        try:
            self.desk.place()
            if expired := self.desk.expire_due(now_ns):
                await self._record(expired, None)
            if tried := self.desk.retry_pending(now_ns, self._facts("", None)):
                await self._record(tried, None)
        except ProblemError as error:
            log.warning("expiries and pending locates wait", reason=error.detail)
        except LocateInvariantError as error:
            self.broken = error
            raise
        finally:
            self._ticking = False

    async def quiet(self) -> None:
        """Returns once everything decided is written and those who asked have had a turn to answer."""
        while self._moving:
            await asyncio.wait(set(self._moving.values()))
        for _ in range(5):
            await asyncio.sleep(0)

    # parts

    async def _once(self, key: Key, decide: Callable[[], Awaitable[Reply]]) -> Reply:
        """The first answer to a key, whoever asks, however often."""
        name = key.scope, key.key
        if name in self._in_flight:
            body_hash, first = self._in_flight[name]
            _refuse_other_body(key, body_hash)
            return await asyncio.shield(first)
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._in_flight[name] = key.body_hash, reply
        try:
            kept = await self._kept_answer(key)
            reply.set_result(kept or await decide())
        except BaseException as error:
            reply.set_exception(error)
            reply.exception()  # whether or not anybody waits for it
            raise
        finally:
            del self._in_flight[name]
        return reply.result()

    async def _kept_answer(self, key: Key) -> Reply | None:
        try:
            kept = await self.journal.answer(key.scope, key.key)
        except JournalError as error:
            raise _unavailable(error) from error
        if kept is None:
            return None
        _refuse_other_body(key, kept.body_hash)
        return Reply(kept.status, kept.body)

    async def _kept(self, sequence: int) -> Locate | None:
        try:
            return await self.journal.get(sequence)
        except JournalError as error:
            raise _unavailable(error) from error

    async def _submit(self, requests: Sequence[LocateRequest], single: bool, key: Key | None) -> Reply:  # noqa: FBT001
        changes: list[Change] = []
        decided: list[Locate] = []
        try:
            for number, request in enumerate(requests):
                if number and number % LINES_PER_TURN == 0:
                    await asyncio.sleep(0)
                changes += self._decide(request)
                decided.append(changes[-1].after)
        except BaseException:
            for change in reversed(changes):
                self.desk.undo(change)
            raise
        reply = _reply(decided, single)
        answer = None
        if key is not None:
            answer = Answer(key.scope, key.key, key.body_hash, reply.status, reply.body, self.clock())
        await self._record(changes, answer)
        return reply

    def _decide(self, request: LocateRequest) -> list[Change]:
        """The decision, last; before it those on older requests for the same security."""
        self._refuse_if_broken()
        now_ns = self.clock()
        security = self._securities.find(request.security)
        asked_as, expires_ns, fee = request.security, 0, None
        if security:
            code = self._securities.code(security)
            fee = self._securities.fee(security)
            expires_ns = self._expires_ns(self._inventory.market(security), now_ns)
            if code != asked_as:
                request = replace(request, security=code)
        facts = self._facts(asked_as, fee)
        try:
            older = (
                self.desk.retry_pending(now_ns, facts, request.security) if self.desk.waiting(request.security) else []
            )
            return [*older, self.desk.decide(request, now_ns, expires_ns, facts)]
        except LocateDeskFullError as error:
            raise ProblemError(503, "unavailable", str(error)) from error
        except LocateInvariantError as error:
            self.broken = error
            raise

    async def _record(self, changes: Sequence[Change], answer: Answer | None) -> None:
        """Write, then settle; or undo all of it: whether or not the one who waits is still there."""
        written = self.journal.write(changes, answer)
        self._moving.update((change.after.sequence, written) for change in changes)
        written.add_done_callback(lambda _written: self._finish(changes, written.exception()))
        try:
            await asyncio.shield(written)
        except JournalError as error:
            raise _unavailable(error) from error
        if self.broken:
            raise self.broken

    def _finish(self, changes: Sequence[Change], error: BaseException | None) -> None:
        """Called once the journal has said what became of them, before anybody who waits goes on."""
        for change in changes:
            del self._moving[change.after.sequence]
        try:
            if error is None:
                for change in changes:
                    self.desk.settle(change)
                self._changed(changes)
            else:
                for change in reversed(changes):
                    self.desk.undo(change)
        except LocateInvariantError as broken:
            self.broken = broken

    def _facts(self, asked_as: str, fee: int | None) -> Facts:
        return Facts(asked_as, fee, self._feed_positions())

    def _refuse_if_broken(self) -> None:
        if self.broken:
            raise ProblemError(503, "unavailable", "locates and inventory do not agree: the desk has stopped")


def _refuse_other_body(key: Key, body_hash: str) -> None:
    if key.body_hash != body_hash:
        raise ProblemError(422, "key-reused", "this Idempotency-Key came with another request before")


def _unavailable(error: JournalError) -> ProblemError:
    return ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"})


def _reply(decided: Sequence[Locate], single: bool) -> Reply:  # noqa: FBT001
    """200: decided; 202: pending; 207: the lines of a list went different ways (granted, refused, pending)."""
    ways = {_WAYS.get(locate.state, "refused") for locate in decided}
    status = 207 if len(ways) > 1 else 202 if ways == {"pending"} else 200
    answers = [locate_answer(locate) for locate in decided]
    return Reply(status, _ENCODE.encode(answers[0] if single else answers))
