"""JSON events: the compiled scanner and the strict decoder agree, and every record is one event or one named fault."""

import json
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import EVENT
from engine.model import NO_DATE, QUOTES, SYMBOL_BYTES, WIRE_FLAGS, Kind, Namespace, Op
from engine.symbols import Symbols, slots_for
from feeds import json_events, json_scanner
from feeds.quarantine import Decoded, Origin, Reason

SECURITIES = ("US0378331005", "TW0002330008", "A", "EIGHTEEN-BYTES-OK-X", "X" * SYMBOL_BYTES, "Ünïcode", "12345678")
BOOKS = ("B0001", "B0002", "C" * SYMBOL_BYTES)
DEPOTS = ("DTC", "CREST")
SOURCES = ("sim-0", "sim-1")
CANONICAL = (
    b'{"src":"sim-0","seq":17,"ts":1790000000000000000,"op":"BUY","sec":"US0378331005","book":"B0001","depot":"DTC",'
    b'"kind":"FIRM","trade":"2026-11-20","settle":"2026-11-23","qty":100,"flags":0}'
)


def _symbols() -> Symbols:
    symbols = Symbols(np.zeros((slots_for(64), 4), np.uint64))
    named = ((Namespace.SECURITY, SECURITIES), (Namespace.BOOK, BOOKS), (Namespace.DEPOT, DEPOTS))
    for namespace, codes in (*named, (Namespace.SOURCE, SOURCES)):
        raw = np.array([code.encode() for code in codes], f"S{SYMBOL_BYTES}")
        symbols.put(namespace, raw, np.arange(1, len(codes) + 1))
    return symbols


SYMBOLS = _symbols()


def _decode(*values: bytes) -> Decoded:
    return json_events.decode(values, SYMBOLS, Origin.of("ims.events", len(values), first=1000, partition=3))


def _left(*values: bytes) -> list[bool]:
    """Which records the scanner leaves to the strict decoder."""
    corrects = np.empty(len(values), np.int64)
    words = json_scanner.words_over(b"".join((*values, bytes(json_scanner.PAD))))
    ends = np.cumsum([len(value) for value in values])
    json_scanner.scan(words, ends, SYMBOLS.table, np.zeros(len(values), EVENT), corrects, json_events.ANYTHING.bits)
    return [bool(left) for left in corrects < 0]


@st.composite
def events(draw: st.DrawFn) -> json_events.Event:
    op = draw(st.sampled_from(Op))
    whole = op not in (Op.RESET_BOOK, *QUOTES)
    dates = st.none() | st.dates(min_value=date(1970, 1, 1))
    return json_events.Event(
        src=draw(st.sampled_from(SOURCES)),
        seq=draw(st.integers(1, 2**63 - 1)),
        ts=draw(st.integers(0, 2**63 - 1)),
        op=op.name,
        sec="" if op == Op.RESET_BOOK else draw(st.sampled_from(SECURITIES)),
        book="" if op in QUOTES else draw(st.sampled_from(BOOKS)),
        depot=draw(st.sampled_from(("", *DEPOTS))) if whole else "",
        kind=draw(st.sampled_from(Kind)).name,
        trade=draw(dates),
        settle=draw(dates),
        qty=draw(st.integers(-(2**63), 2**63 - 1) | st.integers(-1000, 1000)),
        flags=draw(st.integers(0, WIRE_FLAGS)),
    )


def _days(day: date | None) -> int:
    return NO_DATE if day is None else (day - date(1970, 1, 1)).days


def test_the_canonical_record_is_read_by_the_scanner() -> None:
    assert _left(CANONICAL) == [False]
    event = _decode(CANONICAL).events[0]
    assert (event["source"], event["security"], event["book"], event["depot"]) == (1, 1, 1, 1)
    assert (event["seq"], event["time_ns"], event["quantity"]) == (17, 1790000000000000000, 100)
    assert (event["op"], event["kind"], event["flags"]) == (Op.BUY, Kind.FIRM, 0)
    assert (event["trade_date"], event["settle_date"]) == (_days(date(2026, 11, 20)), _days(date(2026, 11, 23)))
    assert (event["partition"], event["offset"], event["topic"]) == (3, 1000, 0)


@settings(max_examples=500)
@given(st.lists(events(), min_size=1, max_size=5))
def test_scanner_and_strict_decoder_give_the_same_events(rows: list[json_events.Event]) -> None:
    canonical = [json_events.encode(row) for row in rows]
    spaced = [json.dumps(json.loads(value), indent=1).encode() for value in canonical]
    reordered = [json.dumps(dict(reversed(json.loads(value).items()))).encode() for value in canonical]
    fast = _decode(*canonical)
    assert fast.unreadable == []
    np.testing.assert_array_equal(fast.events, _decode(*spaced).events)
    np.testing.assert_array_equal(fast.events, _decode(*reordered).events)
    for event, row in zip(fast.events, rows, strict=True):
        assert (event["seq"], event["time_ns"], event["quantity"]) == (row.seq, row.ts, row.qty)
        assert (event["trade_date"], event["settle_date"]) == (_days(row.trade), _days(row.settle))
        assert (event["op"], event["kind"]) == (Op[row.op], Kind[row.kind])
        assert event["security"] == (SECURITIES.index(row.sec) + 1 if row.sec else 0)


def test_what_is_plain_ascii_and_canonical_never_needs_the_strict_decoder() -> None:
    odd = [
        CANONICAL.replace(b',"flags":0', b""),
        CANONICAL.replace(b'"depot":"DTC"', b'"depot":""'),
        CANONICAL.replace(b'"trade":"2026-11-20"', b'"trade":null'),
        CANONICAL.replace(b'"qty":100', b'"qty":-9223372036854775807'),
        CANONICAL.replace(b"US0378331005", b"X" * SYMBOL_BYTES),
        CANONICAL.replace(b'"settle":"2026-11-23"', b'"settle":"2096-02-29"'),
    ]
    assert _left(*odd) == [False] * len(odd)
    assert _decode(*odd).unreadable == []


def test_every_op_kind_and_flag_is_read_by_the_scanner() -> None:
    records, expected = [], []
    for op in Op:
        for kind in Kind:
            for flags in range(WIRE_FLAGS + 1):
                value = CANONICAL.replace(b"BUY", op.name.encode()).replace(b'"FIRM"', f'"{kind.name}"'.encode())
                if op == Op.RESET_BOOK:
                    value = value.replace(b"US0378331005", b"").replace(b'"DTC"', b'""')
                if op in QUOTES:
                    value = value.replace(b'"B0001"', b'""').replace(b'"DTC"', b'""')
                records.append(value.replace(b'"flags":0', b'"flags":%d' % flags))
                expected.append((int(op), int(kind), flags))
    assert not any(_left(*records))
    events = _decode(*records).events
    assert events[["op", "kind", "flags"]].tolist() == expected


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (b"US0378331005", b"US0378331006", Reason.UNKNOWN_SECURITY),
        (b"US0378331005", b"X" * 25, Reason.UNKNOWN_SECURITY),
        (b"B0001", b"B9999", Reason.UNKNOWN_BOOK),
        (b"DTC", b"dtc", Reason.UNKNOWN_DEPOT),
        (b"sim-0", b"sim-9", Reason.UNKNOWN_SOURCE),
        (b'"sec":"US0378331005"', b'"sec":""', Reason.INVALID),
        (b'"sec":"US0378331005"', rb'"sec":"A\u0000"', Reason.INVALID),
        (b'"book":"B0001"', b'"book":""', Reason.INVALID),
        (b"BUY", b"PRICE", Reason.INVALID),
        (b"BUY", b"RESET_BOOK", Reason.INVALID),
        (b"BUY", b"buy", Reason.INVALID),
        (b"FIRM", b"FIRMS", Reason.INVALID),
        (b"2026-11-23", b"2026-02-30", Reason.INVALID),
        (b"2026-11-23", b"2026-13-01", Reason.INVALID),
        (b"2026-11-23", b"2100-02-29", Reason.INVALID),
        (b"2026-11-23", b"1969-12-31", Reason.INVALID),
        (b"2026-11-23", b"2026-11-2", Reason.INVALID),
        (b"2026-11-23", b"2026/11/23", Reason.INVALID),
        (b":100,", b":1.0,", Reason.INVALID),
        (b":100,", b":1e2,", Reason.INVALID),
        (b":100,", b":true,", Reason.INVALID),
        (b":100,", b":null,", Reason.INVALID),
        (b":100,", b':"100",', Reason.INVALID),
        (b":100,", b":0100,", Reason.MALFORMED),
        (b":100,", b":+100,", Reason.MALFORMED),
        (b":100,", b":-,", Reason.MALFORMED),
        (b":100,", b":9223372036854775808,", Reason.INVALID),
        (b":100,", b":18446744073709551716,", Reason.INVALID),
        (b":100,", b":100000000000000000000000000000000000,", Reason.INVALID),
        (b'"seq":17', b'"seq":0', Reason.INVALID),
        (b'"seq":17', b'"seq":-17', Reason.INVALID),
        (b'"ts":1790', b'"ts":-1790', Reason.INVALID),
        (b'"flags":0', b'"flags":8', Reason.INVALID),
        (b'"flags":0', b'"flags":-1', Reason.INVALID),
        (b'"flags":0', b'"flags":0,"more":1', Reason.INVALID),
        (b'"flags":0', b'"flags":0,"flags":0', Reason.INVALID),
        (b'"qty":100', b'"qty":100,"qty":100', Reason.INVALID),
        (b'"qty":100', rb'"qty":100,"\u0071ty":100', Reason.INVALID),
        (b'"qty":100,', b"", Reason.INVALID),
        (b'"flags":0}', b'"flags":0}}', Reason.MALFORMED),
        (b'"flags":0}', b'"flags":0}\0', Reason.MALFORMED),
        (b'"flags":0}', b'"flags":0', Reason.MALFORMED),
        (b"B0001", b"B00\x0101", Reason.MALFORMED),
        (b"B0001", b"B00\xff01", Reason.MALFORMED),
        (b"B0001", b'B00"01', Reason.MALFORMED),
    ],
)
def test_what_is_no_event_is_kept_with_its_reason(before: bytes, after: bytes, reason: Reason) -> None:
    assert before in CANONICAL
    raw = CANONICAL.replace(before, after, 1)
    decoded = _decode(CANONICAL, raw, CANONICAL)
    (entry,) = decoded.unreadable
    assert entry.reason == reason, entry
    assert (entry.topic, entry.partition, entry.offset, entry.raw) == ("ims.events", 3, 1001, raw)
    assert entry.detail
    np.testing.assert_array_equal(decoded.events["offset"], [1000, 1002])


def test_legal_json_in_another_form_is_read_too() -> None:
    others = [
        CANONICAL.replace(b":100,", b":-0,"),
        CANONICAL.replace(b"BUY", rb"B\u0055Y"),
        CANONICAL.replace(b"B0001", rb"B00\u00301"),
        CANONICAL.replace(b"US0378331005", "Ünïcode".encode()),
        CANONICAL + b"\n",
        CANONICAL.replace(b'"qty":100', b'"qty":-9223372036854775808'),
    ]
    assert _left(*others) == [True] * len(others)
    assert _decode(*others).unreadable == []


def test_records_do_not_bleed_into_each_other() -> None:
    halves = (CANONICAL[:40], CANONICAL[40:], CANONICAL, b"", CANONICAL[:-1], b"}")
    decoded = _decode(*halves)
    np.testing.assert_array_equal(decoded.events["offset"], [1002])
    assert [entry.offset for entry in decoded.unreadable] == [1000, 1001, 1003, 1004, 1005]


def _same_outcome(value: bytes) -> None:
    """A trailing space sends a record to the strict decoder; the outcome must be the same."""
    fast, strict = _decode(value), _decode(value + b" ")
    assert len(fast.events) + len(fast.unreadable) == 1
    np.testing.assert_array_equal(fast.events, strict.events)


@given(st.binary(max_size=400))
def test_any_bytes_are_an_event_or_unreadable(value: bytes) -> None:
    _same_outcome(value)


@st.composite
def nearly_events(draw: st.DrawFn) -> bytes:
    value = json_events.encode(draw(events()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(value)))
        cut = draw(st.integers(0, 3))
        alphabet = st.sampled_from(b'0123456789-+.eE"\\{}[]:, \t\n\x00\x01\x1f\x7f\x80\xc3\xffnulABC')
        value = value[:at] + bytes(draw(st.lists(alphabet, max_size=3))) + value[at + cut :]
    return value


@settings(max_examples=2000, deadline=None)
@given(nearly_events())
def test_nearly_right_records_fare_the_same_on_both_paths(value: bytes) -> None:
    _same_outcome(value)


@settings(max_examples=200, deadline=None)
@given(st.lists(nearly_events() | events().map(json_events.encode) | st.binary(max_size=30), max_size=20))
def test_every_record_of_a_poll_is_counted_once_and_in_order(values: list[bytes]) -> None:
    decoded = _decode(*values)
    offsets = decoded.events["offset"].tolist()
    assert offsets == sorted(offsets)
    assert sorted(offsets + [entry.offset for entry in decoded.unreadable]) == list(range(1000, 1000 + len(values)))
    for entry in decoded.unreadable:
        assert entry.raw == values[entry.offset - 1000]


@given(st.dates(min_value=date(1970, 1, 1)))
def test_days_are_those_of_the_calendar(day: date) -> None:
    assert json_scanner.days_of(day.year, day.month, day.day) == _days(day)
