"""The clients of `ims bench locates` and `orders`, in a process of their own: `python -m app.bench.desk_clients JSON`.

What they spend is taken from the engine's cores, so they are protocols on one loop that write and look for what they must see,
without streams, tasks or a parser of HTTP.
"""

import asyncio
import json
import random
import resource
import sys
import time
from collections.abc import Callable
from typing import Final, Literal, cast

import uvloop
from msgspec import Struct

from app.bench.locate_feed import HOUSE, HOUSE_BOOK
from app.bench.measure import percentiles

_DONE: Final = b"HTTP/1.1 200 "
_APPROVED: Final = b'"state":"approved"'
_LENGTH: Final = b"Content-Length: "
_END: Final = b"\r\n\r\n"


class Plan(Struct, frozen=True):
    """`rate` requests a second, of so many lines each, over all clients; 0: as many as they can."""

    port: int
    token: str
    what: Literal["locates", "orders"]
    lines: int
    clients: int
    seconds: float
    rate: int
    securities: int


def _locate(name: str, security: int, quantity: int) -> str:
    return f'{{"security":"L{security}","client":"{HOUSE}","quantity":{quantity},"reference":"{name}","requested_by":"bench"}}'


def _order(name: str, security: int, quantity: int) -> str:
    return (
        f'{{"order":"{name}","security":"L{security}","client":"{HOUSE}","book":"{HOUSE_BOOK}","side":"long",'
        f'"quantity":{quantity}}}'
    )


_LINES: Final[dict[str, Callable[[str, int, int], str]]] = {"locates": _locate, "orders": _order}


class _Client(asyncio.Protocol):
    """Requests when they are due, this client's share of the timetable, one after the other.

    `done` is told once the last is answered, or why there is no answer that will do.
    """

    def __init__(self, number: int, plan: Plan, began: float, latencies_ms: list[float]) -> None:
        self._plan = plan
        self._latencies_ms = latencies_ms
        self._dice = random.Random(f"{number} {time.time_ns()}")  # noqa: S311  not a secret
        self._step_s = plan.clients / plan.rate if plan.rate else 0.0
        self._due = began + self._step_s * number / plan.clients
        self._end = began + plan.seconds
        self._line = _LINES[plan.what]
        self._head = (
            f"POST /api/v1/{plan.what} HTTP/1.1\r\nHost: 127.0.0.1:{plan.port}\r\nAuthorization: Bearer {plan.token}\r\n"
            "Content-Type: application/json\r\nIdempotency-Key: "
        )
        self._loop = asyncio.get_running_loop()
        self._asked = 0.0
        self._got = b""
        self.done: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._got = got = self._got + data if self._got else data
        end = got.find(_END)
        if end < 0:
            return
        at = got.index(_LENGTH) + len(_LENGTH)
        if len(got) < end + len(_END) + int(got[at : got.index(b"\r", at)]):
            return
        now = time.perf_counter()
        self._latencies_ms.append((now - self._asked) * 1e3)
        self._got = b""
        if not got.startswith(_DONE) or got.count(_APPROVED) != self._plan.lines:
            self._finish(RuntimeError(got.decode()[:1_000]))
            return
        self._due = self._due + self._step_s if self._plan.rate else now
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(exc or ConnectionResetError("the engine hung up"))

    def _next(self) -> None:
        if self._due >= self._end:
            self._finish(None)
        elif self._due > time.perf_counter():
            self._loop.call_later(self._due - time.perf_counter(), self._ask)
        else:
            self._ask()

    def _ask(self) -> None:
        dice, plan = self._dice, self._plan
        key = f"{dice.getrandbits(96):024x}"
        lines = [
            self._line(f"{key}-{at}", int(dice.random() * plan.securities) + 1, int(dice.random() * 100) * 100 + 100)
            for at in range(plan.lines)
        ]
        body = f"[{','.join(lines)}]" if plan.lines > 1 else lines[0]
        self._asked = self._due if plan.rate else time.perf_counter()
        self._transport.write(f"{self._head}{key}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    def _finish(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None) if error is None else self.done.set_exception(error)
            self._transport.close()


async def _all(plan: Plan) -> dict[str, float]:
    latencies_ms: list[float] = []
    loop = asyncio.get_running_loop()
    began = time.perf_counter() + 0.1
    before = _spent_s()
    clients = [_Client(number, plan, began, latencies_ms) for number in range(plan.clients)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", plan.port)  # type: ignore[misc]
    await asyncio.gather(*(client.done for client in clients))
    spent_s = time.perf_counter() - began
    return {
        "requests_per_s": len(latencies_ms) / spent_s,
        **percentiles(latencies_ms),
        "worst_ms": max(latencies_ms),
        "client_cpu_us": (_spent_s() - before) * 1e6 / len(latencies_ms),
    }


def _spent_s() -> float:
    """Seconds of a core that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_all(Plan(**json.loads(sys.argv[1]))))))  # noqa: T201
