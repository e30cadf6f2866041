from collections.abc import Iterator
from typing import Any

import panel as pn
import pytest

from engine.model import Flag, Kind, Op
from engine.state import Machine
from engine.views import Reader, SecurityDetail, SegmentMissingError, security_detail
from layouts.charts import HistoryChart, LadderChart, Waterfall
from layouts.components.choices import Choices
from layouts.components.fact_table import FactTable
from layouts.components.live_grid import LiveGrid
from layouts.drilldown import DrillDown, Part
from layouts.explain import first_choice, inputs, steps
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


def told(detail: SecurityDetail) -> Any:
    return detail.explain(detail.catalogue.calculation(first_choice(detail)), 1)


@pytest.mark.parametrize("theme", PALETTES)
def test_charts_take_a_security_and_then_only_what_changed(made: Machine, detail: SecurityDetail, theme: str) -> None:
    palette = PALETTES[theme]
    fall, ladder = Waterfall(palette, lambda _key: None), LadderChart(palette)
    history = HistoryChart(palette, ("For loan", "Pool", "Left"))
    charts: list[Any] = [fall, ladder, history]

    def show(what: SecurityDetail) -> list[Any]:
        fall.update(steps(told(what)), str, 1, "")
        ladder.update(what)
        history.update(what)
        return [chart._source.data for chart in charts]

    first = show(detail)
    assert all(a is b for a, b in zip(first, show(security_detail(made.tables, 2)), strict=True))
    made.apply(events({"op": Op.SET, "kind": Kind.FIRM, "quantity": 1, "book": 1}, first_seq=99))
    assert all(a is not b for a, b in zip(first, show(security_detail(made.tables, 2)), strict=True))


def test_a_bar_that_is_picked_names_its_input_and_stays_picked(detail: SecurityDetail) -> None:
    picked: list[str] = []
    fall, bars = Waterfall(PALETTES["dark"], picked.append), steps(told(detail))
    fall.update(bars, str, 1, "")
    fall._source.selected.indices = [1]
    fall._source.selected.indices = []
    assert picked == [bars[1].key, ""]
    fall.update(bars, str, 1, bars[2].key)
    assert fall._source.selected.indices == [2]


@pytest.fixture
def open_down(made: Machine, instance: str, detail: SecurityDetail) -> DrillDown:
    """The drill-down of S2, on the screen."""
    down = DrillDown(LiveGrid(selected="S2"), Lookup(Reader(f"{instance}.tables"), "USD"))
    down._take(detail, "")
    return down


def bars_of(down: DrillDown) -> dict[str, str]:
    pane: Any = down._parts[0].view[-1]
    data = next(r.data_source.data for r in pane.object.renderers if "label" in r.data_source.data)
    return dict(zip(data["label"], data["text"], strict=True))


def table_of(down: DrillDown) -> FactTable:
    table: Any = down._parts[3].view[-1]
    assert isinstance(table, FactTable)
    return table


def test_a_person_chooses_any_number_day_and_split(open_down: DrillDown, detail: SecurityDetail) -> None:
    made = open_down._made
    assert made.chosen == {"day": f"SD{detail.market.settle_days}", "calculation": "remaining", "view": "steps"}
    assert list(bars_of(open_down))[-1] == "Remaining"
    made.chosen = made.chosen | {"calculation": "market_value", "day": "SD0"}
    assert bars_of(open_down)["Market value"].endswith("123,400.00")
    made.chosen = made.chosen | {"calculation": "for_loan", "view": "depot", "day": "SD1"}
    assert list(bars_of(open_down))[-1] == "For loan"


def test_an_input_that_is_chosen_shows_its_rule_and_just_its_rows(open_down: DrillDown, detail: SecurityDetail) -> None:
    open_down._made.chosen = open_down._made.chosen | {"day": "SD1"}
    table, keys = table_of(open_down), {each.name: key for key, _, each in inputs(told(detail))}
    assert [row[:2] for row in table.rows] == [["B2", "Client free"], ["B1", "Firm"]]
    open_down._pick(keys["shorts"])
    assert [row[:5] for row in table.rows] == [["B2", "Client free", "", "", "20,000"]]
    assert "rule for_loan.shorts, version 1 of default" in table.note
    open_down._from.chosen = {"input": ""}
    assert (len(table.rows), table.note) == (2, "")


def test_overborrow_shows_what_to_give_back(made: Machine, open_down: DrillDown) -> None:
    borrow = {"kind": Kind.SLAB_BORROW, "book": 3, "depot": 1}
    made.apply(
        events(
            {"op": Op.SET, "quantity": 500, **borrow}, {"op": Op.SET_RATE, "quantity": 25_000, **borrow}, first_seq=50
        )
    )
    open_down._take(security_detail(made.tables, 2), "")
    open_down._made.chosen = open_down._made.chosen | {"calculation": "overborrow", "day": "SD0"}
    open_down._pick("returns")
    table = table_of(open_down)
    assert [row[:5] for row in table.rows] == [["B3", "Slab borrow", "", "D1", "500"]]
    assert table.note == "To give back, the dearest borrow first: 500 of B3 at 2.5000%"
    open_down._made.chosen = open_down._made.chosen | {"calculation": "for_loan"}
    assert (open_down._from.chosen, len(table.rows)) == ({"input": ""}, 3)


def test_what_was_chosen_stays_for_the_next_security_but_the_day_is_its_own(
    made: Machine, open_down: DrillDown
) -> None:
    open_down._made.chosen = open_down._made.chosen | {"calculation": "for_loan", "view": "stability", "day": "SD4"}
    other = security_detail(made.tables, 3)
    open_down._link.place = open_down._link.place | {"day": "", "sec": "S3"}  # as the browser goes to another security
    open_down._take(other, "")
    day = f"SD{other.market.settle_days}"
    assert open_down._made.chosen == {"day": day, "calculation": "for_loan", "view": "stability"}


def test_rows_and_events_read_as_a_person_says_them(detail: SecurityDetail) -> None:
    rows, keys, marked = rows_by_book(detail)
    assert keys == ["B2|CLIENT_FREE|", "B1|FIRM|"]
    assert [row[:2] for row in rows] == [["B2", "Client free"], ["B1", "Firm"]]
    assert marked == -1
    assert rows[0][4:6] == ["", "-20,000"]
    assert {len(row) for row in rows} == {len(ROW_HEAD)}
    (newest, cancel, sale, _), known = latest_events(detail, ("ims.events",))
    assert newest[2:4] == ["Price", "12.3400"]
    assert cancel[2] == "Sell (cancel)"
    assert sale[3] == "20,000"
    assert sale[8:] == ["s1", "2", "ims.events", "0", "0"]
    assert known == ["s1 4", "s1 3", "s1 2", "s1 1"]
    assert len(sale) == len(EVENT_HEAD)
    of_row, _ = latest_events(detail, (), "B2|CLIENT_FREE|")
    assert [event[3] for event in of_row] == ["20,000"]


def test_the_row_that_was_opened_stands_first_whatever_its_size(detail: SecurityDetail) -> None:
    small = next(i for i, book in enumerate(detail.rows.book) if book == "B1")
    rows, _, marked = rows_by_book(detail, first=int(detail.rows.number[small]) + 1)
    assert ([row[0] for row in rows], marked) == (["B1", "B2"], 0)


def test_where_a_person_is_is_in_the_address_and_an_address_leads_there(
    open_down: DrillDown, detail: SecurityDetail
) -> None:
    link, table = open_down._link, table_of(open_down)
    assert link.place == {"num": "remaining", "day": "1", "told": "", "of": "", "line": "", "step": ""}, (
        "no step of theirs"
    )
    open_down._made.chosen = open_down._made.chosen | {"calculation": "for_loan", "day": "SD2", "view": "depot"}
    assert link.place == {"num": "for_loan", "day": "2", "told": "depot", "of": "", "line": "", "step": "1"}
    open_down._pick("for_loan/shorts/for_loan.shorts")
    table.picked = table.keys[0]
    went = dict(link.place)
    assert (went["of"], went["line"], went["step"]) == ("for_loan/shorts/for_loan.shorts", "B2|CLIENT_FREE|", "1")
    events_shown: Any = open_down._parts[4].view[-1]
    assert [row[3] for row in events_shown.rows] == ["20,000"]
    assert events_shown.row == {"book": "B2", "kind": "CLIENT_FREE", "depot": ""}
    link.place = {"num": "utilisation", "day": "0"}  # the button back
    assert open_down._made.chosen == {"day": "SD0", "calculation": "utilisation", "view": "steps"}
    assert (open_down._from.chosen, table.picked, len(events_shown.rows)) == ({"input": ""}, "", 4)
    link.place = went
    assert table.picked == "B2|CLIENT_FREE|"
    assert open_down._made.chosen == {"day": "SD2", "calculation": "for_loan", "view": "depot"}


def test_the_column_of_a_term_leads_to_the_number_that_takes_it_in(open_down: DrillDown) -> None:
    open_down._link.place = {"num": "shorts", "day": "3"}
    assert open_down._made.chosen["calculation"] == "remaining"
    assert open_down._link.place["of"].split("/")[1] == "shorts"
    assert [row[:2] for row in table_of(open_down).rows] == [["B2", "Client free"]]
    open_down._link.place = {"num": "nothing of this name", "day": "9", "told": "by magic", "line": "x"}
    assert open_down._made.chosen == {"day": "SD1", "calculation": "remaining", "view": "steps"}


def test_a_part_that_fails_says_so_in_its_place_and_recovers(detail: SecurityDetail) -> None:
    fault = {"on": True}

    def show(_detail: SecurityDetail) -> None:
        if fault["on"]:
            raise ZeroDivisionError("no <b>ladder</b>")

    part = Part(Choices(title="Ladder"), pn.pane.HTML(""), show, grow=1)
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
