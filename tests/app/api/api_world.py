"""The API over a real machine with a few securities, in this process, on a free port."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httputil import HTTPHeaders

from app.api.service import ApiService
from app.bench.services import free_port
from app.settings import Settings
from engine.model import CounterpartyKind, Temperature
from engine.parties import Parties
from engine.records import COUNTERPARTY
from engine.ring import Message
from engine.rule_model import Scope
from engine.state import Machine
from engine.tables import Word
from tests.app.journal_urls import lay_out
from tests.engine.machines import MARKETS, TODAY, events, machine, named, security_records

NOON_NS = (TODAY * 86_400 + 15 * 3_600) * 10**9
"""Friday 2024-10-04, 11:00 in New York."""
CODES = [market.code for market in MARKETS]


def securities() -> Any:
    """S1: HTB, US, 1,000 shares; S2: GC, US; S3: HTB, TW; S4: RESTRICTED, US; S5: unknown temperature, JP."""
    records = security_records(5)
    wanted = [
        ("US", Temperature.HTB),
        ("US", Temperature.GC),
        ("TW", Temperature.HTB),
        ("US", Temperature.RESTRICTED),
        ("JP", Temperature.UNKNOWN),
    ]
    for record, (market, temperature) in zip(records, wanted, strict=True):
        record["market"] = CODES.index(market)
        record["temperature"] = temperature
        record["fee"] = 12_500
    records[0]["isin"] = b"US0378331005"
    records[0]["name"] = b"First & Co"
    return records


def clients() -> Any:
    """FUND1 to FUND9."""
    records = named(COUNTERPARTY, "FUND", 9)
    records["kind"] = CounterpartyKind.CLIENT
    return records


def fill(made: Machine, shares: int = 1_000) -> None:
    """Every security gets a long FIRM position of `shares`; the feeds are complete."""
    made.register(Message.SECURITIES, securities())
    made.register(Message.COUNTERPARTIES, clients())
    made.apply(events(*({"security": n, "quantity": shares} for n in range(1, 6))))
    set_ready(made)


def set_ready(made: Machine) -> None:
    for word, value in ((Word.READY, 1), (Word.FEED_NS, NOON_NS), (Word.HEARTBEAT_NS, NOON_NS)):
        made.tables.state[word] = value


def compile_limits(made: Machine) -> None:
    """What the first order would have to wait for."""
    owners = [client.decode() for client in made.tables.array["book"]["client"].tolist() if client]
    if owners:
        Parties(made.tables).numbers(made.compiled, Scope.CLIENT, 1, owners[0])


class Api:
    """A client of the API under test, and its inside."""

    def __init__(self, settings: Settings, made: Machine, service: ApiService) -> None:
        self.settings = settings
        self.machine = made
        self.service = service
        self.base = f"http://127.0.0.1:{settings.api_port}"
        self.token = settings.api_token

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        token: str | None = None,
        *,
        keyed: bool = True,
    ) -> HTTPResponse:
        """`body`: bytes as they are, anything else as JSON. `keyed`: a POST gets a new Idempotency-Key where it has none."""
        token = self.token if token is None else token
        given = HTTPHeaders({"Authorization": f"Bearer {token}"} if token else {})
        if body is not None:
            given["Content-Type"] = "application/json"
            body = body if isinstance(body, bytes) else msgspec.json.encode(body)
        if keyed and method == "POST":
            given["Idempotency-Key"] = uuid4().hex
        given.update(headers or {})
        return await AsyncHTTPClient().fetch(
            self.base + path,
            method=method,
            body=body,
            headers=given,
            raise_error=False,
            allow_nonstandard_methods=True,
            request_timeout=180,
        )

    async def post(self, body: Any, **headers: str) -> HTTPResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.call("POST", "/api/v1/locates", body, named)

    async def get(self, path: str) -> HTTPResponse:
        return await self.call("GET", path)

    async def locate(self, security: str = "S1", quantity: int = 100, **fields: Any) -> dict[str, Any]:
        answer = await self.post({"security": security, "client": "FUND1", "quantity": quantity, **fields})
        assert answer.code in {200, 202}, answer.body
        located: dict[str, Any] = read(answer)
        return located


def read(answer: HTTPResponse) -> Any:
    return msgspec.json.decode(answer.body)


@asynccontextmanager
async def serving(
    instance: str, folder: Path, prepare: Callable[[Machine], None] = fill, database: str | None = None
) -> AsyncIterator[Api]:
    """The API, started; `prepare` fills the machine before the journal is read."""
    settings = Settings(instance=instance, port=free_port(), data=str(folder), database=database)
    lay_out(settings)
    with machine(instance, securities=0) as made:
        prepare(made)
        compile_limits(made)
        service = ApiService(settings, made, clock=lambda: NOON_NS)
        await service.start()
        try:
            yield Api(settings, made, service)
        finally:
            await service.close()
            AsyncHTTPClient().close()
            await asyncio.sleep(0)
