"""The clients of `ims bench locates` and `orders`, in a process of their own: `python -m app.bench.desk_clients JSON`."""

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec
import uvloop
from msgspec import Struct

from app.bench.http_client import Connection
from app.bench.locate_feed import HOUSE, HOUSE_BOOK
from app.bench.measure import percentiles

_ACCEPTED: Final = 200


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


def _locate(name: str, security: str, dice: random.Random) -> dict[str, Any]:
    quantity = dice.randint(1, 100) * 100
    return {"security": security, "client": "FUND1", "quantity": quantity, "reference": name, "requested_by": "bench"}


def _order(name: str, security: str, dice: random.Random) -> dict[str, Any]:
    quantity = dice.randint(1, 100) * 100
    asked = {"order": name, "security": security, "client": HOUSE, "book": HOUSE_BOOK}
    return asked | {"side": "long", "quantity": quantity}


_LINES: Final[dict[str, Callable[[str, str, random.Random], dict[str, Any]]]] = {"locates": _locate, "orders": _order}


async def _client(number: int, plan: Plan, began: float, latencies_ms: list[float]) -> None:
    """Requests when they are due, this client's share of the timetable, one after the other."""
    dice = random.Random(f"{number} {time.time_ns()}")  # noqa: S311  not a secret
    connection = await Connection.open("127.0.0.1", plan.port, plan.token)
    step_s = plan.clients / plan.rate if plan.rate else 0.0
    due = began + step_s * number / plan.clients
    end = began + plan.seconds
    line = _LINES[plan.what]
    while due < end:
        wait_s = due - time.perf_counter()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        key = f"{dice.getrandbits(96):024x}"
        lines = [line(f"{key}-{at}", f"L{dice.randint(1, plan.securities)}", dice) for at in range(plan.lines)]
        body = msgspec.json.encode(lines if plan.lines > 1 else lines[0])
        asked = due if plan.rate else time.perf_counter()
        status, answer = await connection.request("POST", f"/api/v1/{plan.what}", body, key)
        latencies_ms.append((time.perf_counter() - asked) * 1e3)
        if status != _ACCEPTED or answer.count(b'"state":"approved"') != plan.lines:
            raise RuntimeError(f"{status} {answer.decode()[:1_000]}")
        due = due + step_s if plan.rate else time.perf_counter()
    connection.close()


async def _all(plan: Plan) -> dict[str, float]:
    latencies_ms: list[float] = []
    began = time.perf_counter() + 0.1
    await asyncio.gather(*(_client(number, plan, began, latencies_ms) for number in range(plan.clients)))
    spent_s = time.perf_counter() - began
    return {
        "requests_per_s": len(latencies_ms) / spent_s,
        **percentiles(latencies_ms),
        "worst_ms": max(latencies_ms),
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_all(msgspec.json.decode(sys.argv[1], type=Plan)))))  # noqa: T201
