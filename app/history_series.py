"""Numbers of a security over time, from the recorder's files: where each one changed, and when nobody looked."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from msgspec import Struct
from numpy.typing import NDArray

from feeds.history_columns import Sample, values_of
from feeds.history_files import HOUR_NS, HistoryFile, files, rows, samples

T = TypeVar("T")
_ATTEMPTS: Final = 5
_LATE: Final = 0.5
"""A sample may come so much of its interval later than it was due, before a line is torn."""


class Span(NamedTuple):
    """From one moment to another."""

    from_ns: int
    to_ns: int


class Line(NamedTuple):
    """A calculation: from each `at_ns` on its numbers by day, shape (n, DAYS), until the next or to the end of a span.

    `covered`: when it was known; a line begins anew with each of these spans.
    """

    name: str
    at_ns: NDArray[np.int64]
    place: NDArray[np.int64]
    values: NDArray[np.int64]
    covered: list[Span]


class Series(Struct, frozen=True):
    """What there is between two moments. `covered`: when somebody looked; `samples`: those looks, oldest first."""

    lines: list[Line]
    covered: list[Span]
    samples: list[Sample]


def series(folder: Path, security: str, from_ns: int, to_ns: int, names: Sequence[str] | None = None) -> Series:
    """Numbers of a security, by its code, as they were sampled; `names`: of these calculations, None: of all.

    A line begins with the number that was in force at `from_ns`, if it was known then. Raises `DamagedError`, OSError.
    """
    tables: list[pa.Table] = []
    told: list[Sample] = []
    begin_ns = from_ns // HOUR_NS * HOUR_NS  # files of an hour stand alone
    for file_rows, file_samples in _each(folder, begin_ns, to_ns, lambda file: rows(file, security, names)):
        tables.append(file_rows.replace_schema_metadata(None))
        told += file_samples
    told = [sample for sample in told if sample.at_ns <= to_ns]
    lines = list(_lines(pa.concat_tables(tables).unify_dictionaries(), told, from_ns, to_ns)) if tables else []
    spans = _within(covered(told, to_ns), from_ns)
    return Series(lines, spans, [sample for sample in told if sample.at_ns >= from_ns])


def looks(folder: Path, from_ns: int, to_ns: int) -> list[Sample]:
    """Samples between two moments, oldest first. Raises as `series`."""
    found = [sample for of in _each(folder, from_ns, to_ns, samples) for sample in of]
    return [sample for sample in found if from_ns <= sample.at_ns <= to_ns]


def covered(told: Sequence[Sample], to_ns: int) -> list[Span]:
    """When samples followed one another as they should."""
    spans: list[Span] = []
    for sample in told:
        until_ns = min(to_ns, sample.at_ns + sample.every_ns)
        late_ns = int(sample.every_ns * _LATE)
        if spans and sample.at_ns <= spans[-1].to_ns + late_ns:
            spans[-1] = Span(spans[-1].from_ns, until_ns)
        else:
            spans.append(Span(sample.at_ns, until_ns))
    return spans


def _each(folder: Path, from_ns: int, to_ns: int, read: Callable[[HistoryFile], T]) -> list[T]:
    """What `read` gives for every file; anew where files were put together meanwhile."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(FileNotFoundError):
            return [read(file) for file in files(folder, from_ns, to_ns)]
    return [read(file) for file in files(folder, from_ns, to_ns)]


def _lines(table: pa.Table, told: Sequence[Sample], from_ns: int, to_ns: int) -> Iterator[Line]:
    if not table.num_rows:
        return
    calculation = table["calculation"].combine_chunks()
    names, numbers = calculation.dictionary.to_pylist(), np.asarray(calculation.indices)
    at_ns = np.asarray(table["at"].cast(pa.int64()))
    place, values = np.asarray(table["place"]), values_of(table)
    spans, fulls = covered(told, to_ns), [sample.at_ns for sample in told if sample.full]
    for number in np.unique(numbers).tolist():
        of = np.flatnonzero((numbers == number) & (at_ns <= to_ns))
        of = of[np.argsort(at_ns[of], kind="stable")]
        if of.size:
            known = _known(at_ns[of], spans, fulls)
            yield _cut(Line(names[number], at_ns[of], place[of], values[of], known), from_ns)


def _known(at_ns: NDArray[np.int64], spans: Sequence[Span], fulls: Sequence[int]) -> list[Span]:
    """When a number was known that has rows at these times: from its first row, while somebody looked, and until it is not
    among everything there is. A look that has no row of it says that it was as before."""
    rows_at = at_ns.tolist()
    gone = sorted(set(fulls).difference(rows_at))
    known = []
    for begin, end in _lives(rows_at, gone):
        for span in spans:
            low, high = max(begin, span.from_ns), min(end, span.to_ns)
            if low < high:
                known.append(Span(low, high))
    return sorted(known)


def _lives(rows_at: Sequence[int], gone: Sequence[int]) -> Iterator[tuple[int, int]]:
    """From a row until the number is gone, and again from the next row."""
    begin = rows_at[0]
    for end in gone:
        if end > begin:
            yield begin, end
            following = [at for at in rows_at if at > end]
            if not following:
                return
            begin = following[0]
    yield begin, 2**63 - 1


def _cut(line: Line, from_ns: int) -> Line:
    """What is the same as before is said once, but at the beginning of each span, too."""
    spans = _within(line.covered, from_ns)
    at_ns, rows = [], []
    for span in spans:
        first = int(np.searchsorted(line.at_ns, span.from_ns, side="right")) - 1
        stop = int(np.searchsorted(line.at_ns, span.to_ns))
        values = line.values[first:stop]
        new = np.ones(len(values), bool)
        new[1:] = (values[1:] != values[:-1]).any(axis=1)
        at_ns.append(np.maximum(line.at_ns[first:stop][new], span.from_ns))
        rows.append(np.arange(first, stop)[new])
    chosen = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    times = np.concatenate(at_ns) if at_ns else np.zeros(0, np.int64)
    return Line(line.name, times, line.place[chosen], line.values[chosen], spans)


def _within(spans: Sequence[Span], from_ns: int) -> list[Span]:
    return [Span(max(span.from_ns, from_ns), span.to_ns) for span in spans if span.to_ns > from_ns]


def thinned(line: Line, day: int, most: int) -> tuple[list[tuple[int, int]], int]:
    """When the number of a day changed, and to what; and how often it did.

    Of more than `most` changes the first, the least, the largest and the last of every stretch of time are left, and what a
    span begins with.
    """
    values = line.values[:, day]
    begins = np.array([span.from_ns for span in line.covered], np.int64)
    span = np.searchsorted(begins, line.at_ns, side="right")
    new = np.ones(values.size, bool)
    new[1:] = (values[1:] != values[:-1]) | (span[1:] != span[:-1])
    at_ns, values, span = line.at_ns[new], values[new], span[new]
    count = int(at_ns.size)
    if count > most:
        chosen = np.unique(
            np.concatenate([np.flatnonzero(np.diff(span, prepend=-1)), _outstanding(at_ns, values, most)])
        )
        at_ns, values = at_ns[chosen], values[chosen]
    return list(zip(at_ns.tolist(), values.tolist(), strict=True)), count


def _outstanding(at_ns: NDArray[np.int64], values: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Places of the first, least, largest and last number of each of `most` / 4 stretches of the same length."""
    stretches = max(1, most // 4)
    width = (int(at_ns[-1]) - int(at_ns[0])) // stretches + 1
    stretch = (at_ns - at_ns[0]) // width
    order = np.lexsort((values, stretch))
    begins = np.flatnonzero(np.diff(stretch[order], prepend=-1))
    ends = np.append(begins[1:], order.size) - 1
    in_time = np.flatnonzero(np.diff(stretch, prepend=-1))
    return np.concatenate([order[begins], order[ends], in_time, np.append(in_time[1:], stretch.size) - 1])
