"""Every bench runs, in a small size, and gives its figures under names with their units. No figure is judged here."""

import json
from typing import Any

import pytest

from app import cli
from app.bench.latency import seen_after


def _bench(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert cli.main(["bench", *arguments, "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["bench"] == arguments[0]
    assert report["cores"] >= 1
    assert report["rss_mb"] > 0
    return report


@pytest.mark.parametrize("popularity", ["zipf", "uniform"])
def test_kernel_agrees_with_numpy(capsys: pytest.CaptureFixture[str], popularity: str) -> None:
    size = "--events 60000 --books 50 --securities 500 --runs 1 --popularity".split()
    report = _bench(capsys, "kernel", *size, popularity)
    assert report["events_per_s"] > 0
    assert report["step_events_per_s"] > 0


def test_kafka_applies_all_that_was_loaded(capsys: pytest.CaptureFixture[str], kafka: str) -> None:
    size = "--json-events 20000 --arrow-events 50000 --workers 1 --runs 1 --kafka".split()
    report = _bench(capsys, "kafka", *size, kafka)
    assert all(report[case]["events_per_s"] > 0 for case in ("json_1_worker", "arrow_1_worker"))


@pytest.mark.usefixtures("chromium_path")
def test_start_sees_the_first_row(capsys: pytest.CaptureFixture[str]) -> None:
    report = _bench(capsys, "start", "--runs", "1", "--securities", "400")
    assert report["first_data_ms"] > 0
    assert report["page_first_data_ms"] > 0


@pytest.mark.usefixtures("chromium_path", "kafka")
def test_latency_follows_prices_from_the_broker_to_the_cell(capsys: pytest.CaptureFixture[str]) -> None:
    size = "--rate 2000 --securities 400 --settle 1 --probes 10 --runs 1 --encoding arrow".split()
    report = _bench(capsys, "latency", *size)
    assert report["arrow_p99_ms"] >= report["arrow_p50_ms"] > 0


def test_a_price_that_was_overtaken_counts_with_the_one_that_overtook_it() -> None:
    sent = [("1.00", 0.0), ("1.01", 200.0), ("1.02", 400.0), ("1.03", 600.0)]
    assert seen_after(sent, {"1.00": 30.0, "1.02": 900.0, "1.03": 910.0}) == [30.0, 700.0, 500.0, 310.0]


def test_archive_knows_what_it_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    report = _bench(capsys, "archive", *"--events 40000 --books 20 --securities 60 --rows 2000".split())
    assert report["busiest_events"] > 0
    assert report["bytes_per_event"] > 0


def test_history_draws_what_it_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    report = _bench(capsys, "history", *"--securities 200 --minutes 62 --part 0.5".split())
    assert report["line_points"] > 1
    assert report["files"] == 1 + 2
    assert report["bytes_per_row"] > 0
