"""What a snapshot gives to the past of a few securities: where to go on from, and the parts that make a small machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from app import snapshots
from app.archive_reader import Past
from app.snapshot_files import Contents, DamagedSnapshotError, SnapshotFolder, read
from engine.corrections import KEPT, LEDGER
from engine.model import Namespace
from engine.recognise import WINDOW
from engine.snapshot import BEGUN, COUNTED, STREAM, SYMBOLS, UNPLACED
from engine.tables import Word
from feeds.archive_snapshot import chosen

log = structlog.get_logger()
_WHOLE: Final = ("book_unit", "today", "newest", "missing", "applied")
_NOT_OF_SECURITIES: Final = ("moved_", BEGUN, UNPLACED)


def newest_of(folder: Path, past: Past) -> Contents | None:
    """The newest snapshot that is of this past; what it has is left out of the past. None: there is none."""
    markets = [str(market["code"]) for market in past.parts[-1].generation.begin.markets]
    for path in SnapshotFolder(folder).before(past.at_ns):
        try:
            contents = read(path)
        except (DamagedSnapshotError, ValueError, OSError) as error:
            log.warning("a snapshot cannot be read; the one before it is used", file=path.name, why=str(error))
            continue
        header = contents.header
        if not snapshots.refused(header, markets, None) and past.begin_after(header.generation, header.log):
            return contents
    return None


def parts_of(contents: Contents, ids: NDArray[np.int64]) -> dict[str, list[NDArray[Any]]]:
    """Parts for `engine.snapshot_restore.restore` with these securities alone, numbered from 1 in this order; no deals.

    Raises `feeds.archive_snapshot.BrokenStreamError`.
    """
    parts = contents.parts
    made = {name: list(parts[name]) for name in (*COUNTED, *_WHOLE)}
    made |= {name: [arrays[0][:0]] for name, arrays in parts.items() if name.startswith(_NOT_OF_SECURITIES)}
    places = np.concatenate([[0], ids])
    for name in ("security", "head", "decided"):
        made[name] = [_joined(parts[name])[places]]
    made[SYMBOLS] = [_symbols(slots, ids) for slots in parts[SYMBOLS]]
    most = sum(len(array) for array in parts["security"]) - 1
    rows, block = chosen(parts.get(STREAM, ()), ids, most, WINDOW // 64, KEPT * LEDGER.itemsize // 8)
    made[STREAM] = [block]
    words = parts["state"][0].copy()
    words[Word.SECURITIES], words[Word.ROWS], words[Word.DEALS] = len(ids), rows, 0
    made["state"] = [words]
    return made


def securities_of(contents: Contents) -> NDArray[np.void]:
    """Its securities by id."""
    return _joined(contents.parts["security"])


def _joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _symbols(slots: NDArray[np.uint64], ids: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Slots of the table of codes (words, then what is named and by which id) without other securities. `ids` ascend."""
    kept = slots.copy()
    namespace, named = kept[:, 3] >> np.uint64(32), (kept[:, 3] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    security = namespace == np.uint64(Namespace.SECURITY)
    at = np.minimum(np.searchsorted(ids, named), len(ids) - 1)
    ours = security & (ids[at] == named)
    kept[ours, 3] = (np.uint64(Namespace.SECURITY) << np.uint64(32)) | (at[ours] + 1).astype(np.uint64)
    left: NDArray[np.uint64] = kept[~security | ours]
    return left
