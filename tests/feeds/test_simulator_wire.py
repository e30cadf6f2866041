"""What producers write is what the contract of the topic says, byte by byte, and goes where Kafka would send it."""

import datetime as dt
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from engine.model import WIRE_FLAGS, Kind, Op
from feeds import json_events
from feeds.partitions import partitions_of
from feeds.wire import DRAFT, Drafts, Vocabulary, arrow_records, json_records

CODES = (["sim-0", "sim-1"], ["US0378331005", 'A"\\x', "Ü24" * 6], ["B0001", "é"], ["DTC"])
VOCABULARY = Vocabulary.of(*CODES)
LAST_DAY = (dt.date(9999, 12, 31) - dt.date(1970, 1, 1)).days


def drafts(*rows: dict[str, int]) -> Drafts:
    made = np.zeros(len(rows), DRAFT)
    for at, row in enumerate(rows):
        for name, value in row.items():
            made[name][at] = value
    return made


def date_of(day: int) -> dt.date | None:
    return None if day < 0 else dt.date(1970, 1, 1) + dt.timedelta(days=day)


def event_of(row: Any) -> json_events.Event:
    source, security, book, depot = (
        codes[index] if index >= 0 else ""
        for codes, index in zip(CODES, row[["source", "security", "book", "depot"]], strict=True)
    )
    return json_events.Event(
        src=source,
        seq=int(row["seq"]),
        ts=int(row["time_ns"]),
        op=Op(row["op"]).name,
        sec=security,
        book=book,
        depot=depot,
        kind=Kind(row["kind"]).name,
        trade=date_of(int(row["trade_date"])),
        settle=date_of(int(row["settle_date"])),
        qty=int(row["quantity"]),
        flags=int(row["flags"]),
    )


any_draft = st.fixed_dictionaries(
    {
        "seq": st.integers(0, 2**63 - 1),
        "time_ns": st.integers(0, 2**63 - 1),
        "quantity": st.integers(-(2**63), 2**63 - 1),
        "source": st.integers(0, 1),
        "security": st.integers(-1, 2),
        "book": st.integers(-1, 1),
        "depot": st.integers(-1, 0),
        "trade_date": st.integers(-1, LAST_DAY),
        "settle_date": st.integers(-1, LAST_DAY),
        "op": st.sampled_from(list(map(int, Op))),
        "kind": st.sampled_from(list(map(int, Kind))),
        "flags": st.integers(0, WIRE_FLAGS),
    }
)


def test_the_canonical_form_is_the_contracts() -> None:
    row = {"seq": 17, "time_ns": 1_790_000_000_000_000_000, "quantity": 100, "kind": Kind.FIRM}
    row |= {"trade_date": 20_777, "settle_date": 20_780}
    (record,) = json_records(drafts(row), VOCABULARY)
    assert record == (
        b'{"src":"sim-0","seq":17,"ts":1790000000000000000,"op":"BUY","sec":"US0378331005","book":"B0001",'
        b'"depot":"DTC","kind":"FIRM","trade":"2026-11-20","settle":"2026-11-23","qty":100,"flags":0}'
    )


@given(st.lists(any_draft, max_size=6))
def test_json_is_what_the_strict_encoder_writes(rows: list[dict[str, int]]) -> None:
    made = drafts(*rows)
    assert json_records(made, VOCABULARY) == [msgspec.json.encode(event_of(row)) for row in made]


def test_every_date_of_four_centuries_is_written_right() -> None:
    days = np.arange(0, 146_097, 13)
    made = np.zeros(days.size, DRAFT)
    made["trade_date"], made["settle_date"] = days, -1
    for day, record in zip(days.tolist(), json_records(made, VOCABULARY), strict=True):
        assert f'"trade":"{date_of(day)}","settle":null'.encode() in record


@given(st.lists(any_draft, min_size=1, max_size=9), st.integers(1, 4))
def test_arrow_batches_hold_the_same_events(rows: list[dict[str, int]], per_record: int) -> None:
    made = drafts(*rows)
    records = arrow_records(made, VOCABULARY, per_record)
    assert len(records) == -(-len(rows) // per_record)
    found = [row for record in records for row in pa.ipc.open_stream(record).read_all().to_pylist()]
    for row, expected in zip(found, map(event_of, made), strict=True):
        row["op"], row["kind"] = Op(row["op"]).name, Kind(row["kind"]).name
        assert json_events.Event(**row) == expected


def test_arrow_columns_have_the_contracts_types() -> None:
    schema = pa.ipc.open_stream(arrow_records(drafts({}), VOCABULARY, 10)[0]).schema
    coded = pa.dictionary(pa.int32(), pa.utf8())
    assert {name: schema.field(name).type for name in schema.names} == {
        **dict.fromkeys(("src", "sec", "book", "depot"), coded),
        **dict.fromkeys(("op", "kind", "flags"), pa.uint8()),
        **dict.fromkeys(("seq", "ts", "qty"), pa.int64()),
        **dict.fromkeys(("trade", "settle"), pa.date32()),
    }


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8), min_size=1, max_size=5
    ),
    st.integers(1, 64),
)
def test_keys_go_where_kafkas_own_partitioner_sends_them(keys: list[str], partitions: int) -> None:
    raw = [key.encode() for key in keys]
    expected = [(murmur2(key) & 0x7FFFFFFF) % partitions for key in raw]
    assert partitions_of(np.array(raw, "S40"), partitions).tolist() == expected
