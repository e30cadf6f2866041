"""Numbers of every security over time <-> columns of the history's files, readable in any tool.

A row is one calculation of one security from `at` on, until the next row of the same two: `sd0` its number on SD0, in the unit
of the calculation, `step1`..`step4` what it has more on each day than on the one before (so a third of the bytes will do: most
of what happens is the same on all days). `place` is the machine's log by then. Rows are in the order of the security's code,
those of one security by calculation, those of one calculation by time. A sample that is `full` has a row for everything there
is, any other one only for what is not as it was in the sample before. Which samples were taken, a file says in its metadata.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Struct
from numpy.typing import NDArray

from engine.model import DAYS

GROUP_ROWS: Final = 1 << 16
"""Rows of a row group: what is read at least when one security is asked for."""
VALUE_COLUMNS: Final = ("sd0", *(f"step{day}" for day in range(1, DAYS)))
FEW: Final = ("at", "place", *VALUE_COLUMNS[1:])
NEAR: Final = VALUE_COLUMNS[:1]
"""How columns are best written: see `feeds.archive_files.write`."""
_SAMPLES: Final = b"ims.samples"
_UTC: Final = pa.timestamp("ns", "UTC")


class MarketSample(Struct, frozen=True):
    """A market in a sample: securities with stock, the median of what is used of it, and the pool of short locates.

    `utilisation`: basis points; `pool`, `left`: shares on the day on which a trade of today settles; `scarce`: securities with
    nothing left.
    """

    market: str
    securities: int
    utilisation: int
    pool: int
    left: int
    scarce: int


class Sample(Struct, frozen=True):
    """One look at everything. `at_ns` to `end_ns`: while it was copied; `every_ns`: when the next one is due after `at_ns`.

    `place`: the machine's log at the end of it; `rules`: the catalogue's version; `stale`: bits of `engine.model.Concern`;
    `as_of_ns`: the newest event; `rows`: how many numbers differed.
    """

    at_ns: int
    end_ns: int
    every_ns: int
    place: int
    generation: str
    rules: int
    full: bool
    stale: int
    as_of_ns: int
    rows: int
    markets: tuple[MarketSample, ...] = ()


class Numbers(Struct, frozen=True):
    """Rows in the order of the securities' codes. `security`, `calculation`: places in `codes` and `names`, shape (n,).

    `codes` in order; `values`: the columns `VALUE_COLUMNS`, each (n,).
    """

    codes: list[str]
    names: list[str]
    security: NDArray[np.int32]
    calculation: NDArray[np.int32]
    at_ns: NDArray[np.int64]
    place: NDArray[np.int64]
    values: list[NDArray[np.int64]]


def steps_of(values: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Numbers by day, shape (n, DAYS), as columns."""
    days = np.ascontiguousarray(values.T)
    return [days[0], *(days[1:] - days[:-1])]


def values_of(table: pa.Table) -> NDArray[np.int64]:
    """Numbers by day of all its rows, shape (n, DAYS)."""
    return np.cumsum(np.stack([np.asarray(table[name]) for name in VALUE_COLUMNS]), axis=0).T


def tables(numbers: Numbers, samples: Sequence[Sample]) -> list[pa.Table]:
    """Portions of a row group each: only so each has a dictionary of its own, of the few securities that are in it."""
    schema = _schema(samples)
    made = []
    for begin in range(0, max(1, numbers.security.size), GROUP_ROWS):
        part = slice(begin, begin + GROUP_ROWS)
        security = numbers.security[part]
        begins = np.diff(security, prepend=-1) > 0
        codes = pa.array([numbers.codes[i] for i in security[begins].tolist()], pa.string())
        columns = [
            pa.DictionaryArray.from_arrays((np.cumsum(begins) - 1).astype(np.int32), codes),
            pa.DictionaryArray.from_arrays(numbers.calculation[part], pa.array(numbers.names, pa.string())),
            pa.array(numbers.at_ns[part]).view(_UTC),
            pa.array(numbers.place[part]),
            *(pa.array(values[part]) for values in numbers.values),
        ]
        made.append(pa.Table.from_arrays(columns, schema=schema))
    return made


def nothing(samples: Sequence[Sample]) -> list[pa.Table]:
    """Samples in which nothing was different."""
    none, of = np.zeros(0, np.int32), np.zeros(0, np.int64)
    return tables(Numbers([], [], none, none, of, of, [of] * DAYS), samples)


def merged(parts: Sequence[pa.Table], samples: Sequence[Sample]) -> list[pa.Table]:
    """Rows of several files of the same securities, in the order of time, as one: portions of a row group each."""
    whole = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    if not whole.num_rows:
        return []
    security, codes = _words(whole["security"])
    calculation, names = _words(whole["calculation"])
    in_order = sorted(range(len(codes)), key=codes.__getitem__)
    rank = np.empty(len(codes), np.int64)
    rank[in_order] = np.arange(len(codes))
    # each part is in order already: a stable sort of runs is a merge of them
    order = np.argsort(rank[security] * len(names) + calculation, kind="stable")
    numbers = Numbers(
        [codes[i] for i in in_order],
        names,
        rank[security][order].astype(np.int32),
        calculation[order],
        np.asarray(whole["at"].cast(pa.int64()))[order],
        np.asarray(whole["place"])[order],
        [np.asarray(whole[name])[order] for name in VALUE_COLUMNS],
    )
    return tables(numbers, samples)


def samples_of(metadata: dict[bytes, bytes] | None) -> list[Sample]:
    """What a file says of its samples."""
    raw = (metadata or {}).get(_SAMPLES)
    return [] if raw is None else msgspec.json.decode(raw, type=list[Sample])


def _schema(samples: Sequence[Sample]) -> pa.Schema:
    words = pa.dictionary(pa.int32(), pa.string())
    fields: list[tuple[str, Any]] = [("security", words), ("calculation", words), ("at", _UTC), ("place", pa.int64())]
    fields += [(name, pa.int64()) for name in VALUE_COLUMNS]
    return pa.schema(fields, metadata={_SAMPLES: msgspec.json.encode(samples)})


def _words(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], list[str]]:
    of = column.combine_chunks()
    of = of.chunk(0) if isinstance(of, pa.ChunkedArray) else of
    return np.asarray(of.indices), of.dictionary.to_pylist()
