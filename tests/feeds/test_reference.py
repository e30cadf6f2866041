"""Reference records: everything that can be stored arrives in its column, everything else is named with its reason."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model import RATE_UNKNOWN, Market, Temperature
from engine.ring import Message
from feeds import reference
from feeds.quarantine import Origin, Reason

MARKETS = (
    Market("US", "XNYS", "America/New_York", "USD", "16:00", 1),
    Market("TW", "XTAI", "Asia/Taipei", "TWD", "13:30", 2),
)
SECURITY = reference.Security(
    code="TW0002330008", ticker="2330", isin="TW0002330008", name="台積電", market="TW", temperature="HTB", fee=12_500
)


def _decode(*values: bytes) -> reference.Decoded:
    return reference.decode(values, MARKETS, Origin.of("ims.reference", len(values), first=100))


def test_a_security_lands_in_its_columns() -> None:
    decoded = _decode(reference.encode(SECURITY))
    ((message, array),) = decoded.messages
    assert message == Message.SECURITIES
    row = array[0]
    assert row["code"] == b"TW0002330008"
    assert row["name"].decode() == "台積電"
    assert (row["market"], row["temperature"], row["fee"], row["rebate"]) == (1, Temperature.HTB, 12_500, RATE_UNKNOWN)


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
        ({"flags": 4}, Reason.INVALID),
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
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(raw: bytes, reason: Reason) -> None:
    (entry,) = _decode(raw).unreadable
    assert entry.reason == reason


@given(st.lists(st.binary(max_size=60)))
def test_any_bytes_are_either_stored_or_named(values: list[bytes]) -> None:
    decoded = _decode(*values)
    assert sum(len(array) for _, array in decoded.messages) + len(decoded.unreadable) == len(values)
