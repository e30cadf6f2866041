"""Files of the archive: written whole or not at all, and read only where a security is."""

import os
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feeds.archive_columns import GROUP_ROWS

_LEVEL: Final = 1
_DRAFT: Final = ".draft"
KEYED: Final = frozenset({"events", "prices", "effects", "corrections", "deals", "decided"})
"""Kinds of files whose rows are in the order of their security."""


class DamagedError(RuntimeError):
    """A file of the archive is not what was written."""


def write(path: Path, tables: Iterable[pa.Table], few: Sequence[str] = (), near: Sequence[str] = ()) -> int:
    """Tables of one schema, at least one, each a row group, as a file that is on disk when this returns; its size in bytes.

    `few`: columns of numbers in which the same ones come again and again; `near`: those in which neighbours differ by little.

    Raises OSError: then there is no such file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + _DRAFT)
    parts = iter(tables)
    first = next(parts)
    schema = first.schema
    words = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    packed = dict.fromkeys(near, "DELTA_BINARY_PACKED") or None
    try:
        with draft.open("wb") as file:
            with pq.ParquetWriter(
                file,
                schema,
                compression="zstd",
                compression_level=_LEVEL,
                use_dictionary=[*words, *few],
                column_encoding=packed,
            ) as writer:
                for table in chain((first,), parts):
                    writer.write_table(table.cast(schema) if table.schema != schema else table)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        draft.rename(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync(path.parent)
    return size


def read(
    path: Path, size: int, *, securities: Sequence[str] | None = None, columns: Iterable[str] | None = None
) -> pa.Table:
    """Rows of these securities (None: all), and those that are about no security; only these columns.

    `size`: bytes that were written. Raises `DamagedError`.
    """
    try:
        if (found := path.stat().st_size) != size:
            raise DamagedError(f"{path}: {found:,} bytes of {size:,} are there")
        with pq.ParquetFile(path) as file:
            chosen = list(columns) if columns is not None else None
            if securities is None:
                return file.read(chosen, use_threads=False)
            wanted = ["", *securities]
            groups = _groups(file, wanted)
            if chosen is not None and "security" not in chosen:
                chosen.append("security")
            table = file.read_row_groups(groups, chosen, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise DamagedError(f"{path}: {error}") from error
    return table.filter(pc.is_in(table["security"].cast(pa.string()), pa.array(wanted)))


def merge(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """Tables of one kind, in the order in which they were told, as one: portions of a row group each."""
    whole = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    if "security" not in whole.column_names:
        return [whole.slice(at, GROUP_ROWS) for at in range(0, whole.num_rows, GROUP_ROWS)]
    words = whole["security"].unify_dictionaries().combine_chunks()
    if isinstance(words, pa.ChunkedArray):
        words = words.chunk(0)
    texts = words.dictionary.to_pylist()
    rank = np.empty(len(texts), np.int32)
    rank[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
    ranks = rank[np.asarray(words.indices)]
    order = np.argsort(ranks, kind="stable")
    whole, ranks = whole.take(order), ranks[order]
    at_column = whole.column_names.index("security")
    in_order, made = sorted(texts), []
    for at in range(0, whole.num_rows, GROUP_ROWS):
        part = ranks[at : at + GROUP_ROWS]
        few, numbers = np.unique(part, return_inverse=True)
        security = pa.DictionaryArray.from_arrays(
            numbers.astype(np.int32), pa.array([in_order[i] for i in few], pa.string())
        )
        made.append(whole.slice(at, GROUP_ROWS).set_column(at_column, "security", security))
    return made


def _groups(file: pq.ParquetFile, wanted: Sequence[str]) -> list[int]:
    """The row groups in which one of these securities may be."""
    metadata = file.metadata
    at = file.schema_arrow.names.index("security")
    groups = []
    for i in range(metadata.num_row_groups):
        known = metadata.row_group(i).column(at).statistics
        if known is None or not known.has_min_max or any(known.min <= text <= known.max for text in wanted):
            groups.append(i)
    return groups


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
