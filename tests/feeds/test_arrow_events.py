"""Arrow events: good rows become events, rows that name something unknown are set aside, and no bytes can break the feed."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model import NO_DATE, QUOTES, SYMBOL_BYTES, WIRE_FLAGS, Kind, Namespace, Op
from engine.symbols import Symbols, slots_for
from feeds import arrow_events, arrow_forms, json_events, quarantine
from feeds.json_events import ANYTHING
from feeds.quarantine import Decoded, Origin, Reason

SECURITIES = ("US0378331005", "TW0002330008", "X" * SYMBOL_BYTES, "Ünïcode")
BOOKS = ("B0001", "B0002")
DEPOTS = ("DTC", "CREST")
SOURCES = ("sim-0", "sim-1")
EPOCH = date(1970, 1, 1)


def _symbols() -> Symbols:
    symbols = Symbols(np.zeros((slots_for(64), 4), np.uint64))
    named = ((Namespace.SECURITY, SECURITIES), (Namespace.BOOK, BOOKS), (Namespace.DEPOT, DEPOTS))
    for namespace, codes in (*named, (Namespace.SOURCE, SOURCES)):
        raw = np.array([code.encode() for code in codes], f"S{SYMBOL_BYTES}")
        symbols.put(namespace, raw, np.arange(1, len(codes) + 1))
    return symbols


SYMBOLS = _symbols()


def _batch(rows: Iterable[json_events.Event], *, dictionary: bool = True) -> pa.RecordBatch:
    rows = list(rows)

    def text(name: str) -> pa.Array:
        column = pa.array([getattr(row, name) for row in rows], pa.utf8())
        return column.dictionary_encode() if dictionary else column

    return pa.record_batch(
        {
            "src": text("src"),
            "seq": pa.array([row.seq for row in rows], pa.int64()),
            "ts": pa.array([row.ts for row in rows], pa.int64()),
            "op": pa.array([Op[row.op] for row in rows], pa.uint8()),
            "sec": text("sec"),
            "book": text("book"),
            "depot": text("depot"),
            "kind": pa.array([Kind[row.kind] for row in rows], pa.uint8()),
            "trade": pa.array([row.trade for row in rows], pa.date32()),
            "settle": pa.array([row.settle for row in rows], pa.date32()),
            "qty": pa.array([row.qty for row in rows], pa.int64()),
            "flags": pa.array([row.flags or 0 for row in rows], pa.uint8()),
        }
    )


def _stream(*batches: pa.RecordBatch, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, batches[0].schema, options=options) as stream:
        for batch in batches:
            stream.write_batch(batch)
    return bytes(sink.getvalue())


def _decode(*values: bytes) -> Decoded:
    return arrow_events.decode(values, SYMBOLS, Origin.of("ims.events", len(values), first=1000, partition=3))


def _event(**change: object) -> json_events.Event:
    values: dict[str, object] = {
        "src": "sim-0",
        "seq": 17,
        "ts": 1_790_000_000_000_000_000,
        "op": "BUY",
        "sec": "US0378331005",
        "book": "B0001",
        "depot": "DTC",
        "kind": "FIRM",
        "trade": date(2026, 11, 20),
        "settle": date(2026, 11, 23),
        "qty": 100,
        "flags": 0,
    }
    return json_events.Event(**(values | change))  # type: ignore[arg-type]


@st.composite
def events(draw: st.DrawFn) -> json_events.Event:
    op = draw(st.sampled_from(Op))
    dates = st.none() | st.dates(min_value=EPOCH)
    return json_events.Event(
        src=draw(st.sampled_from(SOURCES)),
        seq=draw(st.integers(1, 2**63 - 1)),
        ts=draw(st.integers(0, 2**63 - 1)),
        op=op.name,
        sec="" if op == Op.RESET_BOOK else draw(st.sampled_from((*SECURITIES, "NOBODY"))),
        book="" if op in QUOTES else draw(st.sampled_from(BOOKS)),
        depot=draw(st.sampled_from(("", *DEPOTS))) if op not in (Op.RESET_BOOK, *QUOTES) else "",
        kind=draw(st.sampled_from(Kind)).name,
        trade=draw(dates),
        settle=draw(dates),
        qty=draw(st.integers(-(2**63), 2**63 - 1)),
        flags=draw(st.integers(0, WIRE_FLAGS)),
    )


@settings(max_examples=200)
@given(st.lists(events(), min_size=1, max_size=40), st.booleans(), st.sampled_from([None, "lz4", "zstd"]))
def test_arrow_and_json_give_the_same_events(
    rows: list[json_events.Event], dictionary: bool, compression: str | None
) -> None:
    arrow = _decode(_stream(_batch(rows, dictionary=dictionary), compression=compression))
    values = [json_events.encode(row) for row in rows]
    plain = json_events.decode(values, SYMBOLS, Origin.of("ims.events", len(values), partition=3))
    plain.events["offset"] = 1000
    np.testing.assert_array_equal(arrow.events, plain.events)
    assert quarantine.count(arrow.unreadable) == len(plain.unreadable)


def test_a_slice_of_a_batch_keeps_its_dates_and_nulls() -> None:
    rows = [_event(seq=n + 1, settle=None if n % 3 else EPOCH + timedelta(days=n)) for n in range(40)]
    decoded = _decode(_stream(_batch(rows).slice(13, 20)))
    assert decoded.events["seq"].tolist() == list(range(14, 34))
    assert decoded.events["settle_date"].tolist() == [NO_DATE if n % 3 else n for n in range(13, 33)]


def test_columns_may_come_in_any_order() -> None:
    batch = _batch([_event()])
    assert len(_decode(_stream(batch.select(sorted(batch.schema.names)))).events) == 1


def test_an_empty_batch_is_no_event_and_no_fault() -> None:
    decoded = _decode(_stream(_batch([])))
    assert (len(decoded.events), decoded.unreadable) == (0, [])


def test_only_the_rows_that_name_something_unknown_are_set_aside() -> None:
    rows = [
        _event(seq=1),
        _event(seq=2, sec="NOBODY"),
        _event(seq=3),
        _event(seq=4, book="NONE"),
        _event(seq=5, sec="Z"),
    ]
    decoded = _decode(_stream(_batch([_event(seq=9)])), _stream(_batch(rows)))
    assert decoded.events["seq"].tolist() == [9, 1, 3]
    security, book = decoded.unreadable
    assert (security.reason, security.events, security.offset) == (Reason.UNKNOWN_SECURITY, 2, 1001)
    assert (book.reason, book.events) == (Reason.UNKNOWN_BOOK, 1)
    assert security.detail == "2 of 5 events (rows 1, 4), first: sec 'NOBODY'"
    again = pa.ipc.open_stream(security.raw).read_all()
    assert again["seq"].to_pylist() == [2, 5]
    (repeated,) = _decode(security.raw).unreadable
    assert (repeated.events, repeated.reason) == (2, Reason.UNKNOWN_SECURITY)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"src": "sim-9"}, Reason.UNKNOWN_SOURCE),
        ({"src": ""}, Reason.INVALID),
        ({"sec": ""}, Reason.INVALID),
        ({"sec": "US0378331005\0"}, Reason.UNKNOWN_SECURITY),
        ({"sec": "X" * 25}, Reason.UNKNOWN_SECURITY),
        ({"book": ""}, Reason.INVALID),
        ({"depot": "NOWHERE"}, Reason.UNKNOWN_DEPOT),
        ({"op": "PRICE"}, Reason.INVALID),
        ({"op": "RESET_BOOK"}, Reason.INVALID),
        ({"seq": 0}, Reason.INVALID),
        ({"ts": -1}, Reason.INVALID),
        ({"flags": 128}, Reason.INVALID),
        ({"settle": date(1969, 12, 31)}, Reason.INVALID),
    ],
)
def test_a_row_that_is_no_event_is_set_aside_with_its_reason(change: dict[str, object], reason: Reason) -> None:
    decoded = _decode(_stream(_batch([_event(seq=1), _event(**({"seq": 2} | change)), _event(seq=3)])))
    assert decoded.events["seq"].tolist() == [1, 3]
    (entry,) = decoded.unreadable
    assert (entry.reason, entry.events) == (reason, 1)


def _replaced(name: str, column: pa.Array) -> bytes:
    batch = _batch([_event(seq=1), _event(seq=2)])
    return _stream(batch.set_column(batch.schema.names.index(name), name, column))


@pytest.mark.parametrize(
    ("raw", "reason", "said"),
    [
        (b"", Reason.MALFORMED, ""),
        (b"not arrow at all", Reason.MALFORMED, ""),
        (_stream(_batch([_event()]))[:-200], Reason.MALFORMED, ""),
        (_stream(_batch([_event()]), _batch([_event()])), Reason.MALFORMED, "more than one batch"),
        (_replaced("seq", pa.array([1, None], pa.int64())), Reason.INVALID, "seq has 1 nulls"),
        (_replaced("sec", pa.array(["A", None])), Reason.INVALID, "sec has 1 nulls"),
        (_replaced("qty", pa.array([1.0, 2.0])), Reason.INVALID, "column qty is double, not int64"),
        (_replaced("settle", pa.array(["2026-11-20", "2026-11-20"])), Reason.INVALID, "column settle is string"),
        (_replaced("sec", pa.array(["A", "B"], pa.large_utf8())), Reason.INVALID, "column sec is large_string"),
        (_stream(_batch([_event()]).drop_columns(["qty"])), Reason.INVALID, "columns missing: ['qty']"),
        (_stream(_batch([_event()]).append_column("more", pa.array([1]))), Reason.INVALID, "unknown: ['more']"),
    ],
)
def test_a_record_that_cannot_be_read_is_kept_whole(raw: bytes, reason: Reason, said: str) -> None:
    decoded = _decode(_stream(_batch([_event(seq=1)])), raw, _stream(_batch([_event(seq=2)])))
    assert decoded.events["seq"].tolist() == [1, 2]
    (entry,) = decoded.unreadable
    assert (entry.reason, entry.raw, entry.offset) == (reason, raw, 1001)
    assert said in entry.detail


def test_an_index_outside_of_its_dictionary_is_refused() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0, 7], pa.int32()), pa.array(["A"]), safe=False)
    raw = _replaced("sec", column)
    (entry,) = _decode(raw).unreadable
    assert (entry.reason, entry.raw) == (Reason.MALFORMED, raw)


@settings(max_examples=1500)
@given(st.data())
def test_no_damage_to_a_record_breaks_the_feed(data: st.DataObject) -> None:
    rows = [_event(seq=n + 1, settle=None if n % 2 else EPOCH) for n in range(10)]
    raw = bytearray(_stream(_batch(rows, dictionary=data.draw(st.booleans()))))
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    decoded = _decode(bytes(raw[: data.draw(st.integers(len(raw) // 2, len(raw)) | st.just(len(raw)))]))
    assert (decoded.events["security"] <= len(SECURITIES)).all()
    assert (decoded.events["seq"] >= 1).all()


@settings(max_examples=600)
@given(st.data())
def test_what_the_compiled_reader_accepts_is_what_the_strict_one_reads_but_for_damage_that_touches_no_event(
    data: st.DataObject,
) -> None:
    rows = data.draw(st.lists(events(), min_size=1, max_size=12))
    whole = _stream(_batch(rows, dictionary=data.draw(st.booleans())))
    damage = data.draw(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=2))
    origin = Origin.of("ims.events", 1, first=7, partition=2)
    values = [_damaged(whole, damage)]
    for _, _, part in arrow_forms.scanned(values, SYMBOLS, origin, ANYTHING.bits):
        if part is not None:
            read = [
                arrow_events.strictly([_damaged(whole, some)], SYMBOLS, origin)
                for count in range(len(damage) + 1)
                for some in combinations(damage, count)
            ]
            assert any(not each.unreadable and np.array_equal(part, each.events) for each in read)


def _damaged(whole: bytes, damage: Sequence[tuple[int, int]]) -> bytes:
    raw = bytearray(whole)
    for at, value in damage:
        raw[at] = value
    return bytes(raw)


@pytest.mark.parametrize("dictionary", [False, True])
def test_records_as_clients_write_them_are_read_by_the_compiled_reader(dictionary: bool) -> None:
    good, bad = (
        _stream(_batch([_event(seq=1), _event(seq=2, sec=code)], dictionary=dictionary))
        for code in (*SECURITIES[:1], "?")
    )
    values = [good, good, bad, good]
    found = list(arrow_forms.scanned(values, SYMBOLS, Origin.of("ims.events", 4), ANYTHING.bits))
    assert [(first, end, None if part is None else len(part)) for first, end, part in found] == [
        (0, 2, 4),
        (2, 3, None),
        (3, 4, 2),
    ]


@given(st.binary(max_size=300))
def test_any_bytes_are_events_or_unreadable(value: bytes) -> None:
    decoded = _decode(value)
    assert (len(decoded.events), len(decoded.unreadable)) == (0, 1)
