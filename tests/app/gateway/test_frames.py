"""Frames, decoded by the rules they are described with."""

import math
import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.gateway import frames
from tests.app.gateway.conftest import Frame, decode

NUMBERS = st.one_of(st.floats(allow_nan=True), st.integers(-(2**53), 2**53).map(float))
TEXTS = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=20)


def framed(kind: int, count: int, n: int, body: bytes) -> bytes:
    return frames.header(kind, 65_535, 3, count, 50_000, 1.5, 2.5, 4_000_000_000, n) + body


def check_header(frame: Frame) -> None:
    assert (frame.v, frame.first, frame.total, frame.membership) == (65_535, 3, 50_000, 4_000_000_000)
    assert (frame.as_of_ms, frame.sent_ms) == (1.5, 2.5)


@given(rows=st.lists(st.tuples(st.integers(1, 2**31 - 1), NUMBERS, TEXTS, TEXTS), max_size=20))
def test_a_window_arrives_as_it_was_sent(rows: list[tuple[int, float, str, str]]) -> None:
    ids, numbers, names, codes = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [], [])
    columns = [
        frames.text_column(np.array([name.encode() for name in names], "S80")),
        frames.number_column(np.array(numbers, float)),
        frames.text_column(np.array([code.encode() for code in codes], "S80")),
    ]
    body = frames.window_body(np.array(ids, np.int32), columns)
    data = framed(frames.WINDOW, len(ids), len(columns), body)
    assert len(data) % 8 == 0
    frame = decode(data, ["text", "number", "text"])
    check_header(frame)
    assert frame.ids == ids
    assert frame.columns[0] == names
    assert frame.columns[2] == codes
    np.testing.assert_array_equal(frame.columns[1], numbers)


@given(
    cells=st.lists(st.tuples(NUMBERS, st.integers(0, 499), st.integers(0, 63)), max_size=40, unique_by=lambda c: c[1:])
)
def test_changed_cells_arrive_as_they_were_sent(cells: list[tuple[float, int, int]]) -> None:
    values = np.array([value for value, _, _ in cells], float)
    rows = np.array([row for _, row, _ in cells], np.uint16)
    columns = np.array([column for _, _, column in cells], np.uint8)
    body = frames.changes_body(values, rows, columns)
    frame = decode(framed(frames.CHANGES, 60, len(cells), body), [])
    check_header(frame)
    assert len(frame.changed) == len(cells)
    for value, row, column in cells:
        arrived = frame.changed[(row, column)]
        assert arrived == value or (math.isnan(arrived) and math.isnan(value))


def test_the_header_has_the_forty_bytes_that_clients_read() -> None:
    made = frames.header(2, 7, 120, 60, 50_000, 1.0, 2.0, 9, 3)
    assert made == struct.pack("<BBHIIIddII", 2, 0, 7, 120, 60, 50_000, 1.0, 2.0, 9, 3)
    assert len(made) == 40
