"""Reference records: everything that can be stored arrives in its column, everything else is named with its reason."""

import datetime as dt

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model import RATE_UNKNOWN, Classification, Market, SecurityFlag, Temperature
from engine.ring import Message
from feeds import reference
from feeds.quarantine import Decoded, Origin, Reason

MARKETS = (
    Market("US", "XNYS", "America/New_York", "USD", "16:00", 1),
    Market("TW", "XTAI", "Asia/Taipei", "TWD", "13:30", 2),
)
SECURITY = reference.Security(
    code="TW0002330008", ticker="2330", isin="TW0002330008", name="台積電", market="TW", temperature="HTB", fee=12_500
)
DETAILED = msgspec.structs.replace(
    SECURITY,
    flags=int(SecurityFlag.DESIGNATED | SecurityFlag.THRESHOLD),
    classification="DEPOSITARY_RECEIPT",
    event_date=dt.date(2026, 12, 3),
    volume_30d=31_000_000,
    outstanding=25_930_380_458,
)
YEN = reference.Currency("JPY", 365, 6_612_345)


def _decode(*values: bytes) -> Decoded:
    return reference.decode(values, MARKETS, Origin.of("ims.reference", len(values), first=100))


def test_a_security_lands_in_its_columns() -> None:
    decoded = _decode(reference.encode(SECURITY))
    ((message, array),) = decoded.messages
    assert message == Message.SECURITIES
    row = array[0]
    assert row["code"] == b"TW0002330008"
    assert row["name"].decode() == "台積電"
    assert (row["market"], row["temperature"], row["fee"], row["rebate"]) == (1, Temperature.HTB, 12_500, RATE_UNKNOWN)


def test_what_rules_ask_of_a_security_lands_in_its_columns() -> None:
    row = _decode(reference.encode(DETAILED)).messages[0][1][0]
    assert (row["classification"], row["flags"]) == (Classification.DEPOSITARY_RECEIPT, 4 + 8)
    assert row["event_date"] == np.datetime64("2026-12-03").astype(int)
    assert (row["volume_30d"], row["outstanding"]) == (31_000_000, 25_930_380_458)
    plain = _decode(b'{"type":"security","code":"A","market":"US","event_date":null}').messages[0][1][0]
    assert (plain["classification"], plain["event_date"], plain["volume_30d"], plain["outstanding"]) == (0, 0, 0, 0)


def test_a_currency_is_exact_and_comes_before_the_securities_in_it() -> None:
    decoded = _decode(reference.encode(DETAILED), b'{"type":"currency","code":"JPY","day_count":365,"fx":6612345}')
    assert [message for message, _ in decoded.messages] == [Message.CURRENCIES, Message.SECURITIES]
    assert decoded.messages[0][1].tolist() == [(b"JPY", 365, 6_612_345)]
    assert dict(reference.arrays([YEN], MARKETS))[Message.CURRENCIES].tolist() == [(b"JPY", 365, 6_612_345)]


def test_records_of_stored_securities_are_stored_as_the_same() -> None:
    ((_, stored),) = _decode(reference.encode(SECURITY), reference.encode(DETAILED)).messages
    assert reference.securities(stored, MARKETS) == [SECURITY, DETAILED]


def test_kinds_become_one_message_each_and_keep_their_order() -> None:
    records: list[reference.Record] = [
        reference.Source("sim-0"),
        reference.Book("B2", "C1", "E1", "AU1"),
        SECURITY,
        reference.Depot("DTC", "Depository Trust"),
        reference.Book("B1", "C1", "E1", "AU1"),
    ]
    messages = dict(reference.arrays(records, MARKETS))
    assert list(messages) == [Message.SECURITIES, Message.BOOKS, Message.DEPOTS, Message.SOURCES]
    np.testing.assert_array_equal(messages[Message.BOOKS]["code"], [b"B2", b"B1"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"code": ""}, Reason.INVALID),
        ({"code": "A\0"}, Reason.INVALID),
        ({"code": "X" * 25}, Reason.TOO_LONG),
        ({"isin": "US03783310055"}, Reason.TOO_LONG),
        ({"name": "é" * 33}, Reason.TOO_LONG),
        ({"market": "XX"}, Reason.UNKNOWN_MARKET),
        ({"temperature": "BOILING"}, Reason.UNKNOWN_TEMPERATURE),
        ({"flags": 16}, Reason.INVALID),
        ({"classification": "equity"}, Reason.INVALID),
        ({"event_date": dt.date(1970, 1, 1)}, Reason.INVALID),
        ({"event_date": dt.date(1815, 6, 18)}, Reason.INVALID),
        ({"volume_30d": -1}, Reason.INVALID),
        ({"outstanding": 10**15 + 1}, Reason.INVALID),
        ({"fee": 2**31}, Reason.INVALID),
        ({"fee": RATE_UNKNOWN}, Reason.INVALID),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_reason(change: dict[str, object], reason: Reason) -> None:
    raw = reference.encode(msgspec.structs.replace(SECURITY, **change))
    decoded = _decode(reference.encode(SECURITY), raw)
    (entry,) = decoded.unreadable
    assert (entry.topic, entry.partition, entry.offset) == ("ims.reference", 0, 101)
    assert (entry.reason, entry.raw) == (reason, raw)
    assert len(decoded.messages[0][1]) == 1


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", Reason.MALFORMED),
        (b"{", Reason.MALFORMED),
        (b'{"type":"planet","code":"A"}', Reason.INVALID),
        (b'{"type":"depot","code":"A","colour":"red"}', Reason.INVALID),
        (b'{"type":"depot","code":"\xff"}', Reason.MALFORMED),
        (b'{"type":"depot"}', Reason.INVALID),
        (b'{"type":"security","code":"A","market":"US","event_date":"2026-02-30"}', Reason.INVALID),
        (b'{"type":"currency","code":"yen","day_count":365}', Reason.INVALID),
        (b'{"type":"currency","code":"YENS","day_count":365}', Reason.INVALID),
        (b'{"type":"currency","code":"JPY"}', Reason.INVALID),
        (b'{"type":"currency","code":"JPY","day_count":30}', Reason.INVALID),
        (b'{"type":"currency","code":"JPY","day_count":365,"fx":0.0066}', Reason.INVALID),
        (b'{"type":"currency","code":"JPY","day_count":365,"fx":-1}', Reason.INVALID),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(raw: bytes, reason: Reason) -> None:
    (entry,) = _decode(raw).unreadable
    assert entry.reason == reason


@given(st.lists(st.binary(max_size=60)))
def test_any_bytes_are_either_stored_or_named(values: list[bytes]) -> None:
    decoded = _decode(*values)
    assert sum(len(array) for _, array in decoded.messages) + len(decoded.unreadable) == len(values)
