"""The published availability file as one form of batch file: the same lines, the same frame, the same records as with its own
setting, under a source of its own.
"""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.model import Flag, Market
from feeds import availability, reference
from feeds.availability import AvailabilityError, Change, Snapshot
from feeds.files_cells import shown
from feeds.files_check import Checked
from feeds.files_faults import Findings
from feeds.files_read import PORTION, Frame
from feeds.files_rows import Made
from feeds.registry import AVAILABILITY, REFERENCE

Keep = Callable[[int, Sequence[int], Sequence[bytes]], None]
"""Number of the feed, lines, records."""


def check(
    path: Path, former: Path | None, markets: Sequence[Market], made: Made, findings: Findings, keep: Keep
) -> Checked:
    """Read a file whole. `former`: the one that was loaded before; what is no longer in the file is no longer available.

    A line that cannot be used is left out, as always with these files, and is among the remarks. Raises OSError.
    """
    checked = Checked(findings, Frame("availability", (), "utf-8", "|"))
    try:
        snapshot = availability.load(path)
    except AvailabilityError as error:
        findings.fault(error.line, error.reason)
        return checked
    for bad in snapshot.quarantined:
        findings.remark(bad.number, f"left out: {bad.reason}", "", shown(bad.line.decode("utf-8", "replace")))
    _hand_over(snapshot, _loaded(former), markets, made, checked, keep)
    checked.rows = snapshot.size + len(snapshot.quarantined)
    checked.digest = _digest(path)
    return checked


def _digest(path: Path) -> str:
    """Of the content: a file that was published at another moment is another one, even with the same lines."""
    import hashlib  # noqa: PLC0415

    lines = path.read_bytes().replace(b"\r\n", b"\n").strip()
    return hashlib.blake2b(lines, digest_size=20).hexdigest()


def _loaded(former: Path | None) -> Snapshot | None:
    try:
        return availability.load(former) if former is not None else None
    except (OSError, AvailabilityError):
        return None  # then everything is said anew


def _hand_over(
    snapshot: Snapshot, former: Snapshot | None, markets: Sequence[Market], made: Made, checked: Checked, keep: Keep
) -> None:
    currencies = [market.currency.encode() for market in markets]
    market = availability.market_of(snapshot, currencies)
    securities = [reference.encode(each) for each in reference.securities(snapshot.securities(market), markets)]
    book = reference.encode(reference.Book(availability.BOOK))
    change = Change.between(former, snapshot)
    flags = Flag.START_OF_DAY if former is None else None
    events = availability.records(
        change, first_seq=made.first_seq, time_ns=made.time_ns, flags=flags, source=made.source
    )
    checked.numbers_used = checked.events = len(events)
    for feed, records in ((REFERENCE, [book, *securities]), (AVAILABILITY, events)):
        for first in range(0, len(records), PORTION):
            portion = list(itertools.islice(records, first, first + PORTION))
            keep(feed, [0] * len(portion), portion)
            checked.records += len(portion)
