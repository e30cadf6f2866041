"""What people decide about breaks and the machine has to know: shares kept back, and approved changes of our own books.

The store has it first; this follows, in the writer's own process. Nothing is done twice: what is kept back is set, not added,
and an adjustment has its number as the sequence number of its event, which the machine knows again, also after a restart.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

import numpy as np
import structlog

from app.breaks.client import BreaksAwayError
from app.breaks.several import Adjustment, AdjustState
from app.breaks.store import BreakStore, BreakStoreError
from engine.events import DEAL_STEP
from engine.model import NO_DATE, RATE_UNKNOWN, Decided, Flag, Kind, Namespace, Op
from engine.recognise import OUTCOMES
from engine.records import NAMED
from engine.ring import Message
from engine.state import Applied, Machine
from engine.symbols import Symbols

log = structlog.get_logger()
SOURCE: Final = "BREAKS"
"""Whose events adjustments are."""
LOOK_NS: Final = 10**9
_KEPT_NS: Final = 14 * 86_400 * 10**9
"""Adjustments older than this are in a start of day, or in a snapshot."""
_ROWS: Final = 100_000
_TRADED: Final = (Kind.FIRM, Kind.CLIENT_SEGREGATED, Kind.CLIENT_FREE)
"""Rows whose start of day is held against the close: what is bought and sold today is no part of it."""


class Tell(Protocol):
    """Says what became of an approved adjustment."""

    def adjusted(self, adjustment: str, problem: str) -> Awaitable[None]:
        """`problem` "": it is in the books."""


class BreakBooks:
    """Belongs to the writer's loop; the database has a thread of its own. `topic`: the number of the feed that adjustments are
    told with; `effects`: what is done with what the machine has applied."""

    def __init__(
        self,
        store: BreakStore,
        machine: Machine,
        tell: Tell,
        topic: int,
        effects: Callable[[Applied], None] | None = None,
    ) -> None:
        self._store = store
        self._machine = machine
        self._tell = tell
        self._topic = topic
        self._effects = effects
        self._thread = ThreadPoolExecutor(1, "break-books")
        self._turn = asyncio.Lock()
        self._symbols = Symbols(machine.tables.array["symbols"])
        self._next_ns = 0
        self._looking: asyncio.Task[None] | None = None
        self._began = False

    def tick(self, now_ns: int) -> None:
        """Look now and then at what there is to follow."""
        if now_ns >= self._next_ns and (self._looking is None or self._looking.done()):
            self._next_ns = now_ns + LOOK_NS
            self._looking = asyncio.create_task(self._looked())

    async def follow(self) -> None:
        """What the store says is so when this returns. Raises `BreakStoreError`."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            held = await loop.run_in_executor(self._thread, self._store.held)
            self._hold(held)
            states = (AdjustState.APPROVED,) if self._began else (AdjustState.APPROVED, AdjustState.APPLIED)
            asked = await loop.run_in_executor(self._thread, lambda: self._store.list_of(Adjustment, states))
            newest_ns = max((one.decided_ns for one in asked), default=0)
            for one in sorted(asked, key=lambda each: each.number):
                if one.decided_ns >= newest_ns - _KEPT_NS:
                    await self._adjust(one)
            self._began = True

    async def close(self) -> None:
        """Returns when nothing is going on any more."""
        if self._looking is not None:
            await asyncio.gather(self._looking, return_exceptions=True)
        async with self._turn:
            self._thread.shutdown()
            self._store.close()

    # parts

    async def _looked(self) -> None:
        try:
            await self.follow()
        except BreakStoreError as error:
            log.warning("what is kept back for breaks is looked up again", reason=str(error))

    def _hold(self, held: dict[str, int]) -> None:
        """Keep back so many of each security, and nothing of others."""
        decided = self._machine.tables.array["decided"][:, Decided.BREAKS]
        wanted: dict[int, int] = {}
        for code, shares in held.items():
            if number := self._symbols.find_one(Namespace.SECURITY, code):
                wanted[number] = wanted.get(number, 0) + shares
        for number in {*wanted, *np.flatnonzero(decided).tolist()}:
            shares = wanted.get(number, 0)
            if int(decided[number]) != shares:
                self._machine.set_decided(number, Decided.BREAKS, shares)

    async def _adjust(self, one: Adjustment) -> None:
        """Into the books, unless it is there already, and tell so."""
        problem = self._apply(one)
        if one.state == AdjustState.APPROVED:
            try:
                await self._tell.adjusted(one.id, problem)
            except BreaksAwayError as error:
                log.warning("what became of an adjustment is told again", adjustment=one.id, reason=str(error))

    def _apply(self, one: Adjustment) -> str:
        """Why it could not be applied; nothing where it is."""
        record = self._record(one)
        if isinstance(record, str):
            return record
        applied = self._machine.step(record)
        if self._effects is not None:
            self._effects(applied)
        return OUTCOMES[int(applied.outcomes[0])] if applied.rejected.size else ""

    def _record(self, one: Adjustment) -> "np.ndarray[tuple[int], np.dtype[np.void]] | str":
        """The events of an adjustment; a text where it names what there is not."""
        machine, names = self._machine, {}
        for namespace, code in (
            (Namespace.SECURITY, one.security),
            (Namespace.BOOK, one.book),
            (Namespace.DEPOT, one.depot),
        ):
            names[namespace] = self._symbols.find_one(namespace, code) if code else 0
            if code and not names[namespace]:
                return f"no {namespace.name.lower()} {code}"
        security = names[Namespace.SECURITY]
        today = int(machine.tables.array["today"][machine.tables.array["security"]["market"][security]])
        records = np.zeros(1 if one.contractual else 2, DEAL_STEP)
        records["rate"], records["due_date"], records["end_date"] = RATE_UNKNOWN, NO_DATE, NO_DATE
        event = records["event"]
        event["source"], event["seq"], event["topic"] = self._source(), one.number, self._topic
        event["time_ns"] = event["received_ns"] = one.decided_ns
        event["security"], event["book"], event["depot"] = security, names[Namespace.BOOK], names[Namespace.DEPOT]
        event["kind"], event["offset"] = Kind[one.position_type], -1
        event["trade_date"] = event["settle_date"] = today
        if one.contractual:
            event["op"], event["quantity"] = Op.SET_TD, self._contractual(event[0]) + one.quantity
            return records
        grows = one.quantity > 0
        if event["kind"][0] in _TRADED:  # as a trade of today, or the start of day would seem to have been another
            event["op"] = (Op.BUY, Op.SETTLE_RECEIPT) if grows else (Op.SELL, Op.SETTLE_DELIVERY)
        else:
            event["op"] = (Op.INCREASE, Op.SETTLE_RECEIPT) if grows else (Op.DECREASE, Op.SETTLE_DELIVERY)
        event["quantity"], event["flags"][1] = abs(one.quantity), Flag.PART
        return records

    def _contractual(self, event: np.void) -> int:
        """What the row has now."""
        tables = self._machine.tables
        wanted = int(event["book"]) << 24 | int(event["depot"]) << 8 | int(event["kind"])
        for row in tables.rows_of(int(event["security"])).tolist()[:_ROWS]:
            record = tables.array["position"][row]
            if int(record["key"]) & (1 << 40) - 1 == wanted:
                return int(record["td"])
        return 0

    def _source(self) -> int:
        number = self._symbols.find_one(Namespace.SOURCE, SOURCE)
        if not number:
            record = np.zeros(1, NAMED)
            record["code"], record["name"] = SOURCE.encode(), b"Adjustments of breaks"
            self._machine.register(Message.SOURCES, record)
            number = self._symbols.find_one(Namespace.SOURCE, SOURCE)
        return number
