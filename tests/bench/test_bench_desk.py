"""`ims bench locates` and `ims bench orders` measure what they say, at any size."""

import argparse
from types import ModuleType

import pytest

from app.bench import locates, orders

SMALL = "--requests 40 --clients 4 --events 2000 --seconds 0.5 --securities 50 --runs 1".split()


@pytest.mark.parametrize(("bench", "what"), [(locates, "locates"), (orders, "orders")])
def test_the_bench_answers_its_timetable_while_events_are_applied(bench: ModuleType, what: str) -> None:
    parser = argparse.ArgumentParser()
    bench.add(parser)
    figures = {name: value for name, value in bench.run(parser.parse_args(SMALL)).items() if isinstance(value, float)}
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]
    assert 0 < figures[f"{what}_per_s"] <= 60
    assert 0 < figures["list_of_1000_ms"] <= figures["list_of_1000_worst_ms"]
    assert min(figures[name] for name in ("events_per_s", f"most_{what}_per_s", "rss_mb")) > 0
