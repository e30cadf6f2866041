"""Counters for Prometheus: the machine's own from its tables, and those of locates."""

from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.latencies import Latencies
from engine.locates import Change, Reason, State
from engine.tables import Tables, Word

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_S: Final = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0, 5.0)
_COUNTERS: Final = {
    "events": (Word.EVENTS, "Events applied."),
    "duplicates": (Word.DUPLICATES, "Events dropped because they had come before."),
    "rejected": (Word.REJECTED, "Events that could not be applied."),
    "quarantined": (Word.QUARANTINED, "Records that could not be read."),
    "batches": (Word.BATCHES, "Batches applied."),
}
_GAUGES: Final = {
    "securities": (Word.SECURITIES, "Securities known."),
    "books": (Word.BOOKS, "Books known."),
    "rows": (Word.ROWS, "Rows of the position table."),
    "parked": (Word.PARKED, "Events that wait for reference data."),
    "parked_shares": (Word.PARKED_SHARES, "Shares they are about."),
    "stale": (Word.STALE, "What late feeds make doubtful: 1 shares, 2 money, 4 reference, 8 statements; their sum."),
    "corrected": (Word.CORRECTED, "Events replaced or taken back by id."),
    "missing": (Word.MISSING, "Sequence numbers skipped that have not come since."),
    "ready": (Word.READY, "1 once every feed has handed over what existed at start."),
    "locates_live": (Word.LOCATES_LIVE, "Locates that hold their decrement."),
    "locates_pending": (Word.LOCATES_PENDING, "Locates that wait."),
    "located_shares": (Word.LOCATED_SHARES, "Live decrements of short locates over all securities."),
}
_TIMES: Final = {
    "heartbeat": (Word.HEARTBEAT_NS, "When the engine was last alive."),
    "snapshot": (Word.SNAPSHOT_NS, "When the newest snapshot was taken."),
    "last_event": (Word.LAST_EVENT_NS, "The newest event's own time."),
    "started": (Word.STARTED_NS, "When the engine was started."),
}


class _Machine(Collector):
    """Reads the tables when asked."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def collect(self) -> Iterator[Metric]:
        for name, (word, text) in _COUNTERS.items():
            yield CounterMetricFamily(f"ims_{name}", text, self._tables.count(word))
        for name, (word, text) in _GAUGES.items():
            yield GaugeMetricFamily(f"ims_{name}", text, self._tables.count(word))
        for name, (word, text) in _TIMES.items():
            yield GaugeMetricFamily(f"ims_{name}_timestamp_seconds", text, self._tables.count(word) / 1e9)


class Metrics:
    """What happened in this API since it was started."""

    def __init__(self, tables: Tables, *others: Collector) -> None:
        self._registry = CollectorRegistry()
        for collector in (_Machine(tables), *others):
            self._registry.register(collector)
        self._changes = Counter(
            "ims_locate_changes", "Locates that came into a state.", ["state", "reason"], registry=self._registry
        )
        self._latency = Histogram(
            "ims_locate_request_seconds",
            "From the last byte of a POST of locates to its answer.",
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._answers = Counter("ims_api_answers", "Answers by status.", ["status"], registry=self._registry)
        self.latencies = Latencies()
        # looking a label up costs as much as a request's JSON
        self._by_state: dict[tuple[State, Reason | None], Counter] = {}
        self._by_status: dict[int, Counter] = {}

    def latency(self, seconds: float) -> None:
        """A POST of locates was answered in so long."""
        self._latency.observe(seconds)
        self.latencies.observe(seconds)

    def changed(self, changes: Sequence[Change]) -> None:
        """Count settled changes by state and reason."""
        for change in changes:
            after = change.after
            counter = self._by_state.get((after.state, after.reason))
            if counter is None:
                counter = self._changes.labels(after.state.value, after.reason.value if after.reason else "")
                self._by_state[after.state, after.reason] = counter
            counter.inc()

    def answered(self, status: int) -> None:
        """Count an answer of any resource."""
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = self._answers.labels(str(status))
        counter.inc()

    def text(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self._registry)
