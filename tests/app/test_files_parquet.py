"""Parquet files are the same files in another form."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.files_store import FileState
from tests.app.files_world import TODAY, World, files_world

DAY = dt.date.fromisoformat(TODAY)


@pytest.fixture
def world(instance: str, tmp_path: Path) -> Iterator[World]:
    with files_world(instance, tmp_path) as made:
        yield made


def _columns(**more: pa.Array) -> dict[str, pa.Array]:
    return {
        "op": pa.array(["BUY", "SELL"]).dictionary_encode(),
        "sec": pa.array(["S2", "S2"]),
        "book": pa.array(["B1", "B1"]),
        "depot": pa.array(["D1", None]),
        "kind": pa.array(["FIRM", "FIRM"]),
        "trade": pa.array([DAY, DAY]),
        "settle": pa.array([DAY, DAY]),
        "qty": pa.array([100, 40], pa.int32()),
    } | more


def _write(world: World, columns: dict[str, pa.Array], name: str = "t.parquet") -> Path:
    path = world.data / "drop" / "trades" / name
    pq.write_table(pa.table(columns), path)
    return path


def test_rows_of_parquet_are_those_of_csv_and_the_same_content_counts_once(world: World) -> None:
    _write(world, _columns())
    (report,) = world.load()
    assert (report.state, report.format, report.rows) == (FileState.LOADED, "Parquet", 2), report.faults
    assert world.row("S2", "B1") == {"td": 60, "sd": 0, "intraday_buy": 100, "intraday_sell": 40}
    rows = f"BUY,S2,B1,D1,FIRM,{TODAY},{TODAY},100\nSELL,S2,B1,,FIRM,{TODAY},{TODAY},40\n"
    world.drop("trades", "same.csv", f"op,sec,book,depot,kind,trade,settle,qty\n{rows}#TRAILER,2\n")
    assert [report.state for report in world.load()] == [FileState.DUPLICATE]


def test_times_with_a_zone_and_whole_floats_are_read_and_fractions_refused(world: World) -> None:
    now = dt.datetime(2024, 10, 4, 6, 40, tzinfo=dt.UTC)
    _write(world, _columns(ts=pa.array([now, now]), qty=pa.array([7.0, 2.0])))
    assert [report.state for report in world.load()] == [FileState.LOADED]
    _write(world, _columns(qty=pa.array([7.5, 2.0])))
    (report,) = world.load()
    assert [(fault.line, fault.column, fault.value) for fault in report.faults] == [(1, "qty", "7.5")]


def test_text_as_bytes_and_whole_decimals_are_what_they_are_in_csv(world: World) -> None:
    quantities = [Decimal(100), Decimal(40)]
    forms = {
        "sec": pa.array([b"S2", b"S2"], pa.binary()),
        "book": pa.array([b"B1", b"B1"], pa.large_binary()),
        "depot": pa.array([b"D1", b"D1"], pa.binary(2)),
    }
    _write(world, _columns(**forms, qty=pa.array(quantities, pa.decimal128(18, 0))))
    (report,) = world.load()
    assert report.state == FileState.LOADED, report.faults
    assert world.row("S2", "B1") == {"td": 60, "sd": 0, "intraday_buy": 100, "intraday_sell": 40}
    _write(world, _columns(**forms, qty=pa.array(quantities, pa.decimal128(18, 2))))
    (report,) = world.load()
    assert (report.state, report.same_as) == (FileState.DUPLICATE, 1), report.faults


def test_bytes_that_are_no_text_and_fractions_are_faults_of_their_row(world: World) -> None:
    _write(world, _columns(sec=pa.array([b"S2", b"S\xf6"], pa.binary())))
    (report,) = world.load()
    assert [(fault.line, fault.column) for fault in report.faults] == [(2, "sec")]
    _write(world, _columns(qty=pa.array([Decimal("7.50"), Decimal(2)], pa.decimal128(18, 2))))
    (report,) = world.load()
    assert [(fault.line, fault.column, fault.value) for fault in report.faults] == [(1, "qty", "7.5")]


def test_a_parquet_file_cut_anywhere_is_refused(world: World) -> None:
    path = _write(world, _columns())
    whole = path.read_bytes()
    before = world.state()
    for at in range(0, len(whole), 211):
        path.write_bytes(whole[:at])
        world.patience()
        (report,) = world.load()
        assert report.state == FileState.REFUSED, at
    assert world.state() == before
