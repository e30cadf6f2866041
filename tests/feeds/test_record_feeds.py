"""Every feed: its good records become what they say, and whatever else comes becomes something that can be looked at."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import CORRECTION
from engine.model import NO_DATE, RATE_UNKNOWN, DealAction, Flag, Kind, Op
from engine.ring import Message
from feeds.decode import decode
from feeds.quarantine import Decoded, Origin, Reason
from feeds.registry import FEEDS, feed_named, topics
from tests.feeds.record_samples import DAYS, MARKETS, samples, symbols

SYMBOLS = symbols()
SAMPLES = samples()
EVENT_FEEDS = [feed for feed in FEEDS if feed.permitted is not None]
RECORD_FEEDS = [feed for feed in FEEDS if feed.permitted is None]


def _decode(name: str, *values: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> Decoded:
    feed = feed_named(name)
    count = len(values)
    origin = Origin(feed.topic, feed.index, np.full(count, 3, np.uint16), np.arange(count) + 40, 9)
    return decode(values, [headers] * count, SYMBOLS, origin, MARKETS)


def _ops(events: Any) -> list[tuple[str, int, int]]:
    return [(Op(event["op"]).name, int(event["quantity"]), int(event["flags"]) & Flag.PART) for event in events]


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
def test_good_records_of_every_feed_are_read(feed: Any) -> None:
    decoded = _decode(feed.name, *SAMPLES[feed.name])
    assert decoded.unreadable == []
    for events in (decoded.events, decoded.steps["event"], decoded.corrections["event"]):
        assert (events["topic"] == feed.index).all()
        assert (events["partition"] == 3).all()
        assert (events["source"] == 1).all()


def test_a_position_becomes_its_events_which_stand_and_fall_together() -> None:
    events = _decode("positions", *SAMPLES["positions"]).events
    part = int(Flag.PART)
    assert _ops(events) == [
        ("RESET_BOOK", 0, 0),
        ("SET", 1_000, 0),
        ("INCREASE", 200, part),
        ("DECREASE", 50, part),
        ("SET_HYPOTHECATABLE", 800, part),
        ("SET_CA_PENDING", -7, part),
        ("SET_TD", 1_300, part),
    ]
    assert events["seq"].tolist() == [1] + [2] * 6
    assert events["settle_date"].tolist() == [NO_DATE, NO_DATE, DAYS, DAYS, NO_DATE, NO_DATE, NO_DATE]
    assert (events["flags"] & Flag.START_OF_DAY != 0).all()
    assert events["kind"][1:].tolist() == [Kind.CLIENT_FREE] * 6


def test_records_keep_their_order_whatever_their_form() -> None:
    begins, position = SAMPLES["positions"]
    many = [begins, position, begins, position.replace(b'"td":1300', b'"td":1150')]
    events = _decode("positions", *many).events
    assert events["offset"].tolist() == [40] + [41] * 6 + [42] + [43] * 5  # the last one's td is what its ladder says


def test_an_execution_is_a_trade_with_the_fill_of_its_order() -> None:
    decoded = _decode("orders", *SAMPLES["orders"])
    order, trade, fill = decoded.steps
    assert (order["code"], order["action"], order["event"]["kind"]) == (b"O1", DealAction.OPEN, Kind.OPEN_ORDER)
    assert (order["event"]["op"], order["event"]["quantity"]) == (Op.DECREASE, 500)
    assert (trade["code"], trade["event"]["op"], trade["event"]["kind"]) == (b"", Op.SELL, Kind.FIRM)
    assert (trade["event"]["settle_date"], trade["event"]["flags"]) == (DAYS, 0)
    assert (fill["code"], fill["action"], fill["event"]["flags"]) == (b"O1", DealAction.RETURN, Flag.PART)
    assert (fill["event"]["seq"], fill["event"]["quantity"], fill["event"]["kind"]) == (2, 300, Kind.OPEN_ORDER)
    assert decoded.corrections["corrects"].tolist() == [2, 2]
    assert decoded.corrections["event"]["flags"].tolist() == [0, Flag.CANCEL]


def test_a_contract_s_life_is_steps() -> None:
    steps = _decode("contracts", *SAMPLES["contracts"]).steps
    assert steps["action"].tolist() == [DealAction.OPEN, DealAction.RECALL, DealAction.RERATE, DealAction.CANCEL]
    assert steps["rate"].tolist() == [2_500, RATE_UNKNOWN, 3_000, RATE_UNKNOWN]
    assert steps["due_date"].tolist() == [NO_DATE, DAYS, NO_DATE, NO_DATE]
    assert steps["event"]["settle_date"].tolist() == [DAYS, NO_DATE, NO_DATE, NO_DATE]
    assert (steps["counterparty"] == 1).all()


def test_a_swap_gives_exposure_in_its_direction() -> None:
    decoded = _decode("swaps", *SAMPLES["swaps"])
    assert decoded.steps["event"]["op"].tolist() == [Op.DECREASE, Op.INCREASE]
    assert decoded.steps["event"]["kind"].tolist() == [Kind.SYNTHETIC, Kind.SWAP_PLEDGE_2]
    assert (decoded.events["op"][0], decoded.events["quantity"][0], decoded.events["security"][0]) == (Op.SET, -70, 2)


def test_a_rate_is_the_newest_of_its_currency() -> None:
    old = SAMPLES["fx"][0]
    ((message, rates),) = _decode("fx", old, old.replace(b"1083000000", b"1084000000")).messages
    assert (message, rates.tolist()) == (Message.CURRENCIES, [(b"EUR", 0, 1_084_000_000)])


def test_reference_data_of_every_form_has_its_message() -> None:
    messages = [message for message, _ in _decode("reference", *SAMPLES["reference"]).messages]
    assert set(messages) == {
        Message.CURRENCIES,
        Message.SECURITIES,
        Message.COUNTERPARTIES,
        Message.BOOKS,
        Message.DEPOTS,
        Message.SOURCES,
        Message.UNITS,
        Message.BOOK_UNITS,
    }
    assert messages.index(Message.SECURITIES) > messages.index(Message.CURRENCIES)


def test_a_record_with_a_header_whose_name_is_no_text_is_kept_whatever_it_says_of_its_encoding() -> None:
    good = SAMPLES["contracts"][0]
    for headers in [(("\udcff\udcfen", b"1"),), (("enc", b"json"), ("t\udcff", b""))]:
        (entry,) = _decode("contracts", good, headers=headers).unreadable
        assert (entry.reason, entry.raw) == (Reason.ENCODING, good)
        assert "not UTF-8" in entry.detail
    assert not _decode("contracts", good, headers=(("größe", b"1"),)).unreadable


def test_an_older_rate_that_comes_later_replaces_no_newer_one() -> None:
    def rate(ts: int, fx: int, code: str = "EUR") -> bytes:
        return msgspec.json.encode({"ts": ts, "code": code, "fx": fx})

    def told(*values: bytes) -> list[tuple[bytes, int]]:
        origin = Origin.of("fx", len(values))
        origin = Origin("fx", feed_named("fx").index, origin.partitions, origin.offsets, 9)
        decoded = decode(list(values), [()] * len(values), reader, origin, MARKETS)
        return [(row["code"], int(row["fx"])) for _, rows in decoded.messages for row in rows]

    reader = symbols()
    assert told(rate(7, 70), rate(5, 50), rate(6, 60, "CHF")) == [(b"EUR", 70), (b"CHF", 60)]
    assert told(rate(6, 61), rate(6, 62, "CHF")) == [(b"CHF", 62)]
    assert told(rate(5, 51)) == []
    assert told(rate(8, 80), rate(9, 90), rate(8, 81)) == [(b"EUR", 90)]


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("positions", b'"AAA"', b'"NOBODY"', Reason.UNKNOWN_SECURITY),
        ("positions", b'"2026-11-24"', b'"1969-12-31"', Reason.INVALID),
        ("positions", b'"sd":1000', b'"sd":10000000000000000', Reason.INVALID),
        ("positions", b"CLIENT_FREE", b"SLAB_LEND", Reason.INVALID),
        ("orders", b'"src-0"', b'"src-9"', Reason.UNKNOWN_SOURCE),
        ("orders", b'"O1"', '"Öööööööööööööööööö"'.encode(), Reason.TOO_LONG),
        ("orders", b'"settle":"2026-11-24"', b'"settle":null', Reason.INVALID),
        ("contracts", b'"LENDER"', b'"NOBODY"', Reason.UNKNOWN_COUNTERPARTY),
        ("contracts", b'"qty":100', b'"qty":0', Reason.INVALID),
        ("contracts", b'"due":"2026-11-24"', b'"due":null', Reason.INVALID),
        ("contracts", b'"rate":3000', b'"rate":null', Reason.INVALID),
        ("swaps", b'"DTC"', b'"DTC\\u0000"', Reason.UNKNOWN_DEPOT),
        ("corporate_actions", b'"B1"', b'"B9"', Reason.UNKNOWN_BOOK),
        ("fx", b'"EUR"', b'"eur"', Reason.INVALID),
        ("locates", b'"quantity":100', b'"quantity":0', Reason.INVALID),
    ],
)
def test_a_record_that_cannot_be_used_says_why_and_is_kept_whole(
    name: str, old: bytes, new: bytes, reason: Reason
) -> None:
    at, value = next((at, value) for at, value in enumerate(SAMPLES[name]) if old in value)
    bad = value.replace(old, new, 1)
    decoded = _decode(name, *SAMPLES[name][:at], bad, *SAMPLES[name][at + 1 :])
    (entry,) = decoded.unreadable
    assert (entry.reason, entry.raw, entry.offset, entry.partition) == (reason, bad, 40 + at, 3)


def test_an_announcement_needs_the_security_master() -> None:
    said = (
        b'{"type":"announcement","src":"src-0","seq":1,"ts":5,"sec":"AAA","event":"DIVIDEND","event_date":"2026-12-01"}'
    )
    (entry,) = _decode("corporate_actions", said).unreadable
    assert "security master" in entry.detail


@pytest.mark.parametrize("feed", EVENT_FEEDS[1:], ids=lambda feed: feed.name)
def test_a_feed_of_events_takes_what_is_its_own_only(feed: Any) -> None:
    everything = [value for other in EVENT_FEEDS[1:] for value in SAMPLES[other.name]]
    decoded = _decode(feed.name, *everything)
    said = [msgspec.json.decode(value) for value in everything]
    permitted = feed.permitted
    mine = [s for s in said if Op[s["op"]] in permitted.ops and Kind[s["kind"]] in permitted.kinds]
    assert decoded.size == len(mine)
    assert all(feed.name in entry.detail and entry.reason == Reason.INVALID for entry in decoded.unreadable)


def test_record_feeds_have_no_arrow_form() -> None:
    (entry,) = _decode("contracts", SAMPLES["contracts"][0], headers=(("enc", b"arrow"),)).unreadable
    assert entry.reason == Reason.ENCODING


def test_corrections_keep_their_place_among_events_that_replace_rows() -> None:
    buy, correction = SAMPLES["trades"]
    (replaces,) = SAMPLES["depots"]
    decoded = _decode("events", buy, correction, replaces, buy)
    assert [(kind, len(rows)) for kind, rows in decoded.messages] == [
        (Message.EVENTS, 1),
        (Message.CORRECTIONS, 1),
        (Message.EVENTS, 2),
    ]
    assert decoded.messages[1][1].dtype == CORRECTION
    plain = _decode("trades", buy, correction, buy)
    assert (len(plain.events), plain.corrections["corrects"].tolist(), plain.messages) == (2, [3], [])


def test_topics_are_named_after_the_one_of_events() -> None:
    assert topics()[feed_named("prices").index] == "ims.prices"
    assert topics("desk.events", "desk.ref")[:2] == ("desk.events", "desk.ref")
    assert topics("desk.events", "desk.ref")[feed_named("corporate_actions").index] == "desk.corporate-actions"
    assert len(set(topics("one", "two"))) == len(FEEDS)


def _accounted(decoded: Decoded, values: list[bytes]) -> None:
    """Every record became something: events or messages, or one entry."""
    assert all(entry.raw in values for entry in decoded.unreadable)
    assert len({entry.offset for entry in decoded.unreadable}) == len(decoded.unreadable)
    named = {entry.offset for entry in decoded.unreadable}
    parts: list[Any] = [decoded.events, decoded.steps["event"], decoded.corrections["event"]]
    parts += [rows if kind == Message.EVENTS else rows["event"] for kind, rows in decoded.messages]
    used = {offset for part in parts for offset in part["offset"].tolist()}
    assert not named & used
    assert len(used) + len(named) == len(values)


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
@settings(max_examples=40)
@given(data=st.data())
def test_no_bytes_whatsoever_make_a_decoder_raise(feed: Any, data: st.DataObject) -> None:
    mutated = st.sampled_from(SAMPLES[feed.name]).flatmap(
        lambda good: st.tuples(st.integers(0, len(good)), st.integers(0, 12), st.binary(max_size=8)).map(
            lambda cut: good[: cut[0]] + cut[2] + good[cut[0] + cut[1] :]
        )
    )
    values = data.draw(st.lists(st.binary(max_size=40) | mutated | st.sampled_from(SAMPLES[feed.name]), max_size=6))
    decoded = _decode(feed.name, *values)
    if feed.name not in ("reference", "fx", "locates", "order_requests"):
        _accounted(decoded, values)


_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30)
    | st.sampled_from(
        ["AAA", "B1", "OPEN", "CANCEL", "FIRM", "2026-11-24", "1969-01-01", "9999-12-31", [], {}, [["2026-11-24", 5]]]
    )
)


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
@settings(max_examples=40)
@given(data=st.data())
def test_no_value_in_a_field_makes_a_decoder_raise(feed: Any, data: st.DataObject) -> None:
    values = []
    for _ in range(data.draw(st.integers(1, 4))):
        record = msgspec.json.decode(data.draw(st.sampled_from(SAMPLES[feed.name])))
        name = data.draw(st.sampled_from([*record, "more"]))
        values.append(msgspec.json.encode(record | {name: data.draw(_VALUES)}))
    decoded = _decode(feed.name, *values)
    if feed.name not in ("reference", "fx", "locates", "order_requests"):
        _accounted(decoded, values)
