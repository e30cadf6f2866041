"""Reads what rules that are not in force would make of the live rows, beside a writer that never waits.

Securities are read a few at a time. What was read counts only if it is of one moment: either the epoch is even and the same
before and after, or all that happened in between were batches, and none of them touched the security (a batch leaves its number
as a mark in the head of every security it changes, and such a mark would be newer than the reading). Everything else is read
again. So the number in force and the number of the draft always come from the same rows.
"""

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from engine.calc import recalculate
from engine.classes import Classifier
from engine.model import DAYS, HEAD_MARK, HEAD_TOUCHED, HEAD_WORDS, MAINTAINED, TERM_WORDS, Decided
from engine.prefetch import prefetch
from engine.programs import Programs, programs_of
from engine.row import DELIVER, KEY, LINKS, RECEIPT, feed, look
from engine.rule_model import Measure, Scope
from engine.rules import Compiled
from engine.tables import Tables, TornReadError, Word

CHUNK: Final = 64
"""Securities read at once; those that a batch touched meanwhile are read again, ever fewer at once."""
PATIENCE_S: Final = 60.0
"""Who asks waits longer (`app.analyst.client`)."""
_PAUSE_S: Final = 0.00005
_JIT: Final[dict[str, Any]] = {"cache": True, "nogil": True}
_LOW: Final = np.int64(0xFFFFFFFF)


class RulesChangedError(RuntimeError):
    """Other rules came into force, or a market's day began, while the draft was being read beside the old ones."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Some securities, each whole and of one moment.

    `before`: values in force (n, calculations of the active catalogue, DAYS); `after`: the draft's (n, calculations of the
    draft, DAYS), filled for those whose number is a security's; `head` (n, HEAD_WORDS) and `decided` (n, Decided): see
    `engine.tables`; `market` (n,).
    """

    ids: NDArray[np.int32]
    market: NDArray[np.uint8]
    before: NDArray[np.int64]
    after: NDArray[np.int64]
    head: NDArray[np.int64]
    decided: NDArray[np.int64]


@dataclass(slots=True)
class _Work:
    """Memory of a chunk: small enough to stay in the processor's cache."""

    terms: NDArray[np.int64]
    head: NDArray[np.int64]
    values: NDArray[np.int64]
    unknown: NDArray[np.bool_]

    @classmethod
    def of(cls, components: int, calculations: int) -> "_Work":
        return cls(
            np.zeros((CHUNK, components * TERM_WORDS), np.int64),
            np.zeros((CHUNK, HEAD_WORDS), np.int64),
            np.zeros((CHUNK, calculations * DAYS), np.int64),
            np.zeros(CHUNK, np.bool_),
        )


class DraftReading:
    """One reading of all securities under `compiled`.

    `rules`: the version of the rules in force (`Word.RULES`) when `compiled` was made for its dates. `alive` is asked before
    every chunk and raises what should end the reading. `rows_read` and `again` (securities, each time one was read once more)
    tell what it took.
    """

    def __init__(
        self, tables: Tables, compiled: Compiled, rules: int, alive: Callable[[], None] = lambda: None
    ) -> None:
        self.compiled = compiled
        self.rows_read = 0
        self.again = 0
        self._tables = tables
        self._rules = rules
        self._alive = alive
        catalogue = compiled.catalogue
        chosen = [i for i, info in enumerate(catalogue.calculations) if info.scope == Scope.SECURITY]
        self._programs: Programs = programs_of(compiled.programs, chosen, compiled.day_weights)
        self._decided = _decided_components(compiled)
        self._work = _Work.of(len(catalogue.components), len(catalogue.calculations))
        self._position = tables.array["position"].view("<i8").reshape(len(tables.array["position"]), -1)
        self._active = len(tables.catalogue.calculations)
        self._securities = tables.count(Word.SECURITIES)
        self._classifier: Classifier | None = None
        self._reference = -1
        self._row_class = np.zeros(len(self._position), np.uint16)
        self._classified = 0
        self._market = np.zeros(0, np.uint8)

    @property
    def classes(self) -> int:
        """Sorts of rows that the draft tells apart."""
        return self._classifier.classes if self._classifier is not None else 0

    def moments(self, patience_s: float = PATIENCE_S) -> Iterator[Moment]:
        """Every security that there was at the start, once.

        Raises `TornReadError` when the writer leaves no quiet moment for some of them, `RulesChangedError`.
        """
        deadline = time.monotonic() + patience_s
        self.classify(deadline)
        pending = np.arange(1, self._securities + 1, dtype=np.int32)
        size = CHUNK
        while pending.size:
            left = []
            for start in range(0, pending.size, size):
                ids = pending[start : start + size]
                moment = self._attempt(ids, deadline)
                if moment is not None:
                    yield moment
                    ids = np.setdiff1d(ids, moment.ids, assume_unique=True)
                left.append(ids)
            pending = np.concatenate(left)
            self.again += pending.size
            if pending.size:
                size = max(1, size // 2)
                self.classify(deadline)

    def _quiet(self, deadline: float) -> tuple[int, int]:
        """An even epoch, and how many batches had been applied in it."""
        state = self._tables.state
        while True:
            epoch, batches = int(state[Word.EPOCH]), int(state[Word.BATCHES])
            if epoch % 2 == 0 and int(state[Word.EPOCH]) == epoch:
                if int(state[Word.RULES]) != self._rules:
                    raise RulesChangedError("other rules came into force meanwhile")
                return epoch, batches
            self._alive()
            if time.monotonic() > deadline:
                raise TornReadError("the writer left no quiet moment for some securities")
            time.sleep(_PAUSE_S)

    def classify(self, deadline: float) -> None:
        """Classes of all rows that exist now; attributes are asked for anew when reference data changed."""
        tables, state = self._tables, self._tables.state
        while True:
            self._quiet(deadline)
            reference, rows = int(state[Word.REFERENCE]), int(state[Word.ROWS])
            if self._classifier is None or reference != self._reference:
                self._classifier = Classifier(self.compiled, tables)
                self._market = tables.array["security"]["market"][: self._securities + 1].copy()
                self._classified = 0
            if rows > self._classified:
                news = slice(self._classified, rows)
                self._row_class[news] = self._classifier.classes_of(self._position[news, KEY].copy())
                self._classified = rows
            # a registration is over before its epoch is even again: had one run, its number would have grown
            self._quiet(deadline)
            self._reference = reference
            if int(state[Word.REFERENCE]) == reference:
                return
            self._classifier = None

    def _attempt(self, ids: NDArray[np.int32], deadline: float) -> Moment | None:
        """Those of `ids` that could be read whole; None: nothing could, the attributes of rows have changed."""
        self._alive()
        work, array, state = self._work, self._tables.array, self._tables.state
        epoch, batches = self._quiet(deadline)
        if int(state[Word.REFERENCE]) != self._reference:
            return None
        self._collect(ids)
        head, decided, clock = array["head"][ids], array["decided"][ids], array["clock"].copy()
        before = array["values"][ids, : self._active]
        whole = ~work.unknown[: ids.size]
        until, applied = self._quiet(deadline)
        if until != epoch:
            only_batches = until - epoch == 2 * (applied - batches)
            whole &= only_batches & (array["head"][ids, HEAD_MARK] <= batches)
        after = self._values(ids, head, decided, clock)
        market = self._market[ids]
        return Moment(ids[whole], market[whole], before[whole], after[whole], head[whole], decided[whole])

    def values_now(self, security: int) -> NDArray[np.int64] | None:
        """The draft's values of a security (calculations, DAYS). Call it inside `Tables.read`, after `classify`.

        None: its rows have attributes that were not there when they were classified.
        """
        if int(self._tables.state[Word.REFERENCE]) != self._reference:
            return None
        ids, array = np.array([security], np.int32), self._tables.array
        self._collect(ids)
        if self._work.unknown[0]:
            return None
        values = self._values(ids, array["head"][ids], array["decided"][ids], array["clock"])
        only: NDArray[np.int64] = values[0].copy()
        return only

    def as_if_published(self) -> Tables:
        """The tables with what rows would feed, after `classify`, and room for the draft's values: all 0, all else as it is."""
        assert self._classifier is not None, "classified before"
        seen = copy.copy(self._tables)
        seen.array = self._tables.array | {
            "row_class": self._row_class,
            "class_entries": self._classifier.entries,
            "class_counts": self._classifier.counts,
            "values": np.zeros((self._securities + 1, len(self.compiled.catalogue.calculations), DAYS), np.int64),
        }
        return seen

    def _collect(self, ids: NDArray[np.int32]) -> None:
        """Sums of these securities as they are at this moment, into the memory of the chunk."""
        assert self._classifier is not None, "classified before"
        self.rows_read += collect(
            ids,
            self._tables.array["first_in_security"],
            self._position,
            self._row_class,
            self._classified,
            self._classifier.entries,
            self._classifier.counts,
            self._work.terms,
            self._work.unknown,
        )

    def _values(
        self, ids: NDArray[np.int32], head: NDArray[np.int64], decided: NDArray[np.int64], clock: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The draft's values of the chunk (n, calculations, DAYS), in memory that the next chunk will use again."""
        work, count = self._work, ids.size
        for component, source in self._decided:
            at = component * TERM_WORDS
            work.terms[:count, at : at + DAYS] = decided[:, source, None]
        work.head[:count] = head
        work.head[:, HEAD_TOUCHED] = -1  # sums of a chunk are whole: what no row feeds is 0
        places = np.arange(count, dtype=np.int32)
        recalculate(places, self._market[ids], self._programs, work.terms, work.head, clock, work.values)
        return work.values[:count].reshape(count, -1, DAYS)


def _decided_components(compiled: Compiled) -> list[tuple[int, int]]:
    """(component, Decided) of the sums that decisions feed."""
    infos = compiled.catalogue.terms
    return [
        (info.component, Decided[info.source.upper()])
        for info in infos
        if info.component >= 0 and compiled.measures[info.component] == Measure.DECIDED
    ]


@nb.njit(**_JIT)
def collect(
    ids: NDArray[np.int32],
    first_in_security: NDArray[np.int32],
    position: NDArray[np.int64],
    row_class: NDArray[np.uint16],
    classified: int,
    entries: NDArray[np.int64],
    counts: NDArray[np.int64],
    terms: NDArray[np.int64],
    unknown: NDArray[np.bool_],
) -> int:
    """Sums of `ids` into `terms` (n, components * TERM_WORDS). `unknown`: securities with rows that are not classified.

    Returns how many rows were read. The rows may change meanwhile: then the sums are wrong, and nothing worse.
    """
    nothing = look(np.zeros((1, position.shape[1]), np.int64), 0)
    read = 0
    for i in range(ids.size):
        prefetch(position, np.int64(first_in_security[ids[i]]) - 1, 0)
    for i in range(ids.size):
        for word in range(terms.shape[1]):
            terms[i, word] = 0
        unknown[i] = False
        at = np.int64(first_in_security[ids[i]])
        while at:
            row = at - 1
            if row >= classified:
                unknown[i] = True
                break
            at = position[row, LINKS] & _LOW
            prefetch(position, at - 1, 0)
            prefetch(position, at - 1, RECEIPT)
            prefetch(position, at - 1, DELIVER)
            of_class = np.int64(row_class[row])
            feed(nothing, look(position, row), terms, i, entries, of_class, counts[of_class, MAINTAINED])
            read += 1
    return read
