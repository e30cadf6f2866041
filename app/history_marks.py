"""What happened to a security that a chart of its numbers should show: not every event, but those that somebody asks about."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from app.archive_events import Wanted, events, largest
from app.archive_manifest import Manifest
from app.archive_reader import Past
from app.history_series import Span
from engine.model import Concern, Decided, Op
from engine.ring import Message
from engine.rule_model import Document
from feeds.history_columns import Sample

MOST: Final = 12
"""Of one sort: more of them would hide the line."""
_READ: Final = 5_000
_TRADES: Final = frozenset({Op.BUY.name, Op.SELL.name, Op.SHORT_SELL.name})
_ACTIONS: Final = frozenset({Op.SET_CA_PENDING.name})


class Mark(Struct, frozen=True):
    """Something at a moment, or (`to_ns` beyond it) over a time. `kind`: action, trade, rules, day, decision, stale, gap."""

    at_ns: int
    to_ns: int
    kind: str
    text: str


def marks(archive: Path, security: str, from_ns: int, to_ns: int) -> list[Mark]:
    """From the archive: corporate actions, the largest trades, rules, business days, decisions. In order of time.

    Raises as `app.archive_events.events`.
    """
    found = [*_of_events(archive, security, from_ns, to_ns)]
    manifest = Manifest(archive)
    try:
        past = Past(archive, manifest, to_ns)
        found += [*_of_rules(past, from_ns), *_of_days(past, from_ns), *_of_decisions(past, security, from_ns)]
    finally:
        manifest.close()
    return sorted(found, key=lambda mark: mark.at_ns)


def doubts(samples: list[Sample], covered: list[Span], from_ns: int, to_ns: int) -> list[Mark]:
    """From the recorder: when feeds were late, and when nobody looked."""
    found: list[Mark] = []
    for sample in samples:
        until_ns, stale = sample.at_ns + sample.every_ns, _concerns(sample.stale)
        if found and found[-1].to_ns >= sample.at_ns and found[-1].text == stale:
            found[-1] = msgspec.structs.replace(found[-1], to_ns=until_ns)
        elif stale:
            found.append(Mark(sample.at_ns, until_ns, "stale", stale))
    ends = [from_ns, *(span.to_ns for span in covered)]
    begins = [*(span.from_ns for span in covered), to_ns]
    return found + [
        Mark(end, begin, "gap", "nothing was recorded") for end, begin in zip(ends, begins, strict=True) if begin > end
    ]


def _concerns(bits: int) -> str:
    late = [concern.name.lower() for concern in Concern if bits & concern]
    return f"feeds were late: {', '.join(late)} in doubt" if late else ""


def _of_events(archive: Path, security: str, from_ns: int, to_ns: int) -> Iterator[Mark]:
    rows = [
        row
        for row in events(archive, Wanted(security, from_ns, to_ns, limit=_READ)).rows
        if row["outcome"] == "applied"
    ]
    for row in [row for row in rows if row["op"] in _ACTIONS][:MOST]:
        yield _mark(row, "action", f"corporate action: {row['quantity']:,} pending in {row['book']}")
    for row in largest([row for row in rows if row["op"] in _TRADES], MOST):
        op = row["op"].replace("_", " ").lower()
        yield _mark(row, "trade", f"{op} {row['quantity']:,} in {row['book']} ({row['source']} {row['seq']:,})")


def _mark(row: dict[str, Any], kind: str, text: str) -> Mark:
    return Mark(row["at"], row["at"], kind, text)


def _of_rules(past: Past, from_ns: int) -> Iterator[Mark]:
    known = {document.name: document.version for document in _documents(past.parts[-1].generation.begin.documents)}
    for _, at_ns, text in past.texts(Message.RULES):
        told = {document.name: document.version for document in msgspec.json.decode(text, type=list[Document])}
        new = [f"{name} v{version}" for name, version in told.items() if known.get(name) != version]
        known = told
        if at_ns >= from_ns and new:
            yield Mark(at_ns, at_ns, "rules", f"rules in force: {', '.join(new)}")


def _documents(told: Any) -> list[Document]:
    return msgspec.convert(told, list[Document])


def _of_days(past: Past, from_ns: int) -> Iterator[Mark]:
    for at_ns in np.unique(past.told(Message.DAY).at_ns).tolist():
        if at_ns >= from_ns:
            yield Mark(at_ns, at_ns, "day", "a business day began")


def _of_decisions(past: Past, security: str, from_ns: int) -> Iterator[Mark]:
    told = past.told(Message.DECIDED, securities=[security])
    names = set(Decided)
    held: dict[int, int] = {}
    found = []
    for record, at_ns in zip(told.records.tolist(), told.at_ns.tolist(), strict=True):
        _, what, quantity = record
        change, held[what] = quantity - held.get(what, 0), quantity
        if at_ns >= from_ns and what in names and change:
            words = Decided(what).name.replace("_", " ").lower()
            row = {"quantity": change, "at": at_ns, "text": f"{words} {change:+,} to {quantity:,}"}
            found.append(row)
    for row in largest(found, MOST):
        yield _mark(row, "decision", row["text"])
