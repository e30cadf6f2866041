"""Records that name something nobody has explained yet: kept in order, and used the moment reference data explains it; steps of
deals that nobody has opened, used the moment somebody does.

The parking is the engine's own: it changes only between two messages, so a snapshot that holds it (`state`) and the offsets
that have been applied is one moment, and nothing is lost or parked twice. SQLite has a copy of it for people.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Final, TypeAlias

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from app.parked_corrections import Corrections
from app.parked_numbers import Numbers
from app.parked_record import DEAL, Numbered, Wanted, encoding_of
from app.parked_turn import Hand, Limits, concerns_of, ids_of, openings, overtaken, place_of, resets, turn_of
from app.parking_store import Parked, ParkingStore, identity
from engine.model import Flag, Namespace
from engine.state import Machine
from engine.symbols import Symbols
from engine.tables import RECENT_EVENTS, Word
from feeds.quarantine import Decoded, Unreadable

log = structlog.get_logger()
REPLACED: Final = "replaced"
"""The reason of a record whose place a correction has taken: it is in the quarantine to be seen, not to be used."""
_MOVED: Final = "parked until {why}: {detail}"
_STATE: Final = msgspec.msgpack.Decoder(tuple[int, list[Parked]])
_ENCODER: Final = msgspec.msgpack.Encoder()

Places: TypeAlias = Sequence[tuple[int, int]]
"""Partition and offset, one of each record."""
Decode: TypeAlias = Callable[[str, Sequence[bytes], bytes, Places], Decoded]
"""Records of one topic and one encoding (as in the header `enc`), read as their feed reads them."""


class Parking:
    """All parked records of an engine. Call it from the writer's loop, but not from within a batch.

    `use` applies what was decoded; `quarantine` keeps what cannot be parked any more; `beside` does a job in its turn, off
    the loop; `clock`: UTC nanoseconds; `topics`: by the numbers that events have of them.
    """

    def __init__(
        self,
        machine: Machine,
        store: ParkingStore,
        *,
        decode: Decode,
        use: Callable[[Decoded], None],
        quarantine: Callable[[list[Unreadable]], None],
        beside: Callable[..., None],
        clock: Callable[[], int],
        topics: Sequence[str] = (),
        limits: Limits | None = None,
    ) -> None:
        self._machine = machine
        self.store = store
        self._decode, self._use, self._quarantine, self._beside = decode, use, quarantine, beside
        self._clock = clock
        self._topics = topics
        self.limits = limits or Limits()
        self._symbols = Symbols(machine.tables.array["symbols"])
        self._corrections = Corrections(machine.tables, topics, self, decode, use)
        self._discarded = store.discarded_identities()
        self._replaced: set[bytes] = set()
        """What a worker that is killed may hand over once more."""
        self._begin([], 1)
        self._recent = machine.tables.count(Word.RECENT)

    def _begin(self, records: Iterable[Parked], next_id: int) -> None:
        self._records: dict[int, Parked] = {}
        self._identities: dict[bytes, int] = {}
        self._waiting: dict[Wanted, set[int]] = {}
        self._unopened: dict[Wanted, set[int]] = {}
        """The same for deals."""
        self._numbers = Numbers()
        self._hand = Hand()
        self._known_then = -1
        self._shares: Counter[str] = Counter()
        self._bytes = self._events = 0
        self._shown = np.empty(0, np.int32)
        self._changed = True
        self._next = next_id
        for parked in sorted(records, key=turn_of):
            self._put(parked)

    # what is asked of it

    def __len__(self) -> int:
        return len(self._records)

    @property
    def size_bytes(self) -> int:
        """Of the records as they came."""
        return self._bytes

    @property
    def oldest(self) -> Parked | None:
        """The one whose turn is first."""
        return min(self._records.values(), key=turn_of, default=None)

    def records(self) -> list[Parked]:
        """In the order in which they will be used."""
        return sorted(self._records.values(), key=turn_of)

    def missing(self, parked: Parked) -> tuple[Wanted, ...]:
        """The codes that it names and that are not known now; its deal, which nobody had opened when it came."""
        wants = parked.concerns.wants
        return tuple(want for want, known in zip(wants, self._known(wants), strict=True) if not known)

    def by_topic(self) -> Counter[str]:
        """Records by the topic they came from."""
        return Counter(parked.entry.topic for parked in self._records.values())

    # doors

    def park(self, entries: Sequence[Unreadable]) -> None:
        """Keep records until what they name is known; what is known by now is used at once."""
        come = []
        for entry in entries:
            if place_of(entry) in self._hand.of:
                self._next = self._hand.put_back(entry, self._next)
                continue
            key = identity(entry)
            if key in self._identities or key in self._discarded or key in self._replaced:
                continue
            parked = Parked(self._next, self._next, entry, concerns_of(entry), self._clock())
            self._next += 1
            self._put(parked)
            come.append(parked)
        if come:
            self._beside(self.store.change, (), come)
            self._supersede()  # a start of day behind it in the same poll has been applied before it
            come = [parked for parked in come if parked.id in self._records]
            self._replay([parked for parked in come if _explained(parked) and not self.missing(parked)])
            self._keep_to_limits()
        self._count()

    def registered(self) -> None:
        """Reference data has come: use whatever it explains, in order."""
        if not self._waiting:
            return
        self._supersede()
        wanted = list(self._waiting)
        explained = [want for want, known in zip(wanted, self._known(wanted), strict=True) if known]
        touched = {number for want in explained for number in self._waiting[want]}
        chosen = [self._records[number] for number in touched]
        # several events of one record do not wait for each other; one event waits for all that it names
        self._replay([parked for parked in chosen if parked.entry.events > 1 or not self.missing(parked)])
        for want in explained:
            self._waiting.pop(want, None)
        self._follow()
        self._count()

    def awaited(self, steps: NDArray[np.void]) -> Sequence[int]:
        """See `app.intake.Waiting`."""
        if not self._unopened:
            return ()
        parts = steps["event"]["flags"] & Flag.PART != 0
        ends: list[int] = []
        for at, want in openings(self._machine.tables, steps):
            if want in self._unopened:
                end = at + 1
                while end < len(steps) and parts[end]:
                    end += 1
                ends.append(end)
        return [end for end in ends if end < len(steps)]

    def opened(self, steps: NDArray[np.void]) -> None:
        """Use what has waited for the deals that these steps open, in order."""
        if not self._unopened:
            return
        found = {number for _, want in openings(self._machine.tables, steps) for number in self._unopened.get(want, ())}
        self._replay([self._records[number] for number in found])
        self._follow()
        self._count()

    def behind(self, corrections: NDArray[np.void]) -> NDArray[np.bool_]:
        """See `app.intake.Waiting`."""
        if not self._numbers and not self._hand.back:
            return np.zeros(len(corrections), np.bool_)
        waits = self._corrections.behind(corrections)
        self._count()
        return waits

    def having(self, number: Numbered) -> Parked | None:
        """The record with a number of a source, if it waits, or is to wait again."""
        found = self._numbers.find(number)
        if found is not None:
            return self._records[found]
        return next((each for each in self._hand.back if number in each.concerns.numbers), None)

    def replace(self, original: Parked, why: str) -> bool:
        """Set a record aside, and not to be used any more; False where it is being read again just now."""
        if original.id not in self._records:
            return False
        self._give_up([original], why, REPLACED)
        self._replaced.add(identity(original.entry))
        return True

    def retry(self, numbers: Iterable[int] | None = None) -> tuple[int, int]:
        """Read these records (None: all) again, in order. Returns how many were used and how many go on waiting."""
        self._supersede()
        chosen = self._chosen(numbers)
        left = self._replay(chosen)
        self._follow()
        self._count()
        return len(chosen) - left, left

    def discard(self, numbers: Iterable[int], who: str, comment: str) -> list[Unreadable]:
        """Give records up for good; they are remembered with who did it, and not parked again."""
        chosen = self._chosen(numbers)
        if not chosen:
            return []
        self._take(chosen)
        entries = [parked.entry for parked in chosen]
        self._discarded |= {identity(entry) for entry in entries}
        self._beside(self.store.discard, entries, who, comment)
        self._beside(self.store.change, [parked.id for parked in chosen], ())
        self._count()
        return entries

    def tick(self) -> None:
        """Say in the tables what waits, use what has been explained without a word, set aside what has been overtaken."""
        self._supersede()
        known = self._machine.tables.count(Word.REFERENCE)
        if known != self._known_then:
            self._known_then = known
            self.registered()
        self._follow()
        if not self._changed:
            return
        self._changed = False
        codes = list(self._shares)
        ids = ids_of([(int(Namespace.SECURITY), code) for code in codes], self._symbols)
        totals: Counter[int] = Counter()
        for number, code in zip(ids.tolist(), codes, strict=True):
            if number:
                totals[number] += self._shares[code]
        gone = [number for number in self._shown.tolist() if number not in totals]
        self._shown = np.array(list(totals), np.int32)
        if gone or totals:
            quantities = np.array([*totals.values(), *(0 for _ in gone)], np.int64)
            self._machine.set_parked(np.array([*totals, *gone], np.int32), quantities)

    # snapshots

    def state(self) -> bytes:
        """Everything that waits, for a snapshot."""
        return _ENCODER.encode((self._next, list(self._records.values())))

    def restore(self, raw: bytes) -> None:
        """Hold what a snapshot held; what people have given up since stays given up. Raises `msgspec.DecodeError`."""
        next_id, records = _STATE.decode(raw)
        self._begin([each for each in records if identity(each.entry) not in self._discarded], next_id)
        self._recent = self._machine.tables.count(Word.RECENT)
        self._beside(self.store.replace, self.records())
        self._count()

    def load(self) -> None:
        """Hold what is on disk: there is no snapshot, and the broker may have forgotten those records."""
        records = list(self.store.entries())
        self._begin(records, 1 + max((parked.id for parked in records), default=0))
        self._count()

    # parts

    def _chosen(self, numbers: Iterable[int] | None) -> list[Parked]:
        if numbers is None:
            return list(self._records.values())
        return [self._records[number] for number in dict.fromkeys(numbers) if number in self._records]

    def _put(self, parked: Parked) -> None:
        self._records[parked.id] = parked
        self._identities[identity(parked.entry)] = parked.id
        self._numbers.put(parked)
        for want in self.missing(parked):
            self._where(want).setdefault(want, set()).add(parked.id)
        self._shares.update(dict(parked.concerns.shares))
        self._bytes += len(parked.entry.raw)
        self._events += parked.entry.events
        self._changed = True

    def _take(self, chosen: Sequence[Parked]) -> None:
        for parked in chosen:
            del self._records[parked.id]
            self._identities.pop(identity(parked.entry), None)
            self._numbers.take(parked)
            for want in parked.concerns.wants:
                where = self._where(want)
                if (numbers := where.get(want)) is not None:
                    numbers.discard(parked.id)
                    if not numbers:
                        del where[want]
            self._shares.subtract(dict(parked.concerns.shares))
            self._bytes -= len(parked.entry.raw)
            self._events -= parked.entry.events
        self._shares = +self._shares
        self._changed = True

    def _replay(self, chosen: Sequence[Parked]) -> int:
        """Use records in their order; returns how many are, in part or whole, still not explained."""
        if not chosen:
            return 0
        ordered = sorted(chosen, key=turn_of)
        self._take(ordered)
        outer = self._hand  # an opening that is used now has steps of its own that wait for it
        self._hand = Hand({place_of(parked.entry): parked for parked in ordered})
        for (topic, encoding), run in groupby(ordered, lambda p: (p.entry.topic, encoding_of(p.entry.raw))):
            self._use_run(topic, encoding, list(run))
        back, self._hand = self._hand.back, outer
        for parked in back:
            self._put(parked)
        self._beside(self.store.change, [parked.id for parked in ordered], back)
        if len(back) < len(ordered):
            log.info("parked records are explained", used=len(ordered) - len(back), still_waiting=len(back))
        return len(back)

    def _use_run(self, topic: str, encoding: bytes, run: Sequence[Parked]) -> None:
        """What of these records is to be parked again goes back from the hand."""
        places = [(parked.entry.partition, parked.entry.offset) for parked in run]
        decoded = self._decode(topic, [parked.entry.raw for parked in run], encoding, places)
        bad = []
        for entry in decoded.unreadable:
            if entry.unknown and place_of(entry) in self._hand.of:
                self._next = self._hand.put_back(entry, self._next)
            else:
                bad.append(entry)
        decoded.unreadable.clear()
        self._use(decoded)
        if bad:
            self._quarantine(bad)

    def _follow(self) -> None:
        """What has waited behind what waits no longer has its turn; not while that is in the hand."""
        while not self._hand.of and (free := self._numbers.free()):
            if self._replay([self._records[number] for number in free]) == len(free):
                return

    def _where(self, want: Wanted) -> dict[Wanted, set[int]]:
        return self._unopened if want[0] == DEAL else self._waiting

    def _supersede(self) -> None:
        """A start of day replaces its book: what waits from before it must not be used on top of it."""
        written = self._machine.tables.count(Word.RECENT)
        since, self._recent = max(self._recent, written - RECENT_EVENTS), written
        if not self._records or since >= written:
            return
        for book, reset in resets(self._machine.tables, since, written):
            number = int(reset["topic"])
            topic = self._topics[number] if number < len(self._topics) else ""
            late = [parked for parked in self._records.values() if overtaken(parked, book, reset, topic)]
            self._give_up(late, f"a later start of day of book {book}")

    def _keep_to_limits(self) -> None:
        gone: list[Parked] = []
        records, size = len(self._records), self._bytes
        if records <= self.limits.records and size <= self.limits.size_bytes:
            return
        for parked in self.records():
            if records <= self.limits.records and size <= self.limits.size_bytes:
                break
            gone.append(parked)
            records, size = records - 1, size - len(parked.entry.raw)
        self._give_up(gone, f"there was no room (at most {self.limits.records:,} records)")

    def _give_up(self, chosen: Sequence[Parked], why: str, reason: str = "") -> None:
        """To the quarantine, loudly."""
        if not chosen:
            return
        (log.info if reason else log.error)("parked records go to the quarantine unused", records=len(chosen), why=why)
        self._take(chosen)
        self._beside(self.store.change, [parked.id for parked in chosen], ())
        told = [
            msgspec.structs.replace(
                each.entry, detail=_MOVED.format(why=why, detail=each.entry.detail), reason=reason or each.entry.reason
            )
            for each in chosen
        ]
        self._quarantine(told)

    def _known(self, wants: Sequence[Wanted]) -> list[bool]:
        return [bool(number) for number in ids_of(wants, self._symbols).tolist()]

    def _count(self) -> None:
        state = self._machine.tables.state
        state[Word.PARKED] = self._events
        state[Word.PARKED_SHARES] = self._shares.total()


def _explained(parked: Parked) -> bool:
    """Whether reference data alone lets it be used."""
    return bool(parked.concerns.wants) and parked.concerns.corrects is None
