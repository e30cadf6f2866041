"""The engine's tables for as long as a job needs them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.segment import Segment, SegmentMissingError

if TYPE_CHECKING:
    from engine.tables import Reader, Tables


class NoEngineError(RuntimeError):
    """There is no living engine to read from, or not the one that a job began with."""


class Attachment:
    """Follows the writer of `instance`, in the jobs' thread; `stopping` tells that this process is to end."""

    def __init__(self, instance: str, stopping: Callable[[], bool]) -> None:
        self._name = f"{instance}.tables"
        self._stopping = stopping
        self._reader: Reader | None = None

    def present(self) -> bool:
        """Whether there is a living engine; for any thread."""
        try:
            segment = Segment.attach(self._name)
        except SegmentMissingError:
            return False
        try:
            return segment.owner_alive
        finally:
            segment.close()

    def tables(self) -> "Tables":
        """The living engine's. Raises `NoEngineError`."""
        from engine.tables import Reader  # noqa: PLC0415  numba takes a second: after the port is open

        try:
            if self._reader is None:
                self._reader = Reader(self._name)
            tables = self._reader.tables()
        except SegmentMissingError as error:
            raise NoEngineError("no engine is running") from error
        if not tables.segment.owner_alive:
            raise NoEngineError("the engine has ended")
        return tables

    def alive(self, tables: "Tables") -> None:
        """Raises `NoEngineError` when a job that reads these tables had better end."""
        if self._stopping():
            raise NoEngineError("the analyst stops")
        if tables.segment.stale or not tables.segment.owner_alive:
            raise NoEngineError("the engine has ended meanwhile")
