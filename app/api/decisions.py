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

from app.api.answers import locate_answer
from app.api.closing import Closing
from app.api.naming import Naming, UnusableError, every
from app.api.problems import ProblemError
from app.api.recording import Key, Once, Recorder, Reply, unavailable
from app.api.securities import Securities
from app.journal import Journal, JournalError
from app.journal_rows import AnyChange
from engine.locate_desk import (
    LocateBusyError,
    LocateDesk,
    LocateDeskFullError,
    LocateInvariantError,
    NoSuchLocateError,
    WrongStateError,
)
from engine.locate_judgement import Facts, Inventory, Outcome
from engine.locate_usage import LocateUsage
from engine.locates import ENDED_EARLY, LIVE, Change, FeedPosition, Locate, LocateRequest, State, locate_id

log = structlog.get_logger()
LINES_PER_TURN: Final = 50
"""Decisions before others get their turn on the loop: about a millisecond."""
_ENCODE: Final = msgspec.json.Encoder()
_WAYS: Final = dict.fromkeys(LIVE, "granted") | {State.PENDING: "pending"}


class Line(Struct, frozen=True):
    """A request that can be decided: under our own code, where its security is known; `expires_ns`: 0 where it is not."""

    request: LocateRequest
    asked_as: str
    expires_ns: int


class Decisions:
    """The one way in. `expires`: when markets close; `recorder`: what writes changes of both desks down."""

    def __init__(
        self,
        desk: LocateDesk,
        usage: LocateUsage,
        journal: Journal,
        recorder: Recorder[AnyChange],
        inventory: Inventory,
        securities: Securities,
        naming: Naming,
        *,
        expires: Closing,
        feed_positions: Callable[[], tuple[FeedPosition, ...]],
        clock: Callable[[], int],
    ) -> None:
        self.desk = desk
        self.journal = journal
        self.clock = clock
        self._usage = usage
        self._inventory = inventory
        self._securities = securities
        self._naming = naming
        self._expires = expires
        self._feed_positions = feed_positions
        self._once = Once(journal)
        self._recorder = recorder
        self._ticking = False

    @property
    def broken(self) -> bool:
        """Whether locates and inventory no longer agree: nothing is decided any more."""
        return self._recorder.broken is not None

    async def submit(self, requests: Sequence[LocateRequest], *, single: bool, key: Key | None, by: str = "") -> Reply:
        """Decide lines; `by`: whose token asks. Raises `ProblemError`; then nothing was granted."""
        return await self._once(key, lambda: self._submit(requests, single, key, by))

    async def quote(self, requests: Sequence[LocateRequest], *, single: bool) -> list[tuple[Line, Outcome]]:
        """What would be decided on each line now, alone; nothing is held or written. Raises `ProblemError`."""
        self._recorder.refuse_if_broken()
        now_ns = self.clock()
        lines = every(requests, lambda request: self._line(request, now_ns), single=single)
        quoted: list[tuple[Line, Outcome]] = []
        for number, line in enumerate(lines):
            if number and number % LINES_PER_TURN == 0:
                await asyncio.sleep(0)
            quoted.append((line, self.desk.quote(line.request, now_ns, self._facts(line.asked_as))))
        return quoted

    async def once(self, key: Key, take: Callable[[], Awaitable[Locate]]) -> Reply:
        """The first answer to a key; `take` steps under it. Raises `ProblemError`."""

        async def taken() -> Reply:
            return _stepped(await take())

        return await self._once(key, taken)

    async def once_for_many(self, key: Key, take: Callable[[], Awaitable[Reply]]) -> Reply:
        """The first answer to a key; what `take` did is written down when it answers, and the answer after it."""

        async def taken() -> Reply:
            reply = await take()
            await self._recorder.record([], reply.kept_under(key, self.clock()))
            return reply

        return await self._once(key, taken)

    async def end(self, sequence: int, state: State, by: str, remark: str, key: Key | None = None) -> Locate:
        """Release or cancel; asking again for what has happened changes nothing. Raises `ProblemError`."""

        def ended(now_ns: int) -> Change:
            if state in ENDED_EARLY:
                self._usage.refuse_needed(sequence)
            return self.desk.end(sequence, state, now_ns, by, remark)

        return await self._move(sequence, ended, state, key)

    async def decide_by_hand(
        self, sequence: int, quantity: int | None, by: str, remark: str, key: Key | None = None
    ) -> Locate:
        """A person approves so much of a pending request (None: all of it, 0: rejects it). Raises `ProblemError`."""

        def decided(now_ns: int) -> Change:
            locate = self.desk.get(sequence)
            if quantity != 0:
                self._refuse_own(locate, by)
            facts = replace(self._facts(locate.asked_as), decided_by=by)
            wanted = locate.request.quantity if quantity is None else quantity
            return self.desk.decide_by_hand(sequence, wanted, now_ns, facts, remark)

        return await self._move(sequence, decided, State.REJECTED if quantity == 0 else None, key)

    async def ask(self, sequence: int, question: str, by: str, key: Key | None = None) -> Locate:
        """A person wants to know more before deciding. Raises `ProblemError`."""
        return await self._move(sequence, lambda now_ns: self.desk.ask(sequence, question, now_ns, by), None, key)

    async def _move(self, sequence: int, step: Callable[[int], Change], state: State | None, key: Key | None) -> Locate:
        """Take a step, on disk with its answer before it returns. One that led to `state` before is not an error."""
        while True:
            self._recorder.refuse_if_broken()
            try:
                change = step(self.clock())
            except LocateBusyError as busy:
                await self._recorder.wait(busy.args[0])
            except (WrongStateError, ValueError) as error:
                if (locate := self.desk.get(sequence)).state == state:
                    return locate  # ended before, and holding what it must until the market closes
                raise ProblemError(409, "conflict", str(error)) from error
            except NoSuchLocateError as error:
                ended = await self._kept(sequence)
                if ended is None:
                    raise ProblemError(404, "not-found", f"no locate {locate_id(sequence)}") from error
                if ended.state != state:
                    raise ProblemError(409, "conflict", f"the locate is {ended.state} already") from error
                return ended
            else:
                answer = None if key is None else _stepped(change.after).kept_under(key, self.clock())
                await self._recorder.record([change], answer)
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
        """Expire what is due, try pending requests again, and let locates shrink where a market closes soon.

        Raises an invariant error once the desks are broken.
        """
        if self._recorder.broken:
            raise self._recorder.broken
        if self._ticking:
            return
        self._ticking = True
        try:
            self.desk.place()
            if expired := self.desk.expire_due(now_ns):
                await self._recorder.record(expired)
            if tried := self.desk.retry_pending(now_ns, self._facts()):
                await self._recorder.record(tried)
            await self._shrink(now_ns)
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

    async def _shrink(self, now_ns: int) -> None:
        if not (changes := self._usage.near_close(now_ns)):
            return
        try:
            await self._recorder.record(changes)
        except ProblemError:
            self._usage.again(changes)
            raise

    async def _submit(self, requests: Sequence[LocateRequest], single: bool, key: Key | None, by: str) -> Reply:  # noqa: FBT001
        now_ns = self.clock()
        lines = every(requests, lambda request: self._line(request, now_ns), single=single)
        changes: list[Change] = []
        decided: list[Locate] = []
        try:
            for number, line in enumerate(lines):
                if number and number % LINES_PER_TURN == 0:
                    await asyncio.sleep(0)
                self._decide(line, by, changes)
                decided.append(changes[-1].after)
        except BaseException:
            for change in reversed(changes):
                self.desk.undo(change)
            raise
        reply = _reply(decided, single)
        await self._recorder.record(changes, reply.kept_under(key, self.clock()))
        return reply

    def _line(self, request: LocateRequest, now_ns: int) -> Line:
        """Raises `UnusableError`; a `ProblemError` where nobody can say yet whether there is such a security."""
        if request.minimum_quantity > request.quantity:
            raise UnusableError("minimum_quantity", "more than is asked for")
        security, code = self._naming.find(request)
        own = request if code == request.security else replace(request, security=code)
        if not security:
            if not self._securities.all_known:
                detail = f"{request.security} is not known yet: not all that existed at start has been applied"
                raise ProblemError(503, "unavailable", detail, headers={"Retry-After": "1"})
            return Line(own, request.security, 0)
        market = self._inventory.market(security)
        if request.good_for is None:
            return Line(own, request.security, self._expires(market, now_ns))
        try:
            return Line(own, request.security, self._expires.on(market, request.good_for, now_ns))
        except ValueError as error:
            raise UnusableError("good_for", str(error)) from error

    def _decide(self, line: Line, by: str, changes: list[Change]) -> None:
        """Adds the decision; before it those on older requests for the same security."""
        self._recorder.refuse_if_broken()
        now_ns, request, facts = self.clock(), line.request, self._facts(line.asked_as)
        try:
            if self.desk.waiting(request.security):
                changes += self.desk.retry_pending(now_ns, facts, request.security)
            changes.append(self.desk.decide(request, now_ns, line.expires_ns, replace(facts, created_by=by)))
        except LocateDeskFullError as error:
            raise ProblemError(503, "unavailable", str(error)) from error
        except LocateInvariantError as error:
            self._recorder.broken = error
            raise

    def _facts(self, asked_as: str = "") -> Facts:
        return Facts(asked_as, self._feed_positions())


def _stepped(locate: Locate) -> Reply:
    return Reply(200, _ENCODE.encode(locate_answer(locate)))


def _reply(decided: Sequence[Locate], single: bool) -> Reply:  # noqa: FBT001
    """200: decided; 202: pending; 207: the lines of a list went different ways (granted, refused, pending)."""
    ways = {_WAYS.get(locate.state, "refused") for locate in decided}
    status = 207 if len(ways) > 1 else 202 if ways == {"pending"} else 200
    answers = [locate_answer(locate) for locate in decided]
    return Reply(status, _ENCODE.encode(answers[0] if single else answers))
