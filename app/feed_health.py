"""How every feed fares: the workers' words added up, judged by its rule, and what is in doubt when one is late."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from app.feed_rules import DOUBTFUL, NS_PER_S, FeedRule, FeedState, HealthWord
from engine.model import Concern
from engine.ring import FeedWord, Ring
from engine.tables import FEED_STALE_NS, RECENT_EVENTS, Tables, Word

log = structlog.get_logger()
SAMPLE_NS: Final = 2 * NS_PER_S
SAMPLES: Final = 60
"""Rates kept of each feed: two minutes."""
BEHIND_NS: Final = 3 * NS_PER_S
"""From when on a feed that is not abreast is said to be behind."""
_ADDED: Final = (FeedWord.RECORDS, FeedWord.EVENTS, FeedWord.UNREADABLE, FeedWord.LAG, FeedWord.PARTITIONS)
_SPARSE: Final = 64
"""Every how many-th applied event is looked at to learn which source comes through which feed."""


@dataclass(slots=True)
class _Rate:
    """Records of one feed over time."""

    records: int = 0
    at_ns: int = 0
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES))


def added_up(rings: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The words of all workers as those of one: sums of what is counted, the newest of what came, the oldest sign of life.

    Shape (TOPICS, FEED_WORDS), as each of `rings`. A worker that reads no partition of a feed says nothing of its life.
    """
    words = np.stack(rings)
    reading = words[:, :, FeedWord.PARTITIONS] > 0
    total: NDArray[np.int64] = np.zeros(words.shape[1:], np.int64)
    for word in _ADDED:
        total[:, word] = words[:, :, word].sum(axis=0)
    for word in (FeedWord.RECEIVED_NS, FeedWord.EVENT_NS, FeedWord.STUCK):
        total[:, word] = words[:, :, word].max(axis=0)
    never = np.iinfo(np.int64).max
    alive = np.where(reading, words[:, :, FeedWord.ALIVE_NS], never).min(axis=0)
    total[:, FeedWord.ALIVE_NS] = np.where(alive == never, 0, alive)
    return total


def judged(
    rule: FeedRule, words: NDArray[np.int64], now_ns: int, *, ready: bool, trading: bool = True, since_ns: int = 0
) -> FeedState:
    """The state of a feed with these words; `ready`: the service has handed over what existed at start, at `since_ns`;
    `trading`: some market is open, so that a feed that never rests has something to say."""
    if words[FeedWord.PARTITIONS] == 0:
        return FeedState.MISSING if rule.required and ready else FeedState.OFF
    alive_ns = int(words[FeedWord.ALIVE_NS])
    heard_ns = int(words[FeedWord.RECEIVED_NS]) or since_ns
    if alive_ns == 0:
        return FeedState.STALE if ready else FeedState.STARTING
    late_ns = now_ns - alive_ns
    if late_ns > rule.limit_s * NS_PER_S:
        return FeedState.STALE
    if trading and rule.quiet_s and heard_ns and now_ns - heard_ns > rule.quiet_s * NS_PER_S:
        return FeedState.STALE
    return FeedState.BEHIND if late_ns > BEHIND_NS else FeedState.LIVE


class FeedHealth:
    """Keeps `feed` and `Word.STALE` of the tables. Call it from the writer's loop; `rules`: by the feed's number;
    `trading`: whether any market is open at a time."""

    def __init__(
        self,
        tables: Tables,
        rings: Sequence[Ring],
        rules: Sequence[FeedRule],
        trading: Callable[[int], bool] = lambda _: True,
    ) -> None:
        self.rules = tuple(rules)
        self._trading = trading
        self._tables = tables
        self._rings = tuple(rings)
        self._rates = [_Rate() for _ in rules]
        self._next_sample_ns = self._seen = 0
        self._ready_ns = 0
        """Since when what comes is new; 0 while there is something to hand over from before the start."""
        self.came_through: NDArray[np.int16] = np.full(tables.capacity.sources + 1, -1, np.int16)
        """By source, the number of the feed that its newest events came through; -1 for none."""

    def rates(self, feed: int) -> list[float]:
        """Records a second, oldest first, one each two seconds."""
        return list(self._rates[feed].rates)

    def gaps(self, feed: int) -> int:
        """Sequence numbers missing of all sources that come through a feed."""
        return int(self._tables.array["missing"][self.came_through == feed].sum())

    def tick(self, now_ns: int) -> None:
        """Add the workers up, and say what is in doubt."""
        if not self._rings:
            return
        array, state = self._tables.array["feed"], self._tables.state
        total = added_up([ring.feeds for ring in self._rings])
        ready = bool(state[Word.READY])
        self._ready_ns = (self._ready_ns or now_ns) if ready else 0
        sample = now_ns >= self._next_sample_ns
        stale, trading = 0, self._trading(now_ns)
        for number, rule in enumerate(self.rules):
            words = total[number]
            now = judged(rule, words, now_ns, ready=ready, trading=trading, since_ns=self._ready_ns)
            before = FeedState(int(array[number, HealthWord.STATE]))
            since_ns = int(array[number, HealthWord.SINCE_NS]) if now == before else now_ns
            if now != before:
                _say(rule, before, now)
            if sample:
                self._sample(number, int(words[FeedWord.RECORDS]), now_ns)
            words[HealthWord.STATE], words[HealthWord.SINCE_NS] = now, since_ns
            rates = self._rates[number].rates
            words[HealthWord.MILLI_RATE] = round(1_000 * rates[-1]) if rates else 0
            if now in DOUBTFUL:
                stale |= rule.concerns
        if sample:
            self._learn()
            self._next_sample_ns = now_ns + SAMPLE_NS
        array[:] = total
        state[Word.STALE] = stale | self._without_words(total, now_ns, ready=ready)

    def _without_words(self, total: NDArray[np.int64], now_ns: int, *, ready: bool) -> int:
        """What is in doubt whatever the single feeds say: no sign of life of the workers, nobody who brings shares, or files
        that were accepted and cannot be read."""
        state = self._tables.state
        silent = bool(state[Word.FEED_NS]) and now_ns - int(state[Word.FEED_NS]) > FEED_STALE_NS
        read = total[:, FeedWord.PARTITIONS] > 0
        shares = any(read[number] and rule.concerns & Concern.SHARES for number, rule in enumerate(self.rules))
        nobody = ready and bool(read.any()) and not shares
        stuck = bool(total[:, FeedWord.STUCK].any())
        return int(Concern.SHARES | Concern.MONEY) if silent or nobody or stuck else 0

    def _learn(self) -> None:
        """Which source comes through which feed, from some of the events applied since the last look."""
        written, recent = self._tables.count(Word.RECENT), self._tables.array["recent"]
        some = np.arange(max(self._seen, written - RECENT_EVENTS), written, _SPARSE) % RECENT_EVENTS
        self._seen = written
        self.came_through[recent["source"][some]] = recent["topic"][some]

    def _sample(self, number: int, records: int, now_ns: int) -> None:
        rate = self._rates[number]
        # a counter that is smaller than before is that of a new worker
        if rate.at_ns and records >= rate.records:
            rate.rates.append((records - rate.records) * NS_PER_S / (now_ns - rate.at_ns))
        rate.records, rate.at_ns = records, now_ns


def _say(rule: FeedRule, before: FeedState, now: FeedState) -> None:
    tell: Callable[..., None] = log.warning if now in DOUBTFUL else log.info
    if now in DOUBTFUL or before in DOUBTFUL:
        tell("feed", feed=rule.feed, state=now.name.lower(), before=before.name.lower(), concern=list(rule.concern))
