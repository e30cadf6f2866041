"""How every feed fares, for Prometheus: one series per feed."""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.api.health_answers import FeedAnswer
from app.health import HealthDesk

_GAUGES: Final[dict[str, tuple[str, Callable[[FeedAnswer], float]]]] = {
    "lag_records": ("Records that are there and not yet read.", lambda feed: feed.lag),
    "age_seconds": ("Since its newest record came; -1 for never.", lambda feed: _seconds(feed.age_ms)),
    "late_seconds": ("Since it was last known to be complete; -1 for never.", lambda feed: _seconds(feed.late_ms)),
    "limit_seconds": ("Later than this, it is stale.", lambda feed: feed.limit_s),
    "rate": ("Records a second.", lambda feed: feed.rate),
    "last_good_timestamp_seconds": (
        "When it was last known to be complete; 0 for never.",
        lambda feed: feed.last_good.timestamp() if feed.last_good else 0,
    ),
    "gaps": ("Sequence numbers missing.", lambda feed: feed.gaps),
    "quarantined": ("Events of it that are in the quarantine.", lambda feed: feed.quarantined),
    "parked": ("Records of it that wait for reference data.", lambda feed: feed.parked),
    "stale": ("1 while it is later than its limit, or missing.", lambda feed: feed.state in ("stale", "missing")),
    "up": ("1 while it is read and abreast of its source.", lambda feed: feed.state == "live"),
}
_COUNTERS: Final[dict[str, tuple[str, Callable[[FeedAnswer], float]]]] = {
    "records": ("Records read.", lambda feed: feed.records),
    "events": ("Events they held.", lambda feed: feed.events),
    "unreadable": ("Records that could not be used when they came.", lambda feed: feed.unreadable),
}


class FeedMetrics(Collector):
    """Asks the health desk when it is asked."""

    def __init__(self, health: HealthDesk) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        feeds = [feed for feed in self._health.feeds_now() if feed.state != "off"]
        for name, (text, value) in _GAUGES.items():
            gauge = GaugeMetricFamily(f"ims_feed_{name}", text, labels=["feed"])
            for feed in feeds:
                gauge.add_metric([feed.feed], float(value(feed)))
            yield gauge
        for name, (text, value) in _COUNTERS.items():
            counter = CounterMetricFamily(f"ims_feed_{name}", text, labels=["feed"])
            for feed in feeds:
                counter.add_metric([feed.feed], float(value(feed)))
            yield counter
        parked = self._health.parked()
        yield GaugeMetricFamily("ims_parked_records", "Records that wait for reference data.", parked.records)
        size = self._health.keeping.quarantine.size
        yield GaugeMetricFamily("ims_quarantine_entries", "Records in the quarantine.", size.entries)
        yield GaugeMetricFamily("ims_quarantine_dropped", "Records dropped because it was full.", size.dropped)


def _seconds(ms: int | None) -> float:
    return -1.0 if ms is None else ms / 1_000
