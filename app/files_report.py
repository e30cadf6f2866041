"""What is told of a batch file, as text for a person and as files in the archive."""

from pathlib import Path
from typing import Final

import msgspec

from app.files_store import FileReport, FileState
from feeds.files_faults import Fault

_SHOWN: Final = 20


def text(report: FileReport, shown: int = _SHOWN) -> str:
    """The report in lines; of long lists the first `shown` entries."""
    lines = [f"file {report.id}  {report.feed}/{report.name}: {report.state.value.upper()}"]
    if report.why:
        lines.append(f"  {report.why}")
    if report.can_be_forced and report.state == FileState.REFUSED:
        lines.append(f"  Ops or admin can take it on themselves: ims files force {report.id} --comment WHY")
    if report.forced_by:
        lines.append(f"  forced by {report.forced_by}: {report.comment}")
    form = "  ".join(part for part in (report.format, report.encoding, _delimiter(report.delimiter)) if part)
    vouched = f"  (vouched for by {report.checksum})" if report.checksum else ""
    asides = f"waiting for reference {report.unknown:,}  set aside {report.set_aside_count:,}"
    lines += [
        f"  {report.size_bytes:,} bytes  {form}  sha256 {report.sha256}{vouched}",
        f"  rows {report.rows:,}  records {report.records:,}  events {report.events:,}  applied {report.applied:,}",
        f"  refused {report.fault_count:,}  remarks {report.remark_count:,}  {asides}",
    ]
    if report.books:
        lines.append(f"  start of day of {len(report.books):,} books: {', '.join(report.books[:_SHOWN])}")
    if report.first_number:
        lines.append(f"  numbered by the loader as {report.source} from {report.first_number:,}")
    times = {
        "dropped": report.dropped_at,
        "taken": report.taken_at,
        "checked": report.checked_at,
        "loaded": report.loaded_at,
    }
    lines.append("  " + "  ".join(f"{name} {at}" for name, at in times.items() if at))
    lines.append(
        f"  check {report.check_ms:,} ms, load {report.load_ms:,} ms"
        + (f"  kept as {report.archived}" if report.archived else "")
    )
    if report.answers:
        lines.append(f"  what was answered to each row: {report.answers}")
    lines += _listed("what is wrong", report.faults, report.fault_count, shown)
    lines += _listed("remarks", report.remarks, report.remark_count, shown)
    lines += _listed("set aside", report.set_aside, report.set_aside_count, shown)
    if report.unknown_codes:
        lines.append("not known when it was checked:")
        lines += [f"  {detail} ({count:,} records)" for detail, count in list(report.unknown_codes.items())[:shown]]
    return "\n".join(lines) + "\n"


def write(report: FileReport, beside: Path) -> None:
    """`NAME.report.json` and `NAME.report.txt` beside the archived file."""
    told = msgspec.json.format(msgspec.json.encode(report), indent=2)
    beside.with_name(f"{beside.name}.report.json").write_bytes(told + b"\n")
    beside.with_name(f"{beside.name}.report.txt").write_text(text(report, shown=len(report.faults) + _SHOWN))


def _delimiter(mark: str) -> str:
    return {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}.get(mark, mark)


def _listed(title: str, entries: tuple[Fault, ...], count: int, shown: int) -> list[str]:
    if not entries:
        return []
    more = [f"  ... and {count - shown:,} more"] if count > shown else []
    return [f"{title}:", *(f"  {entry}" for entry in entries[:shown]), *more]
