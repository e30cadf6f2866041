"""A gateway that says what a test wants it to say: states and loads that the real one is not easily brought to.

Speaks the grid's protocol over made-up rows. `python tests/e2e/scripted_gateway.py PORT HZ` serves it alone.
"""

import asyncio
import json
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tornado.httpserver import HTTPServer
from tornado.web import Application
from tornado.websocket import WebSocketHandler

MARKETS = ["US", "TW", "JP", "KR", "HK", "GB", "DE", "FR"]
TEMPERATURES = ["UNKNOWN", "GC", "WARM", "HTB", "RESTRICTED"]
TEXT = ("name", "code", "ticker", "isin", "cusip", "sedol", "figi", "currency", "market", "temperature")
NUMBERS = ("fee", "rebate", "price", *(f"loan.{day}" for day in range(5)), "pool", "located", "remaining", "kept")
OTHERS = ("utilisation", "updated_ms", "at_least", "id")
UNITS = {
    "fee": "rate",
    "rebate": "rate",
    "price": "price",
    "utilisation": "basis_points",
    "updated_ms": "time",
    "kept": "money",
}
HIDDEN = ("code", "figi", "rebate", "at_least", "id", "kept")


def columns() -> list[dict[str, Any]]:
    """Columns as the gateway tells them: five days of a loan, a pool and what is left of it, a number nobody sees at first."""
    made: list[dict[str, Any]] = [{"id": name, "kind": "text", "family": "Security"} for name in TEXT]
    made += [
        {"id": name, "kind": "number", "unit": UNITS.get(name, "shares"), "family": "Calculations"}
        for name in (*NUMBERS, *OTHERS)
    ]
    for column in made:
        name = column["id"]
        column |= {"title": name.title(), "tip": f"What {name} is", "shown": name not in HIDDEN}
        if name.startswith("loan."):
            column |= {"title": f"SD{name[-1]}", "group": "Loan", "day": int(name[-1])}
        if name in ("pool", "remaining"):
            column |= {"floor": True, "strong": name == "remaining"}
        if name == "utilisation":
            column |= {"hot": 90.0}
    return made


@dataclass
class Script:
    """What the gateway says. Change it while it runs."""

    securities: int = 1_000
    hz: float = 10.0
    changes: int = 40
    """Cells per frame."""
    state: str = "live"
    generation: str = "one"
    silent: bool = False
    doubtful: tuple[str, ...] = ()
    """What late feeds make doubtful."""
    parked: int = 0
    columns: list[dict[str, Any]] = field(default_factory=columns)
    heard: list[dict[str, Any]] = field(default_factory=list)
    sent_ms: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        random = np.random.default_rng(1)
        n = self.securities
        self.text = {
            "name": [f"Security {i:06d} plc" for i in range(n)],
            "code": [f"C{i:011d}" for i in range(n)],
            "ticker": [f"T{i:05d}" for i in range(n)],
            "isin": [f"US{i:010d}" for i in range(n)],
            "cusip": [f"{i:09d}" for i in range(n)],
            "sedol": [f"{i:07d}" for i in range(n)],
            "figi": [f"BBG{i:09d}" for i in range(n)],
            "currency": ["USD"] * n,
            "market": [MARKETS[i % 8] for i in range(n)],
            "temperature": [TEMPERATURES[i % 5] for i in range(n)],
        }
        self.number = {name: random.integers(-5_000, 2_000_000, n).astype(float) for name in NUMBERS}
        self.number["fee"] = random.integers(25, 3_000, n) / 100
        self.number["fee"][::7] = np.nan
        self.number["price"] = random.integers(100, 90_000, n) / 100
        self.number["utilisation"] = random.integers(0, 1_000, n) / 10
        self.number["updated_ms"] = np.full(n, time.time() * 1e3)
        self.number["at_least"] = (np.arange(n) % 11 == 0).astype(float)
        self.number["id"] = np.arange(1, n + 1, dtype=float)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


class Grid(WebSocketHandler):
    """One connection of the scripted gateway."""

    def initialize(self, script: Script, open_sockets: set["Grid"]) -> None:
        self.script = script
        self.open_sockets = open_sockets
        self.view: dict[str, Any] | None = None
        self.random = np.random.default_rng(2)

    def check_origin(self, origin: str) -> bool:
        return bool(origin)

    def open(self, *_args: str, **_kwargs: str) -> None:
        self.set_nodelay(True)
        self.open_sockets.add(self)
        self.send_hello()

    def send_hello(self) -> None:
        hello = {"t": "hello", "generation": self.script.generation, "frame_ms": 50, "markets": MARKETS}
        self.write_message(json.dumps(hello | {"temperatures": TEMPERATURES, "columns": self.script.columns}))

    def on_close(self) -> None:
        self.open_sockets.discard(self)

    def on_message(self, message: str | bytes) -> None:
        asked = json.loads(message)
        self.script.heard.append(asked)
        if asked["t"] == "view":
            self.view = asked
            self.rows = self._arranged(asked)
        elif self.view is not None:
            self.view |= {"first": asked["first"], "count": asked["count"]}
        if self.script.state != "starting":
            self.send_window()

    def _arranged(self, view: dict[str, Any]) -> np.ndarray:
        script, wanted = self.script, view["filter"]
        rows = [
            i
            for i in range(script.securities)
            if wanted["text"].lower() in script.text["name"][i].lower()
            and (not wanted["markets"] or script.text["market"][i] in wanted["markets"])
            and (not wanted["temperatures"] or script.text["temperature"][i] in wanted["temperatures"])
        ]
        order = np.array(rows, np.int64)
        for name, direction in reversed(view["sort"]):
            keys = np.array(script.text[name]) if name in script.text else script.number[name]
            at = np.argsort(keys[order], kind="stable")
            order = order[at if direction == "asc" else at[::-1]]
        return order

    def _header(self, kind: int, count: int, n: int) -> bytes:
        now = time.time() * 1e3
        assert self.view is not None
        return struct.pack(
            "<BBHIIIddII", kind, 0, self.view["v"], self.view["first"], count, len(self.rows), now, now, 1, n
        )

    def send_window(self) -> None:
        assert self.view is not None
        first = self.view["first"]
        rows = self.rows[first : first + self.view["count"]]
        parts = [self._header(1, len(rows), len(self.view["columns"])), _padded((rows + 1).astype("<i4").tobytes())]
        for name in self.view["columns"]:
            if name in self.script.number:
                parts.append(self.script.number[name][rows].tobytes())
                continue
            cells = [self.script.text[name][i].encode() for i in rows]
            offsets = np.cumsum([0, *map(len, cells)]).astype("<u4")
            parts += [_padded(offsets.tobytes()), _padded(b"".join(cells))]
        self.write_message(b"".join(parts), binary=True)

    def send_changes(self) -> None:
        if self.view is None or self.script.state == "starting" or not len(self.rows):
            return
        numbers = [i for i, name in enumerate(self.view["columns"]) if name in NUMBERS]
        rows = self.rows[self.view["first"] :][: self.view["count"]]
        n = min(self.script.changes, len(rows) * len(numbers))
        cells = self.random.choice(len(rows) * len(numbers), n, replace=False)
        at, column = cells // len(numbers), np.array(numbers)[cells % len(numbers)]
        values = self.random.integers(-5_000, 2_000_000, n).astype(float)
        for row, name, value in zip(rows[at], column, values, strict=True):
            self.script.number[self.view["columns"][name]][row] = value
        body = values.tobytes() + _padded(at.astype("<u2").tobytes()) + column.astype("u1").tobytes()
        self.write_message(self._header(2, len(rows), n) + body, binary=True)

    def send_stats(self) -> None:
        script = self.script
        counters: dict[str, Any] = {
            "events": 1_234_567,
            "events_per_s": 5_012,
            "securities": script.securities,
            "rows": 214_377,
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
        server = HTTPServer(Application([(r"/ws/grid", Grid, {"script": self.script, "open_sockets": self.sockets})]))
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


if __name__ == "__main__":
    gateway = ScriptedGateway(
        Script(securities=50_000, hz=float(sys.argv[2]), changes=int(sys.argv[3])), int(sys.argv[1])
    )
    gateway.start()
    threading.Event().wait()
