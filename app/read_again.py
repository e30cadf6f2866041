"""Records that were kept, read once more as their feed reads them: by the engine itself, when they are explained."""

import time
from collections.abc import Sequence

import numpy as np

from app.parking import Places
from app.settings import Settings
from engine.symbols import Symbols
from engine.tables import Tables
from feeds.decode import HEADER, decode
from feeds.quarantine import Decoded, Origin, Unreadable
from feeds.registry import FEEDS, REFERENCE, topics


class ReadAgain:
    """A decoder of kept records, and the names of feeds by their topics."""

    def __init__(self, tables: Tables, settings: Settings) -> None:
        self._symbols = Symbols(tables.array["symbols"])
        self._markets = tables.markets
        self.topics = topics(settings.events_topic, settings.reference_topic)

    def topic(self, feed: str) -> str:
        """The topic of a feed."""
        return next((topic for each, topic in zip(FEEDS, self.topics, strict=True) if each.name == feed), feed)

    def feed(self, topic: str) -> str:
        """The feed of a topic; the topic itself where it is none of a feed: a file, say."""
        return next((each.name for each, named in zip(FEEDS, self.topics, strict=True) if named == topic), topic)

    def __call__(self, topic: str, values: Sequence[bytes], encoding: bytes, places: Places) -> Decoded:
        """As `app.parking.Decode`. Reference data stays what it is: it goes by the security master, not by the engine."""
        if topic not in self.topics or topic == self.topics[REFERENCE]:
            told = "only sending it again helps: it is no record of a feed that the engine reads"
            return Decoded(
                unreadable=[
                    Unreadable(topic, partition, offset, "invalid_field", told, raw)
                    for (partition, offset), raw in zip(places, values, strict=True)
                ]
            )
        # contiguous, as those of a poll are, for which kernels are compiled
        partitions, offsets = np.ascontiguousarray(np.array(places, np.int64).reshape(-1, 2).T)
        origin = Origin(topic, self.topics.index(topic), partitions.astype(np.uint16), offsets, time.time_ns())
        headers = [((HEADER, encoding),)] * len(values)
        return decode(list(values), headers, self._symbols, origin, self._markets)
