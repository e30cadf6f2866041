"""How the service fares, in one look: feeds, processes, snapshots, the archive, what waits and what was set aside."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from app import process_table
from app.api.health_answers import (
    ArchiveHealth,
    FeedAnswer,
    FeedDetail,
    FilesHealth,
    Gap,
    Health,
    ParkedSum,
    PartitionAnswer,
    ProcessAnswer,
    QuarantineSum,
    SnapshotHealth,
    SourceAnswer,
    moment,
)
from app.feed_health import FeedHealth
from app.feed_rules import FeedState, HealthWord
from app.keeping import Keeping
from app.read_again import ReadAgain
from app.set_aside import SetAside
from app.settings import Settings
from engine.model import Concern
from engine.ring import FeedWord
from engine.state import Machine
from engine.tables import Word
from feeds.quarantine import Decoded

_MS: Final = 1_000_000
COUNT_AGAIN_S: Final = 2.0
"""How old a count of the quarantine by topic may be."""


@dataclass(slots=True)
class Others:
    """What other parts of the engine tell, each asked when somebody looks; None: that part does not run here."""

    snapshot: Callable[[], SnapshotHealth | None] = lambda: None
    archive: Callable[[], ArchiveHealth | None] = lambda: None
    files: Callable[[], FilesHealth | None] = lambda: None
    exceptions: Callable[[], int | None] = lambda: None


@dataclass(slots=True)
class _Counted:
    by_topic: dict[str, int] = field(default_factory=dict)
    at_s: float = 0.0


class HealthDesk:
    """Answers and actions of the page Health. Call it from the writer's loop. `clock`: UTC nanoseconds."""

    def __init__(
        self,
        settings: Settings,
        machine: Machine,
        keeping: Keeping,
        feeds: FeedHealth,
        read: ReadAgain,
        use: Callable[[Decoded], None],
        *,
        others: Others | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.keeping = keeping
        self.read = read
        self.set_aside = SetAside(keeping, machine.tables, read, use)
        self.others = others or Others()
        self._settings = settings
        self._machine = machine
        self._tables = machine.tables
        self._feeds = feeds
        self._clock = clock
        self._quarantined = _Counted()

    @property
    def names(self) -> tuple[str, ...]:
        """Of all feeds, by their number."""
        return tuple(rule.feed for rule in self._feeds.rules)

    async def look(self) -> Health:
        """Everything at once."""
        feeds, count, now_ns = await self.feeds(), self._tables.count, self._clock()
        stale = count(Word.STALE)
        return Health(
            at=moment(now_ns),
            ready=bool(count(Word.READY)),
            stale=[concern.name for concern in Concern if stale & concern],
            heartbeat_age_ms=_age_ms(now_ns, count(Word.HEARTBEAT_NS)),
            events=count(Word.EVENTS),
            missing=count(Word.MISSING),
            duplicates=count(Word.DUPLICATES),
            rejected=count(Word.REJECTED),
            feeds=feeds,
            processes=self._processes(now_ns),
            snapshot=self.others.snapshot(),
            archive=self.others.archive(),
            files=self.others.files(),
            exceptions=self.others.exceptions(),
            parked=self.parked(),
            quarantine=self._quarantine(sum(self._quarantined.by_topic.values())),
        )

    async def feeds(self) -> list[FeedAnswer]:
        """Of all feeds."""
        await self._by_topic()
        return self.feeds_now()

    def feeds_now(self) -> list[FeedAnswer]:
        """The same, with what is known of the quarantine by now."""
        quarantined, parked, now_ns = self._quarantined.by_topic, self.keeping.parking.by_topic(), self._clock()
        return [self._feed(number, now_ns, quarantined, parked) for number in range(len(self.names))]

    async def feed(self, name: str) -> FeedDetail | None:
        """One feed with its sources and their gaps; None where there is no such feed."""
        if name not in self.names:
            return None
        number, now_ns = self.names.index(name), self._clock()
        answer = self._feed(number, now_ns, await self._by_topic(), self.keeping.parking.by_topic())
        applied = self._tables.array["applied"][number]
        return FeedDetail(
            feed=answer,
            sources=self._sources(number),
            partitions=[
                PartitionAnswer(partition=at, applied=int(applied[at])) for at in applied.nonzero()[0].tolist()
            ],
        )

    # parts

    def _feed(self, number: int, now_ns: int, quarantined: dict[str, int], parked: dict[str, int]) -> FeedAnswer:
        rule, topic = self._feeds.rules[number], self.read.topic(self.names[number])
        words: list[int] = self._tables.array["feed"][number].tolist()
        return FeedAnswer(
            feed=rule.feed,
            title=rule.title,
            topic=topic,
            state=FeedState(words[HealthWord.STATE]).name.lower(),
            since=moment(words[HealthWord.SINCE_NS]),
            concern=list(rule.concern),
            required=rule.required,
            limit_s=rule.limit_s,
            partitions=words[FeedWord.PARTITIONS],
            lag=words[FeedWord.LAG],
            age_ms=_age_ms(now_ns, words[FeedWord.RECEIVED_NS]),
            late_ms=_age_ms(now_ns, words[FeedWord.ALIVE_NS]),
            last_good=moment(words[FeedWord.ALIVE_NS]),
            last_record=moment(words[FeedWord.RECEIVED_NS]),
            last_event=moment(words[FeedWord.EVENT_NS]),
            rate=words[HealthWord.MILLI_RATE] / 1_000,
            rates=[round(rate, 1) for rate in self._feeds.rates(number)],
            records=words[FeedWord.RECORDS],
            events=words[FeedWord.EVENTS],
            unreadable=words[FeedWord.UNREADABLE],
            gaps=self._feeds.gaps(number),
            quarantined=quarantined.get(topic, 0),
            parked=parked.get(topic, 0),
        )

    def _sources(self, feed: int) -> list[SourceAnswer]:
        array = self._tables.array
        chosen = (self._feeds.came_through == feed).nonzero()[0].tolist()
        return [
            SourceAnswer(
                source=bytes(array["source"]["code"][number]).decode(),
                newest=int(array["newest"][number]),
                missing=int(array["missing"][number]),
                gaps=[Gap(first, last) for first, last in self._machine.gaps(number)]
                if array["missing"][number]
                else [],
            )
            for number in chosen
            if number
        ]

    def _processes(self, now_ns: int) -> list[ProcessAnswer]:
        told = []
        for process in process_table.read(self._settings.folder):
            seen = process_table.look(process.pid) if process.pid else None
            told.append(
                ProcessAnswer(
                    process=process.name,
                    state=("live" if process.ready else "starting") if seen else "down",
                    pid=process.pid,
                    up_ms=_age_ms(now_ns, process.since_ns) if seen else None,
                    restarts=process.restarts,
                    memory_bytes=seen.memory_bytes if seen else None,
                    processor_s=round(seen.processor_s, 2) if seen else None,
                )
            )
        return told

    def parked(self) -> ParkedSum:
        """What waits, in sum."""
        parking, count = self.keeping.parking, self._tables.count
        oldest = parking.oldest
        return ParkedSum(
            records=len(parking),
            events=count(Word.PARKED),
            shares=count(Word.PARKED_SHARES),
            bytes=parking.size_bytes,
            limit_records=parking.limits.records,
            limit_bytes=parking.limits.size_bytes,
            oldest=moment(oldest.parked_ns) if oldest else None,
            problem=self.keeping.beside.problem,
        )

    def _quarantine(self, events: int) -> QuarantineSum:
        store = self.keeping.quarantine
        return QuarantineSum(
            entries=store.size.entries,
            events=events,
            bytes=store.size.size_bytes,
            dropped=store.size.dropped,
            limit_entries=store.limits.entries,
            limit_bytes=store.limits.size_bytes,
        )

    async def _by_topic(self) -> dict[str, int]:
        """Events in the quarantine by topic, as of a moment ago."""
        if time.monotonic() - self._quarantined.at_s > COUNT_AGAIN_S:
            self._quarantined.at_s = time.monotonic()
            self._quarantined.by_topic = await self.keeping.beside.ask(self.keeping.quarantine.by_topic)
        return self._quarantined.by_topic


def _age_ms(now_ns: int, then_ns: int) -> int | None:
    return max(0, now_ns - then_ns) // _MS if then_ns else None
