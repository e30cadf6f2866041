"""A gateway that says what a test wants it to say: states and loads that the real one is not easily brought to.

Speaks the grid's protocol over made-up rows. `python tests/e2e/scripted_gateway.py PORT HZ` serves it alone.
"""

import asyncio
import contextlib
import json
import struct
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from app.settings import Settings
from tests.e2e import scripted_rows
from tests.e2e.scripted_rows import MARKETS, NUMBERS, POSITION_NUMBERS, TEMPERATURES, Line, Rows


@dataclass
class Script:
    """What the gateway says. Change it while it runs."""

    securities: int = 1_000
    whole: bool = True
    """Whether it says what there is in all; who is kept to clients is not told."""
    hz: float = 10.0
    changes: int = 40
    """Cells per frame."""
    state: str = "live"
    generation: str = "one"
    silent: bool = False
    doubtful: tuple[str, ...] = ()
    """What late feeds make doubtful."""
    parked: int = 0
    heard: list[dict[str, Any]] = field(default_factory=list)
    sent_ms: list[float] = field(default_factory=list)
    positions: int = 400
    refuse: str = ""
    """What every view is answered with, instead of rows."""
    exports: list[dict[str, str]] = field(default_factory=list)
    """What was asked of exports."""
    export_states: list[dict[str, Any]] = field(default_factory=list)
    """How far an export is, said one after the other; the last one again and again."""

    def __post_init__(self) -> None:
        self.tables = {
            "inventory": scripted_rows.inventory(self.securities),
            "positions": scripted_rows.positions(self.positions),
        }
        self.columns = self.tables["inventory"].columns
        self.text = self.tables["inventory"].text
        self.number = self.tables["inventory"].number


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def _texts(cells: list[str]) -> bytes:
    data = [cell.encode() for cell in cells]
    offsets = np.cumsum([0, *map(len, data)]).astype("<u4")
    return _padded(offsets.tobytes()) + _padded(b"".join(data))


class Grid(WebSocketHandler):
    """One connection of the scripted gateway."""

    def initialize(self, script: Script, open_sockets: set["Grid"]) -> None:
        self.script = script
        self.open_sockets = open_sockets
        self.view: dict[str, Any] | None = None
        self.lines: list[Line] | None = None
        self.shape: list[dict[str, Any]] = []
        self.random = np.random.default_rng(2)

    def check_origin(self, origin: str) -> bool:
        return bool(origin)

    def open(self, *_args: str, **_kwargs: str) -> None:
        self.set_nodelay(True)
        self.open_sockets.add(self)
        self.send_hello()

    def send_hello(self) -> None:
        hello = {"t": "hello", "generation": self.script.generation, "frame_ms": 50, "markets": MARKETS}
        hello |= {"temperatures": TEMPERATURES, "columns": self.script.columns}
        tables = [{"id": name, "title": name.title(), "columns": of.columns} for name, of in self.script.tables.items()]
        tables[0]["columns"] = self.script.columns
        self.write_message(json.dumps(hello | {"tables": tables}))

    def on_close(self) -> None:
        self.open_sockets.discard(self)

    def on_message(self, message: str | bytes) -> None:
        asked = json.loads(message)
        self.script.heard.append(asked)
        if self.script.refuse:
            told = {"t": "error", "detail": self.script.refuse, **{k: asked[k] for k in ("v", "r") if k in asked}}
            self.write_message(json.dumps(told))
            return
        if asked["t"] == "ticket":
            return
        if asked["t"] == "values":
            self.send_values(asked)
            return
        if asked["t"] == "view":
            self.view = asked
            self.look()
        elif self.view is not None:
            self.view |= {name: asked[name] for name in ("first", "count", "depth", "toggled") if name in asked}
            if "toggled" in asked:
                self.look()
        if self.script.state != "starting":
            self.send_window()

    @property
    def table(self) -> Rows:
        assert self.view is not None
        return self.script.tables[self.view.get("table", "inventory")]

    def look(self) -> None:
        """Work out the rows of the view."""
        view = self.view
        assert view is not None
        matching = self.table.matching(view["filter"])
        self.lines, self.shape = None, []
        if view.get("groups"):
            self.lines = list(scripted_rows.tree(self.table, view, matching))
            self.rows = np.arange(len(self.lines))
            if view.get("pivot"):
                self.shape = scripted_rows.spread(self.table, view, matching)
                self.write_message(json.dumps({"t": "shape", "v": view["v"], "columns": self.shape}))
        else:
            self.rows = self.table.ordered(matching, view["sort"])
        if view.get("totals"):
            self.send_totals(matching)

    def send_values(self, asked: dict[str, Any]) -> None:
        found = self.script.tables[asked["table"]].values(asked["column"], asked["filter"])
        listed = [each for each in found if asked["search"].lower() in each[0].lower()]
        told = {"t": "values", "r": asked["r"], "column": asked["column"], "values": listed[: asked["limit"]]}
        told |= {"distinct": len(listed), "rows": sum(count for _, count in found)}
        self.write_message(json.dumps(told))

    def send_totals(self, matching: NDArray[np.int64]) -> None:
        assert self.view is not None
        if self.shape:
            whole = Line(0, 0, 0, "", (), matching)
            sums = [self._pivoted(whole, column) for column in self.shape]
        else:
            names = self.view["columns"]
            sums = [self.table.sums(matching, [name])[0] if name in self.table.number else np.nan for name in names]
        self.write_message(
            self._header(4, 1, len(sums), len(matching)) + struct.pack(f"<{len(sums)}d", *sums), binary=True
        )

    def _header(self, kind: int, count: int, n: int, total: int | None = None) -> bytes:
        now = time.time() * 1e3
        assert self.view is not None
        total = len(self.rows) if total is None else total
        return struct.pack("<BBHIIIddII", kind, 0, self.view["v"], self.view["first"], count, total, now, now, 1, n)

    def send_window(self) -> None:
        assert self.view is not None
        first = self.view["first"]
        rows = self.rows[first : first + self.view["count"]]
        if self.lines is not None:
            self.send_tree([self.lines[i] for i in rows])
            return
        parts = [self._header(1, len(rows), len(self.view["columns"])), _padded((rows + 1).astype("<i4").tobytes())]
        for name in self.view["columns"]:
            if name in self.table.number:
                parts.append(self.table.number[name][rows].tobytes())
            else:
                parts.append(_texts([self.table.text[name][i] for i in rows]))
        self.write_message(b"".join(parts), binary=True)

    def send_tree(self, lines: list[Line]) -> None:
        assert self.view is not None
        columns = self.shape or [
            column for name in self.view["columns"] for column in self.table.columns if column["id"] == name
        ]
        parts = [self._header(3, len(lines), len(columns))]
        parts += [_padded(np.array([line.id for line in lines], "<i4").tobytes())]
        parts += [_padded(np.array([len(line.rows) for line in lines], "<u4").tobytes())]
        parts += [_padded(bytes(line.level for line in lines)), _padded(bytes(line.state for line in lines))]
        parts += [_texts([line.label for line in lines])]
        for column in columns:
            cells = [self._cell(line, column) for line in lines]
            parts.append(_texts(cells) if column["kind"] == "text" else np.array(cells, "<f8").tobytes())
        self.write_message(b"".join(parts), binary=True)

    def _cell(self, line: Line, column: dict[str, Any]) -> Any:
        assert self.view is not None
        name = column["id"]
        if column["kind"] == "text":
            if line.state == 0:
                return self.table.text[name][line.id - 1]
            at = self.view["groups"].index(name) if name in self.view["groups"] else 99
            return line.path[at] if at < len(line.path) else ""
        if self.shape:
            return self._pivoted(line, column)
        return self.table.number[name][line.id - 1] if line.state == 0 else self.table.sums(line.rows, [name])[0]

    def _pivoted(self, line: Line, column: dict[str, Any]) -> float:
        assert self.view is not None
        return (
            np.nan
            if column["kind"] == "text"
            else scripted_rows.spread_value(self.table, self.view, line, column["id"])
        )

    def send_changes(self) -> None:
        if self.view is None or self.script.state == "starting" or self.lines is not None or not len(self.rows):
            return
        changing = (*NUMBERS, *POSITION_NUMBERS)
        numbers = [i for i, name in enumerate(self.view["columns"]) if name in changing]
        rows = self.rows[self.view["first"] :][: self.view["count"]]
        n = min(self.script.changes, len(rows) * len(numbers))
        cells = self.random.choice(len(rows) * len(numbers), n, replace=False)
        at, column = cells // len(numbers), np.array(numbers)[cells % len(numbers)]
        values = self.random.integers(-5_000, 2_000_000, n).astype(float)
        for row, name, value in zip(rows[at], column, values, strict=True):
            self.table.number[self.view["columns"][name]][row] = value
        body = values.tobytes() + _padded(at.astype("<u2").tobytes()) + column.astype("u1").tobytes()
        self.write_message(self._header(2, len(rows), n) + body, binary=True)

    def send_stats(self) -> None:
        script = self.script
        counters: dict[str, Any] = {
            "events": 1_234_567,
            "events_per_s": 5_012,
            "securities": script.securities if script.whole else None,
            "rows": 214_377 if script.whole else None,
        }
        counters |= {"duplicates": 12, "missing": 0, "rejected": 3, "quarantined": 41, "located_shares": 1_250_300}
        counters |= {"locates_live": 214, "locates_pending": 2, "negative": 3, "htb": 412}
        counters |= {"parked": script.parked, "parked_shares": 100 * script.parked, "doubtful": script.doubtful}
        ages = {
            "now_ms": time.time() * 1e3,
            "heartbeat_age_ms": 12_400 if script.state == "stale" and not script.doubtful else 5,
            "event_age_ms": 90,
        }
        self.write_message(json.dumps({"t": "stats", "state": script.state} | counters | ages))


class Export(RequestHandler):
    """An export that comes at once, whatever is said of how far it is."""

    def initialize(self, script: Script) -> None:
        self.script = script

    def get(self, table: str, form: str) -> None:
        self.script.exports.append(
            {"table": table, "form": form} | {k: self.get_argument(k) for k in self.request.arguments}
        )
        self.set_header("Content-Disposition", f'attachment; filename="{table}.{form}"')
        self.finish("a file")


class Progress(RequestHandler):
    """How far an export is."""

    def initialize(self, script: Script) -> None:
        self.script = script

    def get(self) -> None:
        states = self.script.export_states
        self.set_header("Access-Control-Allow-Origin", "*")
        self.finish(states.pop(0) if len(states) > 1 else states[0])


class ScriptedGateway:
    """Serves `script` on a thread of its own until `stop`."""

    def __init__(self, script: Script, port: int) -> None:
        self.script, self.port = script, port
        self.sockets: set[Grid] = set()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._serving = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    def publish(self, columns: list[dict[str, Any]]) -> None:
        """Other rules are in force: there are other columns."""

        def tell() -> None:
            self.script.columns = columns
            for socket in self.sockets:
                socket.send_hello()

        self._loop.call_soon_threadsafe(tell)

    def start(self) -> None:
        self._thread.start()
        assert self._serving.wait(5)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(5)

    async def _serve(self) -> None:
        routes: list[Any] = [
            (r"/ws/grid", Grid, {"script": self.script, "open_sockets": self.sockets}),
            (r"/export/progress", Progress, {"script": self.script}),
            (r"/export/(\w+)\.(\w+)", Export, {"script": self.script}),
        ]
        server = HTTPServer(Application(routes))
        server.listen(self.port, "127.0.0.1")
        self._serving.set()
        ticks = 0
        while not self._stopping.is_set():
            if not self.script.silent:
                for socket in list(self.sockets):
                    socket.send_changes()
                    if ticks % max(1, round(self.script.hz / 2)) == 0:
                        socket.send_stats()
            ticks += 1
            try:
                await asyncio.wait_for(self._stopping.wait(), 1 / self.script.hz)
            except TimeoutError:
                continue
        server.stop()
        for socket in list(self.sockets):
            socket.close()
        await server.close_all_connections()


@contextlib.contextmanager
def gateway(settings: Settings, script: Script) -> Iterator[ScriptedGateway]:
    """Served on the gateway's port of `settings` while the block lasts."""
    serving = ScriptedGateway(script, settings.gateway_port)
    serving.start()
    try:
        yield serving
    finally:
        serving.stop()


if __name__ == "__main__":
    ScriptedGateway(
        Script(securities=50_000, hz=float(sys.argv[2]), changes=int(sys.argv[3])), int(sys.argv[1])
    ).start()
    threading.Event().wait()
