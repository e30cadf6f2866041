"""Worker 0's keeper of the security master: takes records, carries out what people decide, tells the machine."""

import asyncio
import datetime as dt
import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import structlog
from msgspec import structs
from numpy.typing import NDArray

from app.master_database import MasterStoreError, url_of
from app.master_rules import master_rules, vocabulary
from app.master_store import MasterStore, Place
from app.settings import Settings
from engine.model import Market
from engine.ring import MOVE, NAME, Message
from feeds.master import Change, Golden, Master
from feeds.master_decisions import Decided
from feeds.master_door import Answer, Taken
from feeds.master_golden import counterparty_rows, rows
from feeds.master_records import Security
from feeds.master_rulings import DecisionError, undoes
from feeds.quarantine import Unreadable

log = structlog.get_logger()
LOOK_S: Final = 0.25
"""How often people's decisions are looked for."""
AGAIN_S: Final = 10.0
"""How often merges in force are told again: an event on its way at that moment may have named the old security."""
_NS: Final = 10**9


class Told(Protocol):
    """Where messages to the machine go."""

    async def reference(
        self, messages: Sequence[tuple[Message, NDArray[np.void]]], unreadable: Sequence[Unreadable] = ()
    ) -> None:
        """Hand over; returns when the machine has used it."""
        ...


class Keeper:
    """Opened by its constructor, which makes the master of what was kept. Threads take turns.

    What cannot be written down has not happened: the master is made anew from what was. `simulated`: the securities of a
    simulated day, which are in the machine already: only what differs from those is told; places in topics mean nothing.
    """

    def __init__(
        self,
        store: MasterStore,
        markets: Sequence[Market],
        clock: Callable[[], int] = time.time_ns,
        simulated: NDArray[np.void] | None = None,
    ) -> None:
        self._store = store
        self._simulated = None if simulated is None else simulated.copy()
        """What the machine has of a simulated day; `_machine`: code -> place in it."""
        self._machine = {} if simulated is None else {code: at for at, code in enumerate(simulated["code"].tolist())}
        self._begun = simulated is None
        self._markets = {market.code: index for index, market in enumerate(markets)}
        self._rules, self._words = master_rules(), vocabulary(markets)
        self._clock = clock
        self._turn = threading.Lock()
        self._tell_again: set[str] = set()
        self._again_ns = 0
        self._open()

    def _open(self) -> None:
        now_ns = self._clock()
        self._places = self._store.places()
        self.master = Master(self._rules, self._words, _day(now_ns), self._store.load())
        self._store.write(self.master.begin(now_ns), now_ns)

    def begin(self) -> list[tuple[Message, NDArray[Any]]]:
        """Everything, for a machine that knows nothing yet."""
        return self._messages(self.master.everything())

    def take(self, records: Sequence[Taken]) -> Answer:
        """See `feeds.master_door.Door`. Any thread. Raises `MasterStoreError`."""
        alone = self._turn.acquire(blocking=False)
        if not alone:
            self._turn.acquire()
        try:
            now_ns = self._clock()
            places = self._advanced(records) if self._simulated is None else {}
            fresh = [one for one in records if self._is_fresh(one)] if self._simulated is None else records
            change = self.master.take([(one.number, one.record) for one in fresh], now_ns)
            self._write(change, now_ns, places)
            self._places |= places
            change.golden |= self._listed(records)
            if not alone:
                self._tell_again.update(
                    change.golden
                )  # the one before may still be on its way: which comes last is open
            if not self._begun:
                self._begun, change = True, self._with_everything(change)
            return Answer(self._messages(change), change.refused)
        finally:
            self._turn.release()

    def own(self, text: str) -> str:
        """See `feeds.master_door.Door`. Any thread."""
        master = self.master
        if lead := master.leads.get(text, ""):
            return lead
        own = text in master.claims and text not in master.rulings.merged
        return text if own or text.encode() in self._machine else ""

    def used(self, feed: int, partition: int) -> int:
        """See `feeds.master_door.Door`."""
        place = self._places.get((feed, partition))
        return 0 if place is None else place.next

    def _with_everything(self, change: Change) -> Change:
        whole = self.master.everything()
        whole.refused = change.refused
        return whole

    def _advanced(self, records: Sequence[Taken]) -> dict[tuple[int, int], Place]:
        """How far partitions will have been used; one that begins otherwise than before is another topic, and used anew."""
        places: dict[tuple[int, int], Place] = {}
        for one in records:
            if one.at is None:
                continue
            feed, partition, offset = one.at
            before = self._places.get((feed, partition))
            if before is not None and before.first == offset and before.digest != _digest(one):
                log.warning("a topic is another one than before: used from its start", feed=feed, partition=partition)
                del self._places[feed, partition]
                before = None
            known = places.get((feed, partition), before) or Place(0, offset, _digest(one))
            places[feed, partition] = structs.replace(known, next=max(known.next, offset + 1))
        return {where: place for where, place in places.items() if place != self._places.get(where)}

    def _is_fresh(self, one: Taken) -> bool:
        """Whether a record has not been taken before: read again, an old one must not replace what came after it."""
        if one.at is None:
            return True
        place = self._places.get(one.at[:2])
        if place is None or one.at[2] >= place.next:
            return True
        record = one.record
        return isinstance(record, Security) and record.source not in self.master.claims.get(record.code, {})

    def look(self) -> list[tuple[Message, NDArray[Any]]]:
        """Carry out what people have decided, and begin the day that has begun. Raises `MasterStoreError`."""
        with self._turn:
            return self._look(self._clock())

    def _look(self, now_ns: int) -> list[tuple[Message, NDArray[Any]]]:
        messages: list[tuple[Message, NDArray[Any]]] = []
        if (today := _day(now_ns)) != self.master.today:
            change = self.master.roll(today, now_ns)
            self._write(change, now_ns)
            messages += self._messages(change)
        for wanted in self._store.waiting():
            decided = Decided(wanted.entry, wanted.at_ns, wanted.who, wanted.decision)
            try:
                change = self.master.decide(decided, now_ns)
            except DecisionError as error:
                self._store.write(Change(), now_ns, refused=[(decided, str(error))])
                continue
            if not change.decided:
                self._store.write(Change(), now_ns, refused=[(decided, "it is so already")])
                continue
            self._write(change, now_ns)
            log.info(
                "a decision on securities was carried out",
                who=wanted.who,
                decision=msgspec.to_builtins(wanted.decision),
            )
            messages += self._messages(change)
        if now_ns >= self._again_ns:
            self._again_ns = now_ns + int(AGAIN_S * _NS)
            merged = self.master.rulings.merged
            golden = {code: self.master.golden[code] for code in self._tell_again if code not in merged}
            self._tell_again.clear()
            messages += self._messages(Change(golden=golden, moves=list(self.master.rulings.merges.values())))
        return messages

    async def follow(self, outlet: Told) -> None:
        """Let decisions reach the machine, for as long as the worker lives."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                messages = await asyncio.to_thread(self.look)
            except MasterStoreError as error:
                log.warning("decisions on securities cannot be looked for", reason=str(error))
                continue
            if messages:
                await outlet.reference(messages)

    def _listed(self, records: Sequence[Taken]) -> dict[str, Golden]:
        """Securities that come to a simulated day while it goes on: the machine is told of them, also where the store has
        them from a day before."""
        if self._simulated is None:
            return {}
        come = {one.record.code for one in records if isinstance(one.record, Security)}
        come = {code for code in come & self.master.golden.keys() if code.encode() not in self._machine}
        at = len(self._simulated)
        self._machine |= {code.encode(): at + i for i, code in enumerate(sorted(come))}
        self._simulated = np.concatenate([self._simulated, np.zeros(len(come), self._simulated.dtype)])
        return {code: self.master.golden[code] for code in come - self.master.rulings.merged.keys()}

    def _told_securities(self, told: NDArray[np.void]) -> NDArray[np.void]:
        """Of a simulated day, those that are in the machine and otherwise there."""
        if self._simulated is None:
            return told
        at = np.array([self._machine.get(code, -1) for code in told["code"].tolist()], np.int64)
        there = np.flatnonzero(at >= 0)
        other = there[self._simulated[at[there]] != told[there]]
        fresh: NDArray[np.void] = told[other]
        self._simulated[at[other]] = fresh
        return fresh

    def _write(self, change: Change, now_ns: int, places: dict[tuple[int, int], Place] | None = None) -> None:
        try:
            self._store.write(change, now_ns, places)
        except BaseException:
            self._open()  # what is in memory and not on disk must not be built upon
            raise

    def _messages(self, change: Change) -> list[tuple[Message, NDArray[Any]]]:
        """Golden records; codes that a merge leads elsewhere; positions that move; then other names, and counterparties.

        So what decisions hold of a security is counted before its positions come, and after they have gone: never too little.
        """
        messages: list[tuple[Message, NDArray[Any]]] = []
        golden = [one.record for one in change.golden.values()]
        if golden:
            told = self._told_securities(rows(golden, self._markets))
            if told.size:
                messages.append((Message.SECURITIES, told))
        merged = self.master.rulings.merged
        own = {
            text
            for one in golden
            for text in (one.code, one.isin, one.cusip, one.sedol, one.figi, f"{one.ticker}@{one.market}")
        }
        names = {
            text: code
            for text, code in change.names.items()
            if not (text in own and code and (code != text or text not in merged))
        }
        messages += _names({text: code for text, code in names.items() if text in merged})
        if change.moves:
            messages.append((Message.MOVES, np.array([_move(one) for one in change.moves], MOVE)))
        messages += _names({text: code for text, code in names.items() if text not in merged})
        if change.counterparties:
            messages.append((Message.COUNTERPARTIES, counterparty_rows(list(change.counterparties.values()))))
        return messages


def _names(names: Mapping[str, str]) -> list[tuple[Message, NDArray[Any]]]:
    """A message of these names; none for none."""
    told = [(text.encode(), code.encode()) for text, code in names.items()]
    return [(Message.NAMES, np.array(told, NAME))] if told else []


def _move(decided: Decided) -> tuple[bytes, bytes, bytes, bytes, int]:
    """A row of dtype `MOVE`."""
    what = decided.decision
    time_ns = -decided.at_ns if undoes(what) else decided.at_ns
    return what.source.encode(), what.target.encode(), what.book.encode(), what.depot.encode(), time_ns


def opened(settings: Settings, markets: Sequence[Market]) -> tuple[Keeper, list[tuple[Message, NDArray[Any]]]]:
    """The keeper of a worker that reads topics, and what the machine must be told before anything else: everything."""
    keeper = Keeper(MasterStore(url_of(settings)), markets)
    return keeper, keeper.begin()


def _digest(one: Taken) -> str:
    return hashlib.blake2b(msgspec.json.encode(one.record), digest_size=8).hexdigest()


def _day(at_ns: int) -> dt.date:
    return dt.datetime.fromtimestamp(at_ns / _NS, dt.UTC).date()
