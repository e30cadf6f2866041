from collections.abc import Iterator
from typing import Any

import panel as pn
import pytest

from engine.model import Flag, Kind, Op
from engine.state import Machine
from engine.views import Reader, SecurityDetail, SegmentMissingError, security_detail
from layouts.charts import HistoryChart, LadderChart, Waterfall
from layouts.drilldown import Part
from layouts.lookup import Lookup
from layouts.palette import PALETTES
from layouts.tables import EVENT_HEAD, ROW_HEAD, latest_events, rows_by_book
from tests.engine.machines import TODAY, events, machine

WRITTEN = [
    {"op": Op.SET, "kind": Kind.FIRM, "quantity": 10_000, "book": 1},
    {"op": Op.SELL, "kind": Kind.CLIENT_FREE, "quantity": 20_000, "book": 2, "settle_date": TODAY + 1},
    {"op": Op.SELL, "kind": Kind.FIRM, "quantity": 5, "book": 1, "settle_date": TODAY + 1, "flags": int(Flag.CANCEL)},
    {"op": Op.PRICE, "quantity": 12_340_000, "book": 0},
]


@pytest.fixture
def made(instance: str) -> Iterator[Machine]:
    with machine(instance) as running:
        running.apply(events(*WRITTEN))
        yield running


@pytest.fixture
def detail(made: Machine) -> SecurityDetail:
    return security_detail(made.tables, 2)


@pytest.mark.parametrize("theme", PALETTES)
def test_charts_take_a_security_and_then_only_what_changed(made: Machine, detail: SecurityDetail, theme: str) -> None:
    fall, ladder, history = Waterfall(PALETTES[theme]), LadderChart(PALETTES[theme]), HistoryChart(PALETTES[theme])
    charts: list[Any] = [fall, ladder, history]

    def show(what: SecurityDetail) -> list[Any]:
        fall.update(what, 1)
        ladder.update(what)
        history.update(what)
        return [chart._source.data for chart in charts]

    first = show(detail)
    assert all(a is b for a, b in zip(first, show(security_detail(made.tables, 2)), strict=True))
    made.apply(events({"op": Op.SET, "kind": Kind.FIRM, "quantity": 1, "book": 1}, first_seq=99))
    assert all(a is not b for a, b in zip(first, show(security_detail(made.tables, 2)), strict=True))


def test_rows_and_events_read_as_a_person_says_them(detail: SecurityDetail) -> None:
    rows = rows_by_book(detail)
    assert [row[:2] for row in rows] == [["B2", "Client free"], ["B1", "Firm"]]
    assert rows[0][4] == "-20,000"
    assert {len(row) for row in rows} == {len(ROW_HEAD)}
    newest, cancel, sale, _ = latest_events(detail)
    assert newest[1:3] == ["Price", "12.3400"]
    assert cancel[1] == "Sell (cancel)"
    assert sale[2] == "20,000"
    assert len(sale) == len(EVENT_HEAD)


def test_a_part_that_fails_says_so_in_its_place_and_recovers(detail: SecurityDetail) -> None:
    fault = {"on": True}

    def show(_detail: SecurityDetail) -> None:
        if fault["on"]:
            raise ZeroDivisionError("no <b>ladder</b>")

    part = Part("Ladder", pn.pane.HTML(""), show, grow=1)
    part.show(detail)
    assert "no &lt;b&gt;ladder" in part._error.object
    assert part._error.visible
    assert not part._body.visible
    fault["on"] = False
    part.show(detail)
    assert part._body.visible
    assert not part._error.visible


def test_a_security_is_found_by_its_code(made: Machine, instance: str) -> None:
    lookup = Lookup(Reader(f"{instance}.tables"))
    assert lookup.detail("S3").text["code"] == "S3"
    for unknown in ("S99", "", "S"):
        with pytest.raises(KeyError):
            lookup.detail(unknown)


def test_without_an_engine_there_is_no_detail(instance: str) -> None:
    with pytest.raises(SegmentMissingError):
        Lookup(Reader(f"{instance}.tables")).detail("S1")
