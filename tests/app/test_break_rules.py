"""The document of breaks is read strictly, and says how far two sides may be apart and how bad it is."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from app.bench import services
from app.breaks import rules
from app.breaks.rules import BreakRules, BreakRulesError, Tolerance
from engine.break_kinds import BreakKind, Severity
from tests.app.breaks_document import SHIPPED, changed

MARKETS = ("US", "TW")


def read(document: object) -> BreakRules:
    return rules.read(yaml.safe_dump(document), MARKETS)


def test_the_shipped_document_says_something_of_every_kind() -> None:
    assert set(rules.shipped(MARKETS).kinds) == set(BreakKind)


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (("format",), 2, "format"),
        (("color",), "red", "color"),
        (("tolerances",), [], "tolerances"),
        (("tolerances",), [{"shares": -1}], "shares"),
        (("tolerances",), [{"shares": 1, "market": "US"}], "without market and depot"),
        (("tolerances",), [{"shares": 1}, {"shares": 2}], "two tolerances"),
        (("tolerances",), [{"shares": 1}, {"shares": 2, "market": "MARS"}], "no market MARS"),
        (("kinds", "depot", "after_s"), "5", "after_s"),
        (("kinds", "depot", "severity"), "awful", "severity"),
        (("kinds", "weather"), {"after_s": 0, "severity": "low", "raise": []}, "weather"),
        (("kinds", "depot", "raise"), [{"severity": "high"}], "raised by nothing"),
        (("kinds", "depot", "raise"), [{"severity": "low", "value": 1}], "from less to more severe"),
        (("kinds", "depot"), None, "depot"),
    ],
)
def test_what_is_wrong_with_a_document_is_said(path: tuple[str, ...], value: object, why: str) -> None:
    with pytest.raises(BreakRulesError, match=why):
        read(changed(SHIPPED, path, value))


def test_the_tolerance_that_says_most_counts() -> None:
    entries = [
        {"shares": 1},
        {"shares": 2, "market": "US"},
        {"shares": 3, "depot": "DTC"},
        {"shares": 4, "market": "US", "depot": "DTC"},
        {"shares": 5, "basis_points": 100, "depot": "CREST"},
    ]
    found = read(changed(SHIPPED, ("tolerances",), entries))
    asked = (("TW", "X"), ("US", "X"), ("TW", "DTC"), ("US", "DTC"), ("US", "CREST"))
    assert [found.tolerance(market, depot, 10_000) for market, depot in asked] == [1, 2, 3, 4, 100]
    assert Tolerance(shares=5, basis_points=100).of(-10_000) == 100


def test_a_break_is_as_bad_as_the_worst_that_it_reaches() -> None:
    depot = rules.shipped(MARKETS).kinds[BreakKind.DEPOT]
    assert depot.judged(None, 0, 0, 0) == Severity.LOW
    assert depot.judged(-60_000.0, 0, 0, 0) == Severity.MEDIUM
    assert depot.judged(10.0, 5, 5, 0) == Severity.HIGH
    assert depot.judged(10.0, 0, 0, 10) == Severity.CRITICAL


def test_an_operators_document_says_what_is_otherwise_here_and_leaves_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("format: 1\ntolerances:\n  - {shares: 0}\n  - {shares: 250, depot: DTC}\n")
    file, shipped = rules.RulesFile(str(path), MARKETS), rules.shipped(MARKETS)
    assert [file.current().tolerance("US", depot, 0) for depot in ("DTC", "X")] == [250, 0]
    assert file.current().kinds == shipped.kinds
    loud = "format: 1\nkinds:\n  gap: {after_s: 900, severity: critical, raise: []}\n"
    path.write_text(loud)
    now = file.current()
    assert now.kinds[BreakKind.GAP].after_s == 900
    assert (now.kinds[BreakKind.DEPOT], now.tolerances) == (shipped.kinds[BreakKind.DEPOT], shipped.tolerances)
    path.write_text(loud.replace("critical", "awful!"))
    assert file.current() == now, "the last good one stays in force"
    assert file.problem.startswith(f"{path}: ")
    assert "severity" in file.problem
    path.write_text(loud)
    assert (file.current(), file.problem) == (now, "")
    path.unlink()
    assert (file.current(), bool(file.problem)) == (now, True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "a document with a format"),
        ("tolerances: [{shares: 1}]", "a document with a format"),
        ("format: 1\nkinds: [depot]", "each by its name"),
        ("format: 1\ncolor: red", "color"),
        ("format: 1\ntolerances: [{shares: 1, market: US}]", "without market and depot"),
        ("format: 1\ntolerances: [{shares: 1}, {shares: 2, market: MARS}]", "no market MARS"),
        ("format: [", "own.yaml"),
    ],
)
def test_what_is_wrong_with_an_operators_document_is_said(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(BreakRulesError, match=why):
        rules.RulesFile(str(path), MARKETS).current()


def test_a_service_does_not_start_with_rules_that_cannot_be_used(tmp_path: Path) -> None:
    path, port = tmp_path / "own.yaml", str(services.free_port())
    path.write_text("format: 1\ncolor: red")
    command = [
        sys.executable,
        "-m",
        "app.cli",
        "run",
        "--port",
        port,
        "--data",
        str(tmp_path),
        "--break-rules",
        str(path),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr.startswith(f"ims run: {path}: ")) == (2, True), ended.stderr
