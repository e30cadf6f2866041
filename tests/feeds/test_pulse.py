import pytest

from engine.ring import FeedWord, Ring
from feeds.pulse import Pulse
from feeds.quarantine import Decoded


@pytest.mark.parametrize("stamp_ms", [-1, 0, 1_790_000_000_000_000_000, 2**63 - 1])
def test_the_time_of_a_record_may_be_anything_and_none_is_younger_than_its_coming(instance: str, stamp_ms: int) -> None:
    ring = Ring.create(f"{instance}.ring0", 1 << 16)
    try:
        now_ns = 1_790_000_000_000_000_000
        Pulse(ring).handed_over(2, 1, Decoded(), now_ns, stamp_ms * 1_000_000)
        assert ring.feeds[2, FeedWord.EVENT_NS] == (now_ns if stamp_ms > 0 else 0)
        assert ring.feeds[2, FeedWord.RECORDS] == 1
    finally:
        ring.close()
