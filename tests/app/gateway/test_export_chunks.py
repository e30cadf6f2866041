"""Files are written in chunks and sheets: put together they are the whole."""

import time

import numpy as np
import pytest

from app.bench.synthetic import synthetic_positions
from app.export import csv_form, xlsx_form
from engine.tables import Tables, Word
from engine.views import Condition, Inventory, Query
from tests.app.gateway.workbooks import workbook


@pytest.fixture(autouse=True)
def _rows(tables: Tables) -> None:
    tables.state[Word.SECURITIES] = 40
    synthetic_positions(tables, 400)


def test_chunks_and_sheets_put_together_are_the_whole(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Inventory(tables).lines(Query(("name", "td", "rate"), table="positions"), time.time_ns())
    whole = b"".join(data for _, data in csv_form.written(lines))
    for module in (csv_form, xlsx_form):
        monkeypatch.setattr(module, "PER_CHUNK", 7)
    monkeypatch.setattr(xlsx_form, "MAX_LINES", 100)
    assert b"".join(data for _, data in csv_form.written(lines)) == whole
    sheets = workbook(b"".join(data for _, data in xlsx_form.written(lines, {"as_of": "now"})))
    assert list(sheets) == ["Rows", "Rows 2", "Rows 3", "Rows 4", "About"]
    assert {len(rows) for name, rows in sheets.items() if name != "About"} == {101}
    numbers = [row[1] for name, rows in sheets.items() if name != "About" for row in rows[1:]]
    assert numbers == [float(number) for number in lines.of("td").tolist()]


def test_a_file_of_nothing_is_a_file(tables: Tables) -> None:
    none = Query(("name", "td"), table="positions", where=(Condition("book", "in", ("nobody",)),))
    lines = Inventory(tables).lines(none, time.time_ns())
    assert b"".join(data for _, data in csv_form.written(lines)) == b"name,td\r\n"
    assert workbook(b"".join(data for _, data in xlsx_form.written(lines, {})))["Rows"] == [["name", "td"]]
    assert len(lines.of("td")) == 0
    assert np.issubdtype(lines.of("td").dtype, np.integer)
