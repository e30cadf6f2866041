"""`ims bench locates` measures what it says, at any size."""

import argparse

from app.bench import locates


def test_the_bench_answers_its_timetable_while_events_are_applied() -> None:
    parser = argparse.ArgumentParser()
    locates.add(parser)
    small = [
        "--requests",
        "50",
        "--clients",
        "4",
        "--events",
        "2000",
        "--seconds",
        "1",
        "--securities",
        "50",
        "--runs",
        "1",
    ]
    figures = locates.run(parser.parse_args(small))
    assert 0 < float(str(figures["p50_ms"])) <= float(str(figures["p99_ms"]))
    assert 0 < float(str(figures["requests_per_s"])) <= 60
    assert float(str(figures["events_per_s"])) > 0
    assert float(str(figures["most_requests_per_s"])) > 0
    assert float(str(figures["rss_mb"])) > 0
    assert int(str(figures["locates"])) > 0
