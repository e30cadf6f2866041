"""Where a service's archive is: its folder, its rings, and the engine's beginning of one."""

import time
from collections.abc import Callable
from pathlib import Path

from app.settings import Settings
from engine.ring import Ring
from engine.state import Machine
from feeds.archive_recorder import Recorder


def folder_of(settings: Settings) -> Path:
    """Files and manifest."""
    return settings.folder / "archive" / "messages"


def snapshots_of(settings: Settings) -> Path:
    """Where snapshots are."""
    return settings.folder / "snapshots"


def ring_prefix(instance: str) -> str:
    """Rings of the archive are named so, and end with when their engine started: they outlive it until they are written."""
    return f"{instance}.archive."


def record(
    settings: Settings, machine: Machine, *, parent: str = "", clock: Callable[[], int] = time.time_ns
) -> Recorder | None:
    """From now on the archive is told what the machine does; None where the service keeps none.

    `parent`: the generation of the snapshot that the machine was made from.
    """
    if not settings.archive:
        return None
    started_ns = clock()
    meta = {"generation": machine.tables.generation, "started_ns": started_ns}
    ring = Ring.create(f"{ring_prefix(settings.instance)}{started_ns}", settings.archive_ring_mb << 20, meta)
    return Recorder(machine, ring, parent=parent, clock=clock)
