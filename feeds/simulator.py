"""A believable day: start of day, then a stream that never ends, with faults at known counts.

The same (universe, days, seed, partitions, faults) gives the same events whatever their pace. In one topic every partition
has a source of its own, `sim-0` and so on, and a security stays in the partition that Kafka's default partitioner gives its
code. With `apart` every feed has a topic: a step of a deal is one record there, in the feed's own form, and books stay in their
partitions; see `feeds.simulator_routes`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.model import Flag, Kind, Op
from feeds import availability, reference, wire
from feeds.availability import Change
from feeds.calendars import TradingDays
from feeds.partitions import partitions_of
from feeds.simulator_asides import Aside, Asides
from feeds.simulator_deals import SLOTS
from feeds.simulator_faults import Expected, Fault, FaultRates, Strayed, broken, damaged, mixed, repeats, skips
from feeds.simulator_late import Late
from feeds.simulator_opening import opening_rows
from feeds.simulator_play import CHANCES, MIX, Action, Plan, play
from feeds.simulator_records import Dates, Writer
from feeds.simulator_routes import BY_SECURITY, FORMS, TABLE, Route, Spread, Step
from feeds.simulator_snapshot import opening_events, opening_steps
from feeds.simulator_turn import redate, turn
from feeds.simulator_world import world_of
from feeds.universe import AGENTS, Role, Universe
from feeds.universe_parties import everything, lenders
from feeds.wire import DRAFT, Drafts, Vocabulary, joined, taken

BLOCK: Final = 4_096
"""Events that are made at a time, whatever number is asked for."""
_FIRST_BATCH: Final = 16_384
ENCODINGS: Final = ("json", "arrow")
_IN_NEW_BOOKS: Final = 0.25
"""The part of records with an unknown code whose book it is."""


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one partition in the order of sending. `keys` is None where a record holds several securities."""

    topic: str
    partition: int
    values: list[bytes]
    keys: list[bytes] | None
    encoding: str
    events: int
    """How many drafts the records stand for."""
    route: Route = Route.EVENTS


class Simulator:
    """`start_of_day` once, then `next` again and again; `expected` counts what was handed out so far."""

    def __init__(
        self,
        universe: Universe,
        days: TradingDays,
        seed: int,
        partitions: int = 1,
        faults: FaultRates | None = None,
        prefix: str = "sim",
        newest: Sequence[int] = (),
        *,
        apart: bool = False,
        mix: dict[Action, float] | None = None,
    ) -> None:
        """`newest` are the last numbers that the sources have used in a run before this one; `mix`: parts of what happens."""
        self.universe = universe
        self.expected = Expected()
        self.partitions = partitions
        self.apart = apart
        self.spread = Spread.of(partitions, apart=apart)
        self._days, self._seed, self._faults, self._mix = days, seed, faults or FaultRates(), mix or MIX
        names = self.spread.names(prefix)
        self.sources = _sources(names, partitions, published=universe.snapshot is not None)
        self._strays, self._lent = len(names), len(names) + partitions
        self._newest = np.zeros(len(self.sources), np.int64)
        self._newest[: len(newest)] = newest
        self._name(np.concatenate([universe.securities["code"], universe.strays.astype("S24")]))
        self._rows = opening_rows(universe, seed, int(days.ahead[:, 0].min()))
        self._world = world_of(universe, self._rows, days, apart=apart)
        tag = f".{run}" if (run := int(self._newest.sum())) else ""
        self._late = Late(universe, self._rows, seed)
        self._dates = Dates(days, universe.securities["market"])
        self._writer = Writer(self.vocabulary, self._rows, self._dates, lenders(), AGENTS, tag)
        self._popular = np.cumsum(universe.popularity)
        self._slots = np.zeros(SLOTS, np.int64)
        self._ready: Drafts = np.empty(0, DRAFT)
        self._block = 0
        self._beside = Asides(universe, seed, int(days.ahead[0, 0]))
        self._asides: list[tuple[int, Aside]] = []
        self._made = self._given = 0
        self._strayed = Strayed(np.concatenate([universe.strays, universe.stray_books]).astype("S24"))

    def reference(self) -> list[reference.Record]:
        """Everything the events name, but for what they name in vain."""
        sources = (reference.Source(code, "simulator") for code in self.sources)
        return [*self.universe.reference(), *(everything(self.universe) if self.apart else ()), *sources]

    def start_of_day(self, now_ns: int) -> Iterator[Drafts]:
        """The opening positions and prices in batches, without faults. The published availability follows at the end.

        In one topic books are reset first, but only where there is one partition: between partitions nothing says that a reset
        comes before the rows of its book. Apart, all of a feed is there before what builds on it.
        """
        if self.apart:
            parts = opening_steps(self.universe, self._late.in_time(), self._days.ahead)
        else:
            parts = [opening_events(self.universe, self._late.in_time(), self._days.ahead, reset=self.partitions == 1)]
        for part in parts:
            self._address(part, 0)
            self._number(part)
        for drafts in (*parts, self._published()):
            drafts["time_ns"] = now_ns
            self.expected.add(drafts)
            for first in range(0, drafts.size, _FIRST_BATCH):
                yield drafts[first : first + _FIRST_BATCH]

    def next(self, count: int, now_ns: int) -> Drafts:
        """The next `count` events of the day, faults included, sent now."""
        parts, missing = [self._ready], count - self._ready.size
        while missing > 0:
            parts.append(self._make_block())
            missing -= parts[-1].size
        made = joined(parts)
        given, self._ready = made[:count], made[count:]
        given["time_ns"] = now_ns
        self.expected.add(given)
        self._given += given.size
        unknown = given[given["fault"] == Fault.UNKNOWN]
        stray_book = unknown["book"] - self.universe.books.size + self.universe.strays.size
        stray = unknown["security"] - self.universe.securities.size
        self._strayed.add(np.where(stray >= 0, stray, stray_book), unknown["source"], unknown["seq"])
        return given

    def asides(self) -> list[Aside]:
        """What happened beside the events handed out so far: records without numbers, to be sent after them. Apart only."""
        given = [aside for last, aside in self._asides if last <= self._given]
        del self._asides[: len(given)]
        return given

    def explained(self, aside: Aside) -> None:
        """A record of reference data was sent: what named it in vain before will be applied after all."""
        before = self._strayed.missing
        applied = self._strayed.explain(aside.fields.get("code", "").encode())
        self.expected.unknown -= applied
        self.expected.events += applied
        self.expected.missing += self._strayed.missing - before

    def places(self, topic: str | Sequence[str]) -> dict[str, tuple[str, int]]:
        """The topic and partition of each source, in their order."""
        names = [topic] * len(Route) if isinstance(topic, str) else topic
        own = [(names[route], at) for route in self.spread.routes for at in range(self.spread.partitions[route])]
        strays = Route.TRADES if self.apart else Route.EVENTS
        lent = Route.EXTERNAL if self.apart else Route.EVENTS
        own += [(names[strays], at) for at in range(self.partitions)]
        own += [(names[lent], at % self.spread.partitions[lent]) for at in range(self.partitions)]
        return dict(zip(self.sources, own, strict=False))

    def turn(self, days: TradingDays) -> None:
        """A business day ends: what comes after this is of `days`."""
        began = days.ahead[:, 0] != self._world.ahead[:, 0]
        lapsed = turn(self._world, days)
        self._days = days
        self._dates.turn(days)
        if self.apart and began.any():
            self._late.turn(self._world, began, self._block)
        redate(self._ready, self._world)
        self._address(lapsed, 0)
        self._number(lapsed)
        self._ready = joined([self._ready, lapsed])

    def encode_json(self, drafts: Drafts) -> list[bytes]:
        """One record per draft, in order; those that must be unreadable are."""
        records = wire.json_records(drafts, self.vocabulary)
        for at in np.flatnonzero(drafts["fault"] == Fault.UNREADABLE).tolist():
            records[at] = damaged(records[at], int(drafts["seq"][at]))
        return records

    def encode_arrow(self, drafts: Drafts, per_record: int = 1_000) -> list[bytes]:
        """Batches of `per_record` drafts of one partition; behind them, cut off, a record per unreadable draft."""
        bad = drafts["fault"] == Fault.UNREADABLE
        if not bad.any():
            return wire.arrow_records(drafts, self.vocabulary, per_record)
        records = wire.arrow_records(taken(drafts, ~bad), self.vocabulary, per_record)
        whole = wire.arrow_records(taken(drafts, bad), self.vocabulary, 1)
        return records + [record[: len(record) * 2 // 3] for record in whole]

    def records(
        self, drafts: Drafts, topic: str | Sequence[str], encoding: str, per_record: int = 1_000
    ) -> list[Records]:
        """The drafts as records of each partition, as an embedded feed or a producer hands them over.

        `topic`: the one of all events, or apart one for each `Route`. Record forms are always JSON.
        """
        made = []
        for route in self.spread.routes:
            mine = taken(drafts, drafts["feed"] == route) if self.apart else drafts
            name = topic if isinstance(topic, str) else topic[route]
            for partition in range(self.spread.partitions[route]):
                some = taken(mine, mine["partition"] == partition) if self.spread.partitions[route] > 1 else mine
                if some.size:
                    made.append(self._of_partition(route, name, partition, some, encoding, per_record))
        return made

    # parts

    def _of_partition(
        self, route: Route, topic: str, partition: int, drafts: Drafts, encoding: str, per_record: int
    ) -> Records:
        if encoding == "arrow" and route not in FORMS:
            values = self.encode_arrow(drafts, per_record)
            return Records(topic, partition, values, None, encoding, drafts.size, route)
        by_security = route in BY_SECURITY
        codes, named = (self._keys, drafts["security"]) if by_security else (self._book_keys, drafts["book"])
        values = self._forms(route, drafts) if route in FORMS else self.encode_json(drafts)
        return Records(topic, partition, values, [codes[at] for at in named.tolist()], "json", drafts.size, route)

    def _forms(self, route: Route, drafts: Drafts) -> list[bytes]:
        records = self._writer.records(route, drafts)
        for at in np.flatnonzero(drafts["fault"] == Fault.UNREADABLE).tolist():
            records[at] = damaged(records[at], int(drafts["seq"][at]), form=True)
        return records

    def _name(self, securities: NDArray[np.bytes_]) -> None:
        """Words, keys, and the partition that each goes to."""
        universe = self.universe
        books = np.concatenate([universe.books["code"], universe.stray_books.astype("S24")])
        self.vocabulary = Vocabulary.of(
            self.sources, _texts(securities), _texts(books), _texts(universe.depots["code"])
        )
        self._keys = [code.encode() for code in self.vocabulary.securities] + [b""]
        self._book_keys = [code.encode() for code in self.vocabulary.books] + [b""]
        counts = self.spread.partitions
        self._partition_of = {
            route: partitions_of(securities if route in BY_SECURITY else books, counts[route])
            for route in self.spread.routes
        }

    def _make_block(self) -> Drafts:
        """The next `BLOCK` events and their faults; each block has random numbers of its own."""
        random = np.random.default_rng([self._seed, 3, self._block])
        first = self._block * BLOCK
        events = np.zeros(BLOCK, DRAFT)
        play(self._plan(random), self._world, events)
        events["skipped"] = skips(BLOCK, self._faults.count("gaps", first, BLOCK), random)
        self._address(events, 0)
        self._number(events)
        if self.apart:
            self._find_corrected(events)
        late = self._late.after(self._block, self._world)
        self._address(late, 0)
        self._number(late)
        made = mixed(
            events,
            repeats(events, self._faults.count("duplicates", first, BLOCK), random),
            broken(events, self._faults.count("unreadable", first, BLOCK), random),
            self._unknown(self._faults.count("unknown", first, BLOCK), random),
            (late, np.full(late.size, float(BLOCK))),
        )
        self._made += made.size
        if self.apart:
            self._asides.extend((self._made, aside) for aside in self._beside.of(self._block))
        self._block += 1
        return made

    def _find_corrected(self, events: Drafts) -> None:
        """Corrections name the number that the event they are about was given."""
        corrects = events["action"] == Step.CORRECT
        trades = (
            corrects | (events["action"] == Step.EXECUTE) | ((events["op"] <= Op.SHORT_SELL) & (events["action"] == 0))
        )
        self._slots[events["rate"][trades]] = events["seq"][trades]
        events["ref"][corrects] = self._slots[events["ref"][corrects]]

    def _plan(self, random: np.random.Generator) -> Plan:
        return Plan(
            action=random.choice(np.array(list(self._mix), np.uint8), BLOCK, p=list(self._mix.values())),
            security=np.searchsorted(self._popular, random.random(BLOCK)).clip(0, self._popular.size - 1),
            chance=random.random((BLOCK, CHANCES)),
            size=random.standard_normal(BLOCK),
        )

    def _unknown(self, count: int, random: np.random.Generator) -> tuple[Drafts, NDArray[np.float64]]:
        """Buys of securities that the reference data lacks; apart, in books that it lacks as well."""
        universe = self.universe
        made = np.zeros(count, DRAFT)
        made["op"], made["kind"], made["fault"] = Op.BUY, Kind.FIRM, Fault.UNKNOWN
        total = universe.strays.size
        stray = (
            self._beside.strays(self._block, count, random, total) if self.apart else random.integers(0, total, count)
        )
        made["security"] = universe.securities.size + stray
        made["book"] = np.flatnonzero(universe.role == Role.FIRM)[0]
        if self.apart:
            in_book = random.random(count) < _IN_NEW_BOOKS
            books = self._beside.strays(self._block, count, random, universe.stray_books.size)
            made["book"][in_book] = universe.books.size + books[in_book]
            made["security"][in_book] = random.integers(0, universe.securities.size, int(in_book.sum()))
        made["quantity"] = 100 * random.integers(1, 50, count)
        made["trade_date"], made["settle_date"] = self._days.ahead[0, 0], self._days.ahead[0, 1]
        place = np.sort(random.choice(BLOCK, count, replace=False)) + np.float64(0.5)
        self._address(made, self._strays)
        self._number(made)
        return made, place

    def _published(self) -> Drafts:
        """What the availability file offers, by its own sources."""
        universe = self.universe
        if universe.snapshot is None:
            return np.empty(0, DRAFT)
        change = Change.between(None, universe.snapshot)
        securities = np.arange(universe.published, universe.securities.size, dtype=np.int32)
        book = int(np.flatnonzero(universe.books["code"] == availability.BOOK.encode())[0])
        made = change.drafts(securities, source=0, book=book, first_seq=1, time_ns=0, flags=Flag.START_OF_DAY)
        self._address(made, self._lent)
        self._number(made)
        return made

    def _address(self, drafts: Drafts, first_source: int) -> None:
        """Feed, partition and source; what names nothing goes to the first. `first_source` above 0: not the feeds' own."""
        if self.apart:
            drafts["feed"] = np.where(
                drafts["feed"] == Route.EVENTS, TABLE[drafts["op"], drafts["kind"]], drafts["feed"]
            )
        first = self.spread.first
        for route in self.spread.routes:
            mine = drafts["feed"] == route
            if mine.any():
                named = drafts["security" if route in BY_SECURITY else "book"][mine]
                partition = np.where(named >= 0, self._partition_of[route][named], 0)
                drafts["partition"][mine] = partition
                drafts["source"][mine] = partition + (first_source or first[route])

    def _number(self, drafts: Drafts) -> None:
        """Sequence numbers, contiguous per source but for the skipped ones."""
        for source in np.unique(drafts["source"]).tolist():
            mine = drafts["source"] == source
            numbers = self._newest[source] + np.cumsum(1 + drafts["skipped"][mine].astype(np.int64))
            drafts["seq"][mine] = numbers
            self._newest[source] = numbers[-1]


def _sources(names: Sequence[str], partitions: int, *, published: bool) -> tuple[str, ...]:
    """Those of the day itself; one per partition of those that send unknown codes; the availability file's."""
    strays = [f"stray-{partition}" for partition in range(partitions)]
    alone = [availability.SOURCE] if partitions == 1 else [f"{availability.SOURCE}-{at}" for at in range(partitions)]
    return *names, *strays, *(alone if published else [])


def _texts(codes: NDArray[np.bytes_]) -> Sequence[str]:
    return [code.decode() for code in codes.tolist()]
