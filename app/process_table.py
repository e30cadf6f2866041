"""What the supervisor tells about its children, in a file of the data folder; and what the machine says of them."""

import os
from pathlib import Path
from typing import Final

import msgspec

FILE: Final = "processes.json"
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Process(msgspec.Struct, frozen=True):
    """A child as the supervisor knows it. `pid` 0: it does not run now; `since_ns`: when it was started last, UTC."""

    name: str
    pid: int
    restarts: int
    since_ns: int
    ready: bool


class Seen(msgspec.Struct, frozen=True):
    """A process as the machine shows it: resident memory, and processor time used so far."""

    memory_bytes: int
    processor_s: float


def write(folder: Path, processes: list[Process]) -> None:
    """Replace the table, whole. Raises OSError."""
    path = folder / FILE
    beside = path.with_suffix(".new")
    beside.write_bytes(msgspec.json.encode(processes))
    beside.replace(path)


def read(folder: Path) -> list[Process]:
    """As last told; nothing where nobody has told anything."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=list[Process])
    except (OSError, msgspec.DecodeError):
        return []


def look(pid: int) -> Seen | None:
    """A process that runs, or None."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (OSError, IndexError, ValueError):
        return None
    if fields[0] == "Z":
        return None
    return Seen(pages * _PAGE_BYTES, (int(fields[11]) + int(fields[12])) / _TICKS)
