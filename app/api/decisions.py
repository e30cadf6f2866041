"""From requests to answers: the desk decides, the journal writes, and only then is anything said.

All on one asyncio loop: between two awaits nothing else decides. Only the journal and lookups of keys are awaited.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog
from msgspec.structs import replace

from app.api.answers import locate_answer, locate_id
from app.api.problems import ProblemError
from app.api.recording import Key, Once, Recorder, Reply, unavailable
from app.api.securities import Securities
from app.journal import Journal, JournalError
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
        self._inventory = inventory
        self._securities = securities
        self._expires_ns = expires_ns
        self._feed_positions = feed_positions
        self._once = Once(journal)
        self._recorder: Recorder[Change] = Recorder(
            desk, journal, named=lambda change: change.after.sequence, changed=changed, invariant=LocateInvariantError
        )
        self._ticking = False

    @property
    def broken(self) -> bool:
        """Whether locates and inventory no longer agree: nothing is decided any more."""
        return self._recorder.broken is not None

    async def submit(self, requests: Sequence[LocateRequest], *, single: bool, key: Key | None, by: str = "") -> Reply:
        """Decide lines; `by`: whose token asks. Raises `ProblemError`; then nothing was granted."""
        return await self._once(key, lambda: self._submit(requests, single, key, by))

    async def end(self, sequence: int, state: State, by: str, remark: str) -> Locate:
        """Release or cancel; asking again for what has happened changes nothing. Raises `ProblemError`."""
        return await self._move(sequence, lambda now_ns: self.desk.end(sequence, state, now_ns, by, remark), state)

    async def decide_by_hand(self, sequence: int, quantity: int | None, by: str, remark: str) -> Locate:
        """A person approves so much of a pending request (None: all of it, 0: rejects it). Raises `ProblemError`."""

        def decided(now_ns: int) -> Change:
            locate = self.desk.get(sequence)
            if quantity != 0:
                self._refuse_own(locate, by)
            facts = Facts(locate.asked_as, locate.fee, self._feed_positions(), by)
            wanted = locate.request.quantity if quantity is None else quantity
            return self.desk.decide_by_hand(sequence, wanted, now_ns, facts, remark)

        return await self._move(sequence, decided, State.REJECTED if quantity == 0 else None)

    async def ask(self, sequence: int, question: str, by: str) -> Locate:
        """A person wants to know more before deciding. Raises `ProblemError`."""
        return await self._move(sequence, lambda now_ns: self.desk.ask(sequence, question, now_ns, by))

    async def _move(self, sequence: int, step: Callable[[int], Change], state: State | None = None) -> Locate:
        """Take a step, on disk before it returns. One that led to `state` before is not an error."""
        while True:
            self._recorder.refuse_if_broken()
            try:
                change = step(self.clock())
            except LocateBusyError:
                await asyncio.wait([self._recorder.moving[sequence]])
            except (WrongStateError, ValueError) as error:
                raise ProblemError(409, "conflict", str(error)) from error
            except NoSuchLocateError as error:
                ended = await self._kept(sequence)
                if ended is None:
                    raise ProblemError(404, "not-found", f"no locate {locate_id(sequence)}") from error
                if ended.state != state:
                    raise ProblemError(409, "conflict", f"the locate is {ended.state} already") from error
                return ended
            else:
                await self._recorder.record([change])
                return change.after

    def _refuse_own(self, locate: Locate, by: str) -> None:
        """Where the market asks for two people, who asked is not the one who approves."""
        security = self._securities.find(locate.request.security)
        if (
            security
            and self._inventory.market(security).two_people
            and by in (locate.created_by, locate.request.requested_by)
        ):
            raise ProblemError(403, "forbidden", "this market asks for a second person: who asked cannot approve")

    async def tick(self, now_ns: int) -> None:
        """Expire what is due and try pending requests again. Raises `LocateInvariantError` once the desk is broken."""
        if self._recorder.broken:
            raise self._recorder.broken
        if self._ticking:
            return
        self._ticking = True
        try:
            self.desk.place()
            if expired := self.desk.expire_due(now_ns):
                await self._recorder.record(expired)
            if tried := self.desk.retry_pending(now_ns, self._facts("", None)):
                await self._recorder.record(tried)
        except ProblemError as error:
            log.warning("expiries and pending locates wait", reason=error.detail)
        except LocateInvariantError as error:
            self._recorder.broken = error
            raise
        finally:
            self._ticking = False

    async def quiet(self) -> None:
        """Returns once everything decided is written and those who asked have had a turn to answer."""
        await self._recorder.quiet()

    # parts

    async def _kept(self, sequence: int) -> Locate | None:
        try:
            return await self.journal.get(sequence)
        except JournalError as error:
            raise unavailable(error) from error

    async def _submit(self, requests: Sequence[LocateRequest], single: bool, key: Key | None, by: str) -> Reply:  # noqa: FBT001
        changes: list[Change] = []
        decided: list[Locate] = []
        try:
            for number, request in enumerate(requests):
                if number and number % LINES_PER_TURN == 0:
                    await asyncio.sleep(0)
                changes += self._decide(request, by)
                decided.append(changes[-1].after)
        except BaseException:
            for change in reversed(changes):
                self.desk.undo(change)
            raise
        reply = _reply(decided, single)
        await self._recorder.record(changes, reply.kept_under(key, self.clock()))
        return reply

    def _decide(self, request: LocateRequest, by: str) -> list[Change]:
        """The decision, last; before it those on older requests for the same security."""
        self._recorder.refuse_if_broken()
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
            return [*older, self.desk.decide(request, now_ns, expires_ns, replace(facts, created_by=by))]
        except LocateDeskFullError as error:
            raise ProblemError(503, "unavailable", str(error)) from error
        except LocateInvariantError as error:
            self._recorder.broken = error
            raise

    def _facts(self, asked_as: str, fee: int | None) -> Facts:
        return Facts(asked_as, fee, self._feed_positions())


def _reply(decided: Sequence[Locate], single: bool) -> Reply:  # noqa: FBT001
    """200: decided; 202: pending; 207: the lines of a list went different ways (granted, refused, pending)."""
    ways = {_WAYS.get(locate.state, "refused") for locate in decided}
    status = 207 if len(ways) > 1 else 202 if ways == {"pending"} else 200
    answers = [locate_answer(locate) for locate in decided]
    return Reply(status, _ENCODE.encode(answers[0] if single else answers))
