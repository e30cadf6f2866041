"""`ims bench impact` runs, in a small size, and gives its figures under names with their units."""

import json

import pytest

from app import cli


def test_impact_reads_every_row_beside_a_writer(capsys: pytest.CaptureFixture[str]) -> None:
    size = "--securities 300 --rows 9000 --books 20 --events 5000 --seconds 0.5 --runs 1".split()
    assert cli.main(["bench", "impact", *size, "--json"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["rows"] >= 9_000
    assert report["rows_read"] >= report["rows"]
    assert report["impact_ms"] > 0
    assert report["beside_p99_ms"] >= report["beside_p50_ms"] > 0
