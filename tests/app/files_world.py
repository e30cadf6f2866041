"""A machine, a ring, the loader of batch files and worker 0's end of it, in one process and without a clock."""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from app.files_commands import Ask
from app.files_desk import FilesDesk
from app.files_store import FileReport
from app.intake import Intake
from engine.graph import build
from engine.ring import Message, Ring
from engine.state import Machine
from engine.symbols import Symbols
from engine.tables import Tables, Word
from feeds.decode import decode
from feeds.files_feed import FilesFeed
from feeds.files_log import FileLog
from feeds.outlet import Outlet
from feeds.quarantine import Decoded, Origin, Unreadable
from feeds.registry import topics
from tests.engine.machines import machine

TODAY = "2024-10-04"
"""`machines.TODAY`."""
LATER_S = 3_600.0


class Killed(BaseException):
    """In place of SIGKILL."""


class World:
    """`turns` files are handled by `load`. `die_at`: the number of the step at which the loader is killed."""

    def __init__(self, data: Path, made: Machine, ring: Ring) -> None:
        self.data = data
        self.machine = made
        self.kept: list[Unreadable] = []
        self.refused: list[int] = []
        self.ring = ring
        graph = build(made, None, lambda _, outcomes: self.refused.extend(outcomes.tolist()))
        self.intake = Intake(made, graph, [ring], self.kept.extend)
        self.symbols = Symbols(made.tables.array["symbols"])
        self.log = FileLog(data / "files" / "log")
        self.feed = FilesFeed(self.log, topics(), self._decode, Outlet(ring))
        self.api: Ask | None = None
        self.moment = 0.0
        self.steps = 0
        self.die_at = 0
        self.desk = self.start()

    def start(self) -> FilesDesk:
        """The loader's process begins."""
        desk = FilesDesk(self.data, self.tables, self.ask, lambda: self.moment)
        for owner, name in (
            (desk.store, "add"),
            (desk.store, "save"),
            (desk.store, "accept"),
            (desk.store, "take_up"),
            (desk.log, "accept"),
        ):
            setattr(owner, name, self._mortal(getattr(owner, name)))
        return desk

    def ask(self, path: str, body: bytes, key: str) -> tuple[int, bytes]:
        """The API, as far as a test has one."""
        self._step()
        assert self.api is not None, f"nobody is asked here: {path} {body!r} {key}"
        answer = self.api(path, body, key)
        self._step()
        return answer

    def _mortal(self, do: Any) -> Any:
        def step(*arguments: Any) -> Any:
            self._step()
            result = do(*arguments)
            self._step()
            return result

        return step

    def _step(self) -> None:
        self.steps += 1
        if self.steps == self.die_at:
            raise Killed

    def tables(self) -> Tables:
        """Whoever asks for the engine finds that worker and engine have used what is in the log."""
        self._step()
        asyncio.run(self._pump())
        return self.machine.tables

    async def _pump(self) -> None:
        handing = asyncio.create_task(self.feed.catch_up())
        while not handing.done() or not self.ring.drained:
            self.intake.drain()
            await asyncio.sleep(0)
        handing.result()

    def _decode(self, feed: int, values: Any, origin: Origin) -> Decoded:
        assert feed == origin.topic_index
        return decode(values, [()] * len(values), self.symbols, origin, self.machine.markets)

    def drop(self, feed: str, name: str, content: str | bytes, *, vouched: bool = False) -> Path:
        path = self.data / "drop" / feed / name
        raw = content.encode() if isinstance(content, str) else content
        path.write_bytes(raw)
        if vouched:
            path.with_name(f"{name}.sha256").write_text(f"{hashlib.sha256(raw).hexdigest()}  {name}\n")
        return path

    def load(self) -> list[FileReport]:
        """Everything in the folder, as far as it is whole; the reports of what was taken, oldest first."""
        known = {report.id for report in self.desk.store.reports(1_000)}
        self.desk.turn()  # sees the files
        self.moment += 1.0
        while self.desk.turn():
            self.moment += 1.0
        return [report for report in reversed(self.desk.store.reports(1_000)) if report.id not in known]

    def patience(self) -> None:
        """So much time goes by that nobody waits for anything any more."""
        self.desk.turn()
        self.moment += LATER_S

    def die_and_live(self, at: int) -> None:
        """Load everything, killed at step `at`, then once more from what is on disk."""
        self.steps, self.die_at = 0, at
        try:
            self.load()
        except Killed:
            self.desk.close()
        self.die_at = 0
        self.desk = self.start()
        self.desk.resume()
        self.load()

    def row(self, security: str, book: str) -> dict[str, int] | None:
        """td, sd and so on of the FIRM rows of a security and book together."""
        array = self.machine.tables.array
        rows = array["position"][: self.machine.tables.count(Word.ROWS)]
        ids = {code.decode(): at for at, code in enumerate(array["security"]["code"])}
        books = {code.decode(): at for at, code in enumerate(array["book"]["code"])}
        keys = rows["key"] >> np.uint64(24)
        chosen = rows[keys == np.uint64((ids[security] << 16) | books[book])]
        names = ("td", "sd", "intraday_buy", "intraday_sell")
        return {name: int(chosen[name].sum()) for name in names} if chosen.size else None

    def state(self) -> tuple[object, ...]:
        """All positions, in no order."""
        rows = self.machine.tables.array["position"][: self.machine.tables.count(Word.ROWS)].copy()
        rows["next_in_security"] = rows["next_in_book"] = 0
        return tuple(sorted(row.tobytes() for row in rows))


@contextmanager
def files_world(instance: str, data: Path) -> Iterator[World]:
    with machine(instance) as made:
        ring = Ring.create(f"{instance}.ring0")
        world = World(data, made, ring)
        try:
            yield world
        finally:
            world.desk.close()
            ring.close()


__all__ = ["TODAY", "Killed", "Message", "World", "files_world"]
