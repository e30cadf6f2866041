"""What was, as an answer: one JSON object, or text for a person."""

import datetime as dt
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from app.archive_asof import AsOf
from engine.model import DAYS, Clock, Fact
from engine.records import POSITION

_INTERNAL: Final = ("key", "next_in_security", "next_in_book")
_IDENTIFIERS: Final = ("isin", "cusip", "sedol", "figi", "ticker", "name", "currency", "country")
_SHOWN_ROWS: Final = 40


def answer(found: AsOf, asked_ns: int) -> dict[str, Any]:
    """Everything of the security as it was; quantities in shares, per day where they are lists."""
    copy = found.copy
    catalogue = copy.catalogue
    terms = {term.name: term.component for term in catalogue.terms if term.component >= 0}
    return {
        "time": iso(asked_ns),
        "as_of": iso(found.at_ns),
        "exact": not found.gaps,
        "gaps": [{"first": gap.first, "last": gap.last, "at": iso(gap.at_ns), "why": gap.why} for gap in found.gaps],
        "archived_to": iso(found.written_ns),
        "generation": found.generation,
        "place": found.place,
        "snapshot": iso(found.snapshot_ns) if found.snapshot_ns else None,
        "events": found.events,
        "security": {"code": _text(copy.record["code"]), "market": copy.market.code}
        | {name: _text(copy.record[name]) for name in _IDENTIFIERS},
        "days": [day.isoformat() for day in copy.days],
        "calculations": {
            info.name: copy.values[i].tolist()
            for i, info in enumerate(catalogue.calculations)
            if info.scope == "security"
        },
        "terms": {name: copy.terms[component].tolist() for name, component in terms.items()},
        "facts": {fact.name.lower(): int(copy.facts[fact]) for fact in Fact},
        "clocks": {clock.name.lower(): copy.clocks[clock].tolist() for clock in Clock},
        "decided": found.decided,
        "rows": list(_rows(found)),
        "updated": iso(copy.updated_ns) if copy.updated_ns else None,
    }


def text(found: AsOf, asked_ns: int) -> str:
    """The same for a person's eyes: calculations by day, then rows."""
    copy = found.copy
    told = answer(found, asked_ns)
    lines = [
        f"{told['security']['code']}  {told['security']['name']}  {copy.market.code}",
        f"as of {told['as_of']} (asked: {told['time']}), place {found.place:,} of {found.generation}",
        "",
        f"{'':32}" + "".join(f"{day:>16}" for day in told["days"]),
    ]
    for title, of in (("calculations", told["calculations"]), ("terms", told["terms"])):
        lines += [
            title,
            *(f"  {name:30}" + "".join(f"{v:>16,}" for v in values) for name, values in of.items() if any(values)),
        ]
    rows = told["rows"]
    lines += ["", f"rows ({len(rows):,})"]
    for row in rows[:_SHOWN_ROWS]:
        where = f"{row['book']} / {row['depot']}" if row["depot"] else row["book"]
        projected = "".join(f"{value:>16,}" for value in row["projected"])
        lines.append(f"  {row['kind'][:18]:18}{where[:12]:12}{projected}")
    if len(rows) > _SHOWN_ROWS:
        lines.append(f"  ... and {len(rows) - _SHOWN_ROWS:,} more: see --json")
    if found.decided:
        lines += ["", "decided  " + "  ".join(f"{name} {quantity:,}" for name, quantity in found.decided.items())]
    for gap in found.gaps:
        lines += [
            "",
            f"NOT COMPLETE: {gap.last - gap.first + 1:,} messages from {iso(gap.at_ns)} on are missing ({gap.why});",
        ]
    if found.written_ns < asked_ns:
        lines += ["", f"the archive reaches to {told['archived_to']}: what came later is not in it"]
    return "\n".join(lines) + "\n"


def iso(at_ns: int) -> str:
    """UTC, to the microsecond."""
    return (
        dt.datetime.fromtimestamp(at_ns // 1_000 / 1e6, dt.UTC)
        .isoformat(timespec="microseconds")
        .replace("+00:00", "Z")
    )


def _rows(found: AsOf) -> Iterator[dict[str, Any]]:
    rows = found.copy.rows
    names = [name for name in POSITION.names or () if name not in _INTERNAL]
    for i in range(len(rows)):
        of = {"book": rows.book[i], "client": rows.client[i], "entity": rows.entity[i]}
        of |= {"aggregation_unit": rows.aggregation_unit[i], "depot": rows.depot[i], "kind": rows.kind[i]}
        yield (
            of
            | {name: np.asarray(rows.record[name][i]).tolist() for name in names}
            | {"projected": rows.projected[i, :DAYS].tolist()}
        )


def _text(raw: Any) -> str:
    return bytes(raw).decode("utf-8", "replace")
