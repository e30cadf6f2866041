"""What became of events, in the machine's counters, and the memory of the newest ones."""

import numpy as np
from numpy.typing import NDArray

from engine import begun
from engine.events import EventArray
from engine.model import Flag
from engine.recognise import is_refused
from engine.tables import RECENT_EVENTS, Tables, Word


def count(tables: Tables, events: EventArray, outcome: NDArray[np.uint8], *, parts: bool) -> None:
    """What became of events, in the counters: an event and its `parts`, if there are any, are one."""
    if not events.size:
        return
    state = tables.state
    state[Word.LAST_EVENT_NS] = max(int(state[Word.LAST_EVENT_NS]), int(events["time_ns"].max()))
    became = outcome[events["flags"] & Flag.PART == 0] if parts else outcome
    rejected = int(np.count_nonzero(is_refused(became)))
    duplicates = int(np.count_nonzero(became)) - rejected
    state[Word.DUPLICATES] += duplicates
    state[Word.REJECTED] += rejected
    state[Word.EVENTS] += became.size - duplicates - rejected


def remember(tables: Tables, events: EventArray, of: begun.Begun) -> None:
    """Keep the newest applied events, for "which events made this row" and for starts of day that come late."""
    newest, written = tables.array["recent"], int(tables.state[Word.RECENT])
    # numpy copies records field by field, words at the speed of memory
    recent = newest.view("<u8").reshape(RECENT_EVENTS, -1)
    kept = events[-RECENT_EVENTS:].view("<u8").reshape(-1, recent.shape[1])
    at = (written + events.size - len(kept)) % RECENT_EVENTS
    first = min(len(kept), RECENT_EVENTS - at)
    recent[at : at + first] = kept[:first]
    recent[: len(kept) - first] = kept[first:]
    tables.state[Word.RECENT] = written + events.size
    begun.note(events, written, of)
