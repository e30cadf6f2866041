"""Sell orders from request to answer: the desk decides, the journal writes, and only then is anything said."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog
from msgspec.structs import replace

from app.api.closing import Closing
from app.api.naming import Found, Naming, every
from app.api.order_answers import order_answer
from app.api.problems import Fault, ProblemError, pointer
from app.api.recording import Key, Once, Recorder, Reply, Written, unavailable
from app.api.securities import Securities
from app.identity import Identity
from app.journal import Journal, JournalError
from app.journal_rows import AnyChange
from engine.locate_desk import LocateBusyError
from engine.locate_usage import LocateUsage
from engine.locates import Change
from engine.order_desk import (
    NoSuchOrderError,
    OrderBusyError,
    OrderDesk,
    OrderDeskFullError,
    OrderInvariantError,
    WrongOrderStateError,
)
from engine.orders import Order, OrderChange, OrderRequest, OrderState

log = structlog.get_logger()
LINES_PER_TURN: Final = 50
_ENCODE: Final = msgspec.json.Encoder()
Step = Callable[[LocateUsage, int], tuple[OrderChange, list[Change]]]
"""What to do with an order, at what time: its change, and those of the locates that it uses up."""
Late = Callable[[OrderDesk, Order, int], OrderChange]
"""What to do with one whose day is over, as the journal has it, at what time."""


class OrderDecisions:
    """The one way in. `expires`: when the day of a market's orders ends; `recorder`: what writes both desks' changes down."""

    def __init__(
        self,
        desk: OrderDesk,
        usage: LocateUsage,
        journal: Journal,
        recorder: Recorder[AnyChange],
        securities: Securities,
        naming: Naming,
        *,
        expires: Closing,
        clock: Callable[[], int],
    ) -> None:
        self.desk = desk
        self.journal = journal
        self.clock = clock
        self._usage = usage
        self._securities = securities
        self._naming = naming
        self._expires = expires
        self._once = Once(journal)
        self._asking: dict[str, Written] = {}
        self._recorder = recorder

    @property
    def broken(self) -> bool:
        """Whether orders and inventory no longer agree: nothing is decided any more."""
        return self._recorder.broken is not None

    async def submit(
        self, requests: Sequence[OrderRequest], received_ns: int, *, single: bool, key: Key | None, who: Identity
    ) -> Reply:
        """Decide lines for `who`; an id that was decided before gets its first answer.

        Raises `ProblemError`: then nothing was taken.
        """
        _refuse_repeated(requests)
        return await self._once(key, lambda: self._submit(requests, received_ns, single, key, who))

    async def moved(self, order: str, step: Step, who: Identity, key: Key | None, late: Late | None = None) -> Reply:
        """Amend, execute or cancel; the same key gets the first answer. `late`: what to do where its day is over. Raises
        `ProblemError`."""
        return await self._once(key, lambda: self._moved(order, step, who, key, late))

    async def find(self, order: str) -> Order:
        """The order as it was last written down. Raises a 404."""
        try:
            kept = await self.journal.order(order)
        except JournalError as error:
            raise unavailable(error) from error
        if kept is None:
            raise ProblemError(404, "not-found", f"no order {order}")
        return kept

    async def tick(self, now_ns: int) -> None:
        """End the orders whose day is over. Raises `OrderInvariantError` once the desk is broken."""
        if self._recorder.broken:
            raise self._recorder.broken
        try:
            self.desk.place()
            if due := self.desk.expire_due(now_ns):
                await self._recorder.record(due)
        except ProblemError as error:
            log.warning("orders whose day is over wait", reason=error.detail)
        except OrderInvariantError as error:
            self._recorder.broken = error
            raise

    async def quiet(self) -> None:
        """Returns once everything decided is written and those who asked have had a turn to answer."""
        await self._recorder.quiet()

    # parts

    async def _moved(self, order: str, step: Step, who: Identity, key: Key | None, late: Late | None) -> Reply:
        ended: Order | None = None
        while True:
            self._recorder.refuse_if_broken()
            try:
                if ended is None or late is None:
                    change, used = step(self._usage, self.clock())
                else:
                    change, used = late(self.desk, ended, self.clock()), []
            except (OrderBusyError, LocateBusyError) as busy:
                await self._recorder.wait(busy.args[0])
            except WrongOrderStateError as error:
                raise ProblemError(409, "conflict", str(error)) from error
            except NoSuchOrderError as error:
                ended = await self.find(order)
                if late is None or ended.state != OrderState.EXPIRED:
                    raise ProblemError(409, "conflict", f"the order is {ended.state} already") from error
            else:
                reply = _reply([change.after], single=True, who=who)
                answer = reply.kept_under(key, self.clock())
                changes: list[AnyChange] = [change, *used] if change.before != change.after else []
                if changes or answer:
                    await self._recorder.record(changes, answer)
                return reply

    async def _submit(
        self,
        requests: Sequence[OrderRequest],
        received_ns: int,
        single: bool,  # noqa: FBT001
        key: Key | None,
        who: Identity,
    ) -> Reply:
        """Nobody else asks about these orders meanwhile: all are claimed at once, so nobody waits for one who waits."""
        orders = {request.order for request in requests}
        while others := orders & self._asking.keys():
            await self._asking[others.pop()].wait()
        mine = Written()
        self._asking.update(dict.fromkeys(orders, mine))
        try:
            return await self._decided(requests, received_ns, single, key, who)
        finally:
            for order in orders:
                del self._asking[order]
            mine.tell(None)

    async def _decided(
        self,
        requests: Sequence[OrderRequest],
        received_ns: int,
        single: bool,  # noqa: FBT001
        key: Key | None,
        who: Identity,
    ) -> Reply:
        known = self.journal.may_know_order
        first = [await self._first_answer(request) if known(request.order) else None for request in requests]
        found = every(requests, self._naming.find, single=single)
        changes: list[OrderChange] = []
        orders: list[Order] = []
        try:
            for number, (request, named, before) in enumerate(zip(requests, found, first, strict=True)):
                if number and number % LINES_PER_TURN == 0:
                    await asyncio.sleep(0)
                if before is None:
                    changes.append(self._decide(request, named, received_ns, who.user))
                orders.append(before or changes[-1].after)
        except BaseException:
            for change in reversed(changes):
                self.desk.undo(change)
            raise
        reply = _reply(orders, single=single, who=who)
        answer = reply.kept_under(key, self.clock())
        if changes or answer:
            await self._recorder.record(changes, answer)
        return reply

    async def _first_answer(self, request: OrderRequest) -> Order | None:
        """What an id that may be known got when it first came; None for a new one.

        Raises `ProblemError` for an id that meant something else.
        """
        while request.order in self._recorder.moving:
            await self._recorder.wait(request.order)
        try:
            kept = await self.journal.order(request.order)
            first = None if kept is None else (await self.journal.order_history(kept.sequence))[0]
        except JournalError as error:
            raise unavailable(error) from error
        if first is not None and replace(first.request, security=first.asked_as) != request:
            raise ProblemError(422, "key-reused", f"order {request.order} came with other contents before")
        return first

    def _decide(self, request: OrderRequest, found: Found, received_ns: int, by: str) -> OrderChange:
        self._recorder.refuse_if_broken()
        now_ns = self.clock()
        asked_as, expires_ns = request.security, 0
        if found.code != request.security:
            request = replace(request, security=found.code)
        if found.security:
            expires_ns = self._expires(self._securities.market(found.security), now_ns)
        try:
            return self.desk.decide(request, received_ns, now_ns, expires_ns, asked_as, by)
        except WrongOrderStateError as error:
            raise ProblemError(409, "conflict", str(error)) from error
        except OrderDeskFullError as error:
            raise ProblemError(503, "unavailable", str(error)) from error
        except OrderInvariantError as error:
            self._recorder.broken = error
            raise


def _refuse_repeated(requests: Sequence[OrderRequest]) -> None:
    """An id may come once in a list."""
    seen: set[str] = set()
    faults = []
    for number, request in enumerate(requests):
        if request.order in seen:
            faults.append(Fault(f"order {request.order} comes twice", pointer=pointer(number, "order")))
        seen.add(request.order)
    if faults:
        raise ProblemError(422, "invalid", "an order id may come once in a list", tuple(faults))


def _reply(orders: Sequence[Order], *, single: bool, who: Identity) -> Reply:
    """200; 207 where the lines of a list went different ways."""
    status = 207 if len({order.state == OrderState.REJECTED for order in orders}) > 1 else 200
    answers = [order_answer(order, with_unit=who.clients is None) for order in orders]
    return Reply(status, _ENCODE.encode(answers[0] if single else answers))
