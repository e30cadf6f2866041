"""Records that were kept, read once more as their feed reads them: by the engine itself, when they are explained."""

import time
from collections.abc import Sequence

import numpy as np

from app.parking import Places
from app.settings import Settings
from engine.symbols import Symbols
from engine.tables import Tables
from feeds.decode import HEADER, decode
from feeds.quarantine import Decoded, Origin


class ReadAgain:
    """A decoder of kept records, and the names of feeds by their topics."""

    def __init__(self, tables: Tables, settings: Settings) -> None:
        self._symbols = Symbols(tables.array["symbols"])
        self._topics = {"events": settings.events_topic, "reference": settings.reference_topic}

    def topic(self, feed: str) -> str:
        """The topic of a feed."""
        return self._topics.get(feed, f"ims.{feed}")

    def feed(self, topic: str) -> str:
        """The feed of a topic; the topic itself where it is none of a feed: a file, say."""
        return next((feed for feed, named in self._topics.items() if named == topic), topic)

    def __call__(self, topic: str, values: Sequence[bytes], encoding: bytes, places: Places) -> Decoded:
        """As `app.parking.Decode`."""
        partitions, offsets = np.array(places, np.int64).reshape(-1, 2).T
        origin = Origin(topic, 0, partitions.astype(np.uint16), offsets, time.time_ns())
        return decode(list(values), [((HEADER, encoding),)] * len(values), self._symbols, origin)
