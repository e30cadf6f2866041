"""Files of the history: `date=2026-11-29/hour=14/FIRST-LAST.parquet`, by when their first and last samples were taken.

Files that were put together are covered by the one that has their samples, until they are removed: a reader that finds both
counts each sample once.
"""

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feeds import archive_files
from feeds.archive_files import DamagedError
from feeds.history_columns import FEW, NEAR, Sample, merged, nothing, samples_of

HOUR_NS: Final = 3_600_000_000_000
MERGED_ROWS: Final = 1_000_000
"""About so many rows are in memory at a time while files are put together."""
_DATE_LETTERS: Final = len("date=")


class HistoryFile(NamedTuple):
    """A file of samples from `first_ns` to `last_ns`."""

    first_ns: int
    last_ns: int
    path: Path


def path_of(folder: Path, first_ns: int, last_ns: int) -> Path:
    """Where a file belongs; all of its samples are of one hour."""
    at = dt.datetime.fromtimestamp(first_ns // HOUR_NS * 3_600, dt.UTC)
    return folder / f"date={at:%Y-%m-%d}" / f"hour={at:%H}" / f"{first_ns:020d}-{last_ns:020d}.parquet"


def files(folder: Path, from_ns: int, to_ns: int) -> list[HistoryFile]:
    """Those of the hours between two moments, each sample once, oldest first."""
    return _once(_paths(folder, from_ns, to_ns))


def all_files(folder: Path) -> list[HistoryFile]:
    """All there are, each sample once, oldest first."""
    return _once(folder.glob("date=*/hour=*/*.parquet"))


def _once(paths: Iterable[Path]) -> list[HistoryFile]:
    """Without those that another one covers."""
    found: list[HistoryFile] = []
    for path in paths:
        first, _, last = path.stem.partition("-")
        found.append(HistoryFile(int(first), int(last), path))
    found.sort(key=lambda file: (file.first_ns, -file.last_ns))
    counted: list[HistoryFile] = []
    for file in found:
        if not counted or file.last_ns > counted[-1].last_ns:
            counted.append(file)
    return counted


def days(folder: Path) -> list[tuple[str, Path]]:
    """Dates that there is something of, oldest first."""
    return sorted((path.name[_DATE_LETTERS:], path) for path in folder.glob("date=????-??-??"))


def write(folder: Path, first_ns: int, last_ns: int, parts: Sequence[pa.Table]) -> Path:
    """A file that is on disk when this returns. Raises OSError."""
    path = path_of(folder, first_ns, last_ns)
    archive_files.write(path, parts, FEW, NEAR)
    return path


def samples(file: HistoryFile) -> list[Sample]:
    """What samples it has. Raises `DamagedError`; FileNotFoundError where it has been put together with others meanwhile."""
    with _opened(file.path) as opened:
        return samples_of(opened.schema_arrow.metadata)


def rows(file: HistoryFile, security: str, names: Sequence[str] | None = None) -> tuple[pa.Table, list[Sample]]:
    """Rows of a security (`names`: of these calculations only) and all samples. Raises as `samples`."""
    with _opened(file.path) as opened:
        table = _between(opened, security, security)
        told = samples_of(opened.schema_arrow.metadata)
    if names is not None:
        table = table.filter(pc.is_in(table["calculation"].cast(pa.string()), pa.array(names, pa.string())))
    return table, told


def put_together(folder: Path, parts: Sequence[HistoryFile]) -> HistoryFile:
    """Several files of one hour as one, some securities at a time; then the others are removed.

    Raises OSError, `DamagedError`: then nothing has changed.
    """
    whole = HistoryFile(parts[0].first_ns, parts[-1].last_ns, path_of(folder, parts[0].first_ns, parts[-1].last_ns))
    with ExitStack() as opened:
        read = [opened.enter_context(_opened(part.path)) for part in parts]
        told = [sample for file in read for sample in samples_of(file.schema_arrow.metadata)]
        archive_files.write(whole.path, _rows_of_all(read, told), FEW, NEAR)
    for part in parts:
        part.path.unlink(missing_ok=True)
    return whole


def _rows_of_all(read: Sequence[pq.ParquetFile], told: Sequence[Sample]) -> Iterator[pa.Table]:
    codes = sorted({code for file in read for code in _codes(file)})
    at_a_time = max(1, len(codes) * MERGED_ROWS // max(1, sum(file.metadata.num_rows for file in read)))
    for begin in range(0, len(codes), at_a_time):
        last = min(begin + at_a_time, len(codes)) - 1
        parts = [_between(file, codes[begin], codes[last]).replace_schema_metadata(None) for file in read]
        yield from merged(parts, told)
    if not codes:
        yield from nothing(told)


def _paths(folder: Path, from_ns: int, to_ns: int) -> Iterator[Path]:
    hour = from_ns // HOUR_NS
    while hour * HOUR_NS <= to_ns:
        of = path_of(folder, hour * HOUR_NS, 0).parent
        if of.is_dir():
            yield from of.glob("*.parquet")
        elif not of.parent.is_dir():
            hour += 23 - hour % 24  # nothing of the whole day
        hour += 1


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise DamagedError(f"{path}: {error}") from error


def _between(file: pq.ParquetFile, low: str, high: str) -> pa.Table:
    """Rows of securities from one code to another, both included; row groups that have none of them are not read."""
    groups = []
    for i in range(file.metadata.num_row_groups):
        known = file.metadata.row_group(i).column(0).statistics
        if known is None or not known.has_min_max or (known.min <= high and low <= known.max):
            groups.append(i)
    try:
        table = file.read_row_groups(groups, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise DamagedError(f"a file of the history cannot be read: {error}") from error
    parts, at = [], 0
    for words in table["security"].chunks:  # each with the codes that are in it, in order
        texts = words.dictionary.to_pylist()
        bounds = [bisect_left(texts, low), bisect_right(texts, high)]
        first, stop = np.searchsorted(np.asarray(words.indices), bounds).tolist()
        parts.append(table.slice(at + first, stop - first))
        at += len(words)
    return pa.concat_tables(parts) if parts else table


def _codes(file: pq.ParquetFile) -> list[str]:
    try:
        column = file.read(["security"], use_threads=False)["security"]
    except (OSError, pa.ArrowException) as error:
        raise DamagedError(f"a file of the history cannot be read: {error}") from error
    return [code for chunk in column.chunks for code in chunk.dictionary.to_pylist()]
