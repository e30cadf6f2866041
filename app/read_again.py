"""Records that were kept, read once more as their feed reads them: by the engine itself, when they are explained."""

import time
from collections.abc import Sequence

import numpy as np

from app.parking import Decode, Places
from app.settings import Settings
from engine.symbols import Symbols
from engine.tables import Tables
from feeds.decode import HEADER, decode
from feeds.quarantine import Decoded, Origin


def again(tables: Tables, settings: Settings) -> Decode:
    """A decoder of kept records."""
    symbols = Symbols(tables.array["symbols"])
    del settings

    def read(topic: str, values: Sequence[bytes], encoding: bytes, places: Places) -> Decoded:
        partitions, offsets = np.array(places, np.int64).reshape(-1, 2).T
        origin = Origin(topic, 0, partitions.astype(np.uint16), offsets, time.time_ns())
        return decode(list(values), [((HEADER, encoding),)] * len(values), symbols, origin)

    return read
