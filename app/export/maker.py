"""The process that makes files: a job a line on its standard input, words and bytes on its output (`app.export.job`).

It has a low priority and one thread: whoever waits for a locate or a frame comes first.
"""

import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import BinaryIO, Final

import msgspec
import pyarrow as pa

from app.compiled import keep_kernels_by_source
from app.export import arrow_form, cells, csv_form, xlsx_form
from app.export.job import LENGTH, Begun, Done, Form, Job, Refused, Told, Written
from engine.views import INVENTORY, Inventory, Lines, QueryError, SegmentMissingError, Tables, TornReadError, warm

NICE: Final = 10
_FORMS: Final[dict[Form, Callable[[Lines, dict[str, str]], Iterator[tuple[int, bytes]]]]] = {
    Form.CSV: lambda lines, _about: csv_form.written(lines),
    Form.XLSX: xlsx_form.written,
    Form.ARROW: arrow_form.written,
}


def main() -> None:
    """Make files until the input ends."""
    os.nice(NICE)
    pa.set_cpu_count(1)
    warm()
    out = sys.stdout.buffer
    sys.stdout = sys.stderr
    for line in sys.stdin.buffer:
        for told, data in made(msgspec.json.decode(line, type=Job)):
            _say(out, told)
            out.write(data)
        out.flush()


def made(job: Job) -> Iterator[tuple[Told, bytes]]:
    """What is told of a job, and the bytes that follow upon each word. The last one is `Done` or `Refused`."""
    try:
        lines = _lines(job)
    except QueryError as error:
        yield Refused(400, str(error)), b""
        return
    except (TornReadError, SegmentMissingError) as error:
        yield Refused(503, str(error)), b""
        return
    yield Begun(lines.count, lines.as_of_ns), b""
    for rows, data in _FORMS[job.form](lines, about(job, lines)):
        yield Written(rows, len(data)), data
    yield Done(), b""


def about(job: Job, lines: Lines) -> dict[str, str]:
    """What the file is, in words."""
    chosen = msgspec.to_builtins(job.filter)
    told = {
        "table": job.table,
        "as_of": _moment(lines.as_of_ns),
        "made": _moment(job.now_ns),
        "rows": str(lines.count),
        "filter": msgspec.json.encode({name: value for name, value in chosen.items() if value}).decode(),
        "sort": ", ".join(f"{name} {direction}" for name, direction in job.sort),
        "groups": ", ".join(job.groups),
        "pivot": job.pivot,
    }
    return {name: value for name, value in told.items() if value}


def _lines(job: Job) -> Lines:
    tables = Tables.attach(job.tables)
    try:
        inventory = Inventory(tables)
        columns = job.columns or tuple(inventory.sight(job.table).by_name)
        if job.table == INVENTORY and not job.groups and cells.FLOOR not in columns:
            # a number that is "at least" so much must not become one that is exactly so much
            columns = (*columns, cells.FLOOR)
        query = msgspec.structs.replace(job, columns=columns).query()
        return inventory.lines(query, job.now_ns, leaves=job.leaves)
    finally:
        tables.close()


def _moment(time_ns: int) -> str:
    if not time_ns:
        return ""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="milliseconds")


def _say(out: BinaryIO, told: Told) -> None:
    text = msgspec.json.encode(told)
    out.write(LENGTH.pack(len(text)) + text)


if __name__ == "__main__":
    keep_kernels_by_source()
    main()
