"""What a worker tells of each feed, in its ring (`engine.ring.FeedWord`): counters, the newest record, how far it is behind."""

import numpy as np
from numpy.typing import NDArray

from engine.ring import PROGRESS, FeedWord, Ring
from feeds import quarantine
from feeds.quarantine import Decoded


class Pulse:
    """The one writer of `Ring.feeds` in this process."""

    def __init__(self, ring: Ring) -> None:
        self._feeds = ring.feeds

    def handed_over(self, feed: int, records: int, decoded: Decoded, received_ns: int, event_ns: int = 0) -> None:
        """So many records have come and what they hold is in the ring. `event_ns`: their time, where they hold no event; it is
        the sender's, and may be anything: nothing is younger than its coming."""
        words = self._feeds[feed]
        words[FeedWord.RECORDS] += records
        words[FeedWord.EVENTS] += decoded.size
        words[FeedWord.UNREADABLE] += quarantine.count(decoded.unreadable)
        words[FeedWord.RECEIVED_NS] = received_ns
        words[FeedWord.EVENT_NS] = max(int(words[FeedWord.EVENT_NS]), newest_ns(decoded) or min(event_ns, received_ns))

    def follows(self, feed: int, partitions: int) -> None:
        """It is read from so many partitions; 0: not any more, or not yet."""
        self._feeds[feed, FeedWord.PARTITIONS] = partitions

    def at(self, feed: int, lag: int, abreast_ns: int) -> None:
        """So many records are there and not yet read; `abreast_ns`: when none of what was there before was left, 0: not now."""
        words = self._feeds[feed]
        words[FeedWord.LAG] = lag
        if abreast_ns:
            words[FeedWord.ALIVE_NS] = abreast_ns


def newest_ns(decoded: Decoded) -> int:
    """The time of the newest event; 0 where there is none."""
    times = [decoded.events["time_ns"]]
    times += [records["event"]["time_ns"] for records in (decoded.steps, decoded.corrections)]
    return max((int(each.max()) for each in times if each.size), default=0)


def as_progress(positions: dict[tuple[int, int], int]) -> NDArray[np.void]:
    """(feed, partition) -> next offset, as rows of `engine.ring.PROGRESS`."""
    rows = np.zeros(len(positions), PROGRESS)
    for row, ((feed, partition), offset) in zip(rows, positions.items(), strict=True):
        row["topic"], row["partition"], row["offset"] = feed, partition, offset
    return rows
