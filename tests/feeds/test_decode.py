"""One door for all encodings: the order of a partition survives, and what goes through the ring arrives whole."""

import asyncio

import numpy as np
import pytest

from engine.events import EVENT
from engine.model import SYMBOL_BYTES, Namespace
from engine.ring import Message, Ring
from engine.symbols import Symbols, slots_for
from feeds import outlet, quarantine
from feeds.decode import decode, warm
from feeds.outlet import Outlet
from feeds.quarantine import Decoded, Origin, Reason, Unreadable
from feeds.wire import DRAFT, Vocabulary, arrow_records, json_records

JSON, ARROW = (("enc", b"json"),), (("enc", b"arrow"),)
VOCABULARY = Vocabulary.of(["sim-0"], ["A", "B"], ["B1"], ["DTC"])


def _symbols() -> Symbols:
    symbols = Symbols(np.zeros((slots_for(64), 4), np.uint64))
    named = zip(
        (Namespace.SOURCE, Namespace.SECURITY, Namespace.BOOK, Namespace.DEPOT),
        (VOCABULARY.sources, VOCABULARY.securities, VOCABULARY.books, VOCABULARY.depots),
        strict=True,
    )
    for namespace, codes in named:
        raw = np.array([code.encode() for code in codes], f"S{SYMBOL_BYTES}")
        symbols.put(namespace, raw, np.arange(1, len(codes) + 1))
    return symbols


SYMBOLS = _symbols()


def _records(first: int, count: int, *, arrow: bool) -> list[bytes]:
    drafts = np.zeros(count, DRAFT)
    drafts["seq"] = np.arange(first, first + count)
    drafts["trade_date"] = drafts["settle_date"] = -1
    return arrow_records(drafts, VOCABULARY, count) if arrow else json_records(drafts, VOCABULARY)


def test_encodings_may_alternate_within_a_partition_and_the_order_stays() -> None:
    values = [*_records(1, 2, arrow=False), *_records(3, 5, arrow=True), *_records(8, 1, arrow=False), b"?", b"{}"]
    headers = [JSON, JSON, ARROW, (), (("enc", b"avro"),), JSON]
    decoded = decode(values, headers, SYMBOLS, Origin.of("t", len(values)))
    assert decoded.events["seq"].tolist() == list(range(1, 9))
    assert decoded.events["offset"].tolist() == [0, 1, 2, 2, 2, 2, 2, 3]
    assert [(entry.offset, entry.reason) for entry in decoded.unreadable] == [(4, Reason.ENCODING), (5, Reason.INVALID)]


def test_a_record_without_a_value_is_kept_and_an_empty_poll_is_nothing() -> None:
    (value,) = _records(1, 1, arrow=False)
    decoded = decode([None, value], [JSON, JSON], SYMBOLS, Origin.of("t", 2))
    assert (decoded.unreadable[0].offset, decoded.events["offset"].tolist()) == (0, [1])
    nothing = decode([], [], SYMBOLS, Origin.of("t", 0))
    assert (len(nothing.events), nothing.unreadable) == (0, [])


def test_warming_up_leaves_no_trace() -> None:
    before = SYMBOLS.table.copy()
    warm(SYMBOLS)
    np.testing.assert_array_equal(SYMBOLS.table, before)


def test_an_entry_survives_the_ring_unchanged() -> None:
    entries = [Unreadable("t", 3, 2**40, "malformed", "é", b"\xff\x00", 7), Unreadable("u", 0, 0, "x", "", b"")]
    assert quarantine.decode(quarantine.encode(entries)) == entries
    assert quarantine.count(entries) == 8


async def test_a_full_ring_holds_the_feed_back_and_loses_nothing(instance: str) -> None:
    ring = Ring.create(f"{instance}.ring", 4 << 20)
    try:
        events = np.zeros(200_000, EVENT)
        events["seq"] = np.arange(events.size)
        entries = [Unreadable("t", 0, number, "malformed", "", bytes(100)) for number in range(100)]
        pushing = asyncio.create_task(Outlet(ring).decoded(Decoded(events, entries)))
        seen: list[int] = []
        kept: list[Unreadable] = []
        while not (pushing.done() and ring.drained):
            await asyncio.sleep(0)
            if message := ring.pop():
                kind, payload = message
                if kind == Message.EVENTS:
                    assert not kept, "events first"
                    seen.extend(payload["seq"].tolist())
                else:
                    kept.extend(quarantine.decode(payload.tobytes()))
                ring.release()
        assert seen == list(range(events.size))
        assert kept == entries
    finally:
        ring.close()


async def test_what_never_fits_the_ring_is_cut_and_says_so(instance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet, "_RAW_BYTES", 1_000)
    ring = Ring.create(f"{instance}.ring", 1 << 20)
    try:
        entry = Unreadable("t", 0, 1, "malformed", "cut off", bytes(5_000))
        await Outlet(ring).decoded(Decoded(np.empty(0, EVENT), [entry]))
        message = ring.pop()
        assert message is not None
        (kept,) = quarantine.decode(message[1].tobytes())
        assert (len(kept.raw), kept.detail) == (1_000, "cut off (only the first 1,000 of 5,000 bytes are kept)")
    finally:
        ring.close()
