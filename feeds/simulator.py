"""A believable day of events: start of day, then a stream that never ends, with faults at known counts.

The same (universe, days, seed, partitions, faults) gives the same events whatever their pace. Every partition has a
source of its own, `sim-0` and so on, and a security stays in the partition that Kafka's default partitioner gives its
code.
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
from feeds.simulator_faults import Expected, Fault, FaultRates, broken, damaged, mixed, repeats, skips
from feeds.simulator_opening import opening_rows
from feeds.simulator_play import CHANCES, MIX, Plan, play
from feeds.simulator_snapshot import opening_events
from feeds.simulator_turn import redate, turn
from feeds.simulator_world import world_of
from feeds.universe import Role, Universe
from feeds.wire import DRAFT, Drafts, Vocabulary, joined, taken

BLOCK: Final = 4_096
"""Events that are made at a time, whatever number is asked for."""
_FIRST_BATCH: Final = 16_384
ENCODINGS: Final = ("json", "arrow")


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
    ) -> None:
        """`newest[p]` is the last number that the source of partition p has used in a run before this one."""
        self.universe = universe
        self.expected = Expected()
        self.partitions = partitions
        self._days, self._seed, self._faults = days, seed, faults or FaultRates()
        codes = np.concatenate([universe.securities["code"], universe.strays.astype("S24")])
        self._partition_of = partitions_of(codes, partitions)
        self.sources = _sources(prefix, partitions, published=universe.snapshot is not None)
        self._newest = np.zeros(len(self.sources), np.int64)
        self._newest[: len(newest)] = newest
        self.vocabulary = Vocabulary.of(
            self.sources, _texts(codes), *map(_texts, (universe.books["code"], universe.depots["code"]))
        )
        self._keys = [code.encode() for code in self.vocabulary.securities] + [b""]
        self._rows = opening_rows(universe, seed, int(days.ahead[:, 0].min()))
        self._world = world_of(universe, self._rows, days)
        self._popular = np.cumsum(universe.popularity)
        self._ready: Drafts = np.empty(0, DRAFT)
        self._block = 0

    def reference(self) -> list[reference.Record]:
        """Everything the events name, but for what they name in vain."""
        return [*self.universe.reference(), *(reference.Source(code, "simulator") for code in self.sources)]

    def start_of_day(self, now_ns: int) -> Iterator[Drafts]:
        """The opening positions and prices in batches, without faults.

        Books are reset first, but only where there is one partition: between partitions nothing says that a reset comes
        before the rows of its book. The published availability follows at the end.
        """
        drafts = opening_events(self.universe, self._rows, self._days.ahead, reset=self.partitions == 1)
        self._address(drafts, 0)
        self._number(drafts)
        drafts = np.concatenate([drafts, self._published()])
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
        return given

    def turn(self, days: TradingDays) -> None:
        """A business day ends: what comes after this is of `days`."""
        lapsed = turn(self._world, days)
        self._days = days
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

    def records(self, drafts: Drafts, topic: str, encoding: str, per_record: int = 1_000) -> list[Records]:
        """The drafts as records of each partition, as an embedded feed or a producer hands them over."""
        made = []
        for partition in range(self.partitions):
            some = taken(drafts, drafts["partition"] == partition) if self.partitions > 1 else drafts
            if not some.size:
                continue
            if encoding == "json":
                values, keys = self.encode_json(some), [self._keys[at] for at in some["security"].tolist()]
                made.append(Records(topic, partition, values, keys, encoding, some.size))
            else:
                values = self.encode_arrow(some, per_record)
                made.append(Records(topic, partition, values, None, encoding, some.size))
        return made

    # parts

    def _make_block(self) -> Drafts:
        """The next `BLOCK` events and their faults; each block has random numbers of its own."""
        random = np.random.default_rng([self._seed, 3, self._block])
        first = self._block * BLOCK
        self._block += 1
        events = np.zeros(BLOCK, DRAFT)
        play(self._plan(random), self._world, events)
        events["skipped"] = skips(BLOCK, self._faults.count("gaps", first, BLOCK), random)
        self._address(events, 0)
        self._number(events)
        return mixed(
            events,
            repeats(events, self._faults.count("duplicates", first, BLOCK), random),
            broken(events, self._faults.count("unreadable", first, BLOCK), random),
            self._unknown(self._faults.count("unknown", first, BLOCK), random),
        )

    def _plan(self, random: np.random.Generator) -> Plan:
        return Plan(
            action=random.choice(np.array(list(MIX), np.uint8), BLOCK, p=list(MIX.values())),
            security=np.searchsorted(self._popular, random.random(BLOCK)).clip(0, self._popular.size - 1),
            chance=random.random((BLOCK, CHANCES)),
            size=random.standard_normal(BLOCK),
        )

    def _unknown(self, count: int, random: np.random.Generator) -> tuple[Drafts, NDArray[np.float64]]:
        """Buys of securities that the reference data lacks."""
        made = np.zeros(count, DRAFT)
        made["op"], made["kind"], made["fault"] = Op.BUY, Kind.FIRM, Fault.UNKNOWN
        made["security"] = self.universe.securities.size + random.integers(0, self.universe.strays.size, count)
        made["book"] = np.flatnonzero(self.universe.role == Role.FIRM)[0]
        made["quantity"] = 100 * random.integers(1, 50, count)
        made["trade_date"], made["settle_date"] = self._days.ahead[0, 0], self._days.ahead[0, 1]
        place = np.sort(random.choice(BLOCK, count, replace=False)) + np.float64(0.5)
        self._address(made, self.partitions)
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
        self._address(made, 2 * self.partitions)
        self._number(made)
        return made

    def _address(self, drafts: Drafts, first_source: int) -> None:
        """Partition and source by security; what names none goes to the first."""
        named = drafts["security"] >= 0
        drafts["partition"] = np.where(named, self._partition_of[drafts["security"]], 0)
        drafts["source"] = first_source + drafts["partition"]

    def _number(self, drafts: Drafts) -> None:
        """Sequence numbers, contiguous per source but for the skipped ones."""
        for source in np.unique(drafts["source"]).tolist():
            mine = drafts["source"] == source
            numbers = self._newest[source] + np.cumsum(1 + drafts["skipped"][mine].astype(np.int64))
            drafts["seq"][mine] = numbers
            self._newest[source] = numbers[-1]


def _sources(prefix: str, partitions: int, *, published: bool) -> tuple[str, ...]:
    """One per partition of each: the day's own, those that send unknown securities, and the availability file's."""
    names = [prefix, "stray", *([availability.SOURCE] if published else [])]
    alone = partitions == 1
    return tuple(
        name if name == availability.SOURCE and alone else f"{name}-{partition}"
        for name in names
        for partition in range(partitions)
    )


def _texts(codes: NDArray[np.bytes_]) -> Sequence[str]:
    return [code.decode() for code in codes.tolist()]
