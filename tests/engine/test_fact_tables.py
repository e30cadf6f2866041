"""Facts of domain.md 7 and many more like them, each written out by hand in tests/engine/facts, hold in the real machine."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import world
from engine import segment
from tests.engine.fact_days import Days
from tests.engine.fact_lines import FOLDER, FactError, Line, calculate, read
from tests.engine.fact_machine import results

LEAST = 40
"""Lines of a file beside the facts of the domain."""
FILES = sorted(path.stem for path in FOLDER.iterdir())
LADDER = {"settlement_ladder", "projected", "td_sd_break", "roll", "cancel", "calendar"}
BESIDE = {"short_cap_all": "short_cap_outstanding", "eu": "market_eu_uk"}
"""What has its lines in a file of another name."""


@pytest.fixture(scope="module")
def lines() -> dict[str, list[Line]]:
    return {name: read(FOLDER / f"{name}.txt") for name in FILES}


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Days:
    return Days(tmp_path_factory.mktemp("days"))


@pytest.fixture(scope="module")
def wrong(lines: dict[str, list[Line]], days: Days) -> Iterator[dict[str, list[str]]]:
    """What the machine has otherwise, by file."""
    instance = f"test-facts-{os.getpid()}"
    try:
        yield results([line for each in lines.values() for line in each], days, instance)
    finally:
        for path in segment.folder().glob(f"ims.{instance}.*"):
            path.unlink(missing_ok=True)


def test_every_calculation_and_every_document_has_its_file() -> None:
    book = world.rule_book()
    calculations = {BESIDE.get(each.name, each.name) for each in book.calculations}
    counting = [each for each in book.documents if each.name != "locates"]  # its own facts: test_locate_market_rules.py
    markets = {BESIDE.get(each.name, f"market_{each.name}") for each in counting}
    assert set(FILES) == LADDER | calculations | markets


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_enough_lines_beside_the_facts_of_the_domain(lines: dict[str, list[Line]], name: str) -> None:
    own = [line for line in lines[name] if not line.name.startswith("fact ")]
    if not name.startswith("market_") and name not in LADDER:
        of_file = {name} | {other for other, file in BESIDE.items() if file == name}
        own = [line for line in own if any(expected.what in of_file for expected in line.expected)]
    assert len(own) >= LEAST


def test_every_fact_that_an_inventory_decides_is_a_line(lines: dict[str, list[Line]]) -> None:
    """Fact 6, and what a locate desk does of 13, are in test_locate_facts.py."""
    names = [line.name for each in lines.values() for line in each]
    numbers = {int(found[1]) for name in names if (found := re.match(r"fact (\d+)", name))}
    assert numbers == set(range(1, 14)) - {6}


@pytest.mark.parametrize("name", FILES)
def test_the_arithmetic_of_each_line_is_true_by_itself(lines: dict[str, list[Line]], name: str) -> None:
    made = [(line.place, each, calculate(each.arithmetic)) for line in lines[name] for each in line.expected]
    assert [(place, str(each), value) for place, each, value in made if value != each.result] == []


@pytest.mark.parametrize("name", FILES)
def test_the_machine_gives_exactly_these_results(wrong: dict[str, list[str]], name: str) -> None:
    assert wrong.get(f"{name}.txt", []) == []


@pytest.mark.parametrize(
    "line",
    [
        "three parts | US | for_loan = 1 = 1",
        " | US | - | for_loan = 1 = 1",
        "no market | FIRM | - | for_loan = 1 = 1",
        "a kind | US | FRIM 100 | for_loan = 1 = 1",
        "a book | US | FIRM/X1 100 | for_loan = 1 = 1",
        "a word | US | FIRM 100 bye=5@1 | for_loan = 1 = 1",
        "no day | US | FIRM 100 buy=5 | for_loan = 1 = 1",
        "a manner | US | FIRM 100 undo:buy=5@1 | for_loan = 1 = 1",
        "a date | US | FIRM buy=5@2026-02-30 | for_loan = 1 = 1",
        "a fraction | US | FIRM 1.5 | for_loan = 1 = 1",
        "no quantity | US | FIRM | for_loan = 1 = 1",
        "a step | US | rolls 1 | for_loan = 1 = 1",
        "a decision | US | SHORT_LOCATE 5 | for_loan = 1 = 1",
        "a context | US warm | - | for_loan = 1 = 1",
        "a temperature | US temperature=COLD | - | for_loan = 1 = 1",
        "a time | US on=2026-01-05 at=9:00 | - | for_loan = 1 = 1",
        "a price too fine | US price=0.0000001 | - | market_value = 1 = 1",
        "a fee without its sign | US fee=3 | - | borrow_cost = 1 = 1",
        "no arithmetic | US | - | for_loan = 1",
        "other arithmetic | US | - | for_loan = pow(2, 3) = 8",
        "a division that is not whole | US | - | for_loan = 6 / 2 = 3",
        "a result | US | - | for_loan.7 = 1 = 1",
        "a result of days | US | - | for_loan.3-1 = 1 = 1",
        "a comment | US | - | for_loan = 1 = 1 # why",
    ],
)
def test_a_line_that_cannot_be_read_says_where(tmp_path: Path, line: str) -> None:
    path = tmp_path / "wrong.txt"
    path.write_text(f"right | US | FIRM 100 | for_loan = 100 = 100\n{line}\n")
    with pytest.raises(FactError, match=r"wrong\.txt:2: "):
        read(path)


def test_a_name_comes_once_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "twice.txt"
    path.write_text("one | US | - | for_loan = 0 = 0\n" * 2)
    with pytest.raises(FactError, match="'one' comes twice"):
        read(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("market | ZZ | - | for_loan = 0 = 0", "unknown market 'ZZ'"),
        ("result | US | FIRM 1 | for_load = 0 = 0", "unknown result 'for_load'"),
    ],
)
def test_a_market_or_a_result_that_nobody_knows_is_not_passed_over(
    tmp_path: Path, days: Days, instance: str, line: str, message: str
) -> None:
    path = tmp_path / "unknown.txt"
    path.write_text(line)
    with pytest.raises(FactError, match=rf"unknown\.txt:1: {message}"):
        results(read(path), days, instance)


def test_a_wrong_result_is_found(tmp_path: Path, days: Days, instance: str) -> None:
    path = tmp_path / "wrong.txt"
    path.write_text("right | US | FIRM 5 | for_loan = 5 = 5\nwrong | US | FIRM 5 | for_loan = 6 = 6 ; td = 5 = 5\n")
    assert results(read(path), days, instance)["wrong.txt"] == [
        f"wrong.txt:2: wrong: for_loan = 6 = 6, but {made} it is [5, 5, 5, 5, 5, 5]"
        for made in ("by its events", "from scratch")
    ]
