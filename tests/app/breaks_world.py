"""The API over a real machine, and the process of breaks beside it in the same loop: it looks when a test says so."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from app.breaks.room import Room
from app.breaks.server import Looking
from app.breaks.server import serving as breaks_serving
from app.identity import Identity, Role, issue_token
from engine.model import Kind
from engine.records import BOOK
from engine.ring import Message
from engine.state import Machine
from tests.app.api.api_world import NOON_NS, Api, fill, serving
from tests.engine.machines import events

CUSTODY: Final = 3
S: Final = 10**9


class Clock:
    """Time as the test wants it, UTC nanoseconds."""

    def __init__(self) -> None:
        self.now_ns = NOON_NS

    def __call__(self) -> int:
        return self.now_ns


class BreaksWorld:
    """What a test has in its hands."""

    def __init__(self, api: Api, looking: Looking, clock: Clock) -> None:
        self.api = api
        self.machine: Machine = api.machine
        self.clock = clock
        self._looking = looking
        self._seq = 6

    @property
    def room(self) -> Room:
        """Of the process of breaks."""
        return self._looking.room

    def apply(self, *rows: dict[str, Any]) -> None:
        batch = [{"time_ns": self.clock.now_ns} | row for row in rows]
        assert not self.machine.apply(events(*batch, first_seq=self._seq)).rejected.size
        self._seq += len(rows)

    def state(self, security: int, shares: int, depot: int = 1) -> None:
        """What the custodian states."""
        self.apply({"security": security, "depot": depot, "book": CUSTODY, "kind": Kind.DEPOT, "quantity": shares})

    def hold(self, security: int, shares: int, **more: Any) -> None:
        """What our books have in the depot."""
        self.apply({"security": security, "depot": 1, "book": 1, "kind": Kind.FIRM, "quantity": shares} | more)

    async def look(self, later_s: float = 60.0) -> None:
        """Look, wait for as long as every break must last, and look again."""
        await self._looking.look()
        self.clock.now_ns += int(later_s * S)
        await self._looking.look()

    def token(self, user: str, *roles: Role, clients: frozenset[str] | None = None) -> str:
        identity = Identity(user, frozenset(roles), clients)
        return issue_token(self.api.settings.secret, identity, 3_600, NOON_NS / 1e9)

    async def get(self, path: str, status: int = 200, **headers: str) -> Any:
        answer = await self.api.call("GET", f"/api/v1/breaks{path}", headers=headers, token=self.ops)
        assert answer.code == status, answer.body
        return answer if headers else msgspec.json.decode(answer.body)

    async def post(self, path: str, body: Any, status: int = 200, token: str = "") -> Any:
        answer = await self.api.call("POST", f"/api/v1/breaks{path}", body, token=token or self.ops)
        assert answer.code == status, answer.body
        return msgspec.json.decode(answer.body)

    async def breaks(self, query: str = "") -> list[dict[str, Any]]:
        return list((await self.get(query))["breaks"])

    async def only(self, query: str = "") -> dict[str, Any]:
        (found,) = await self.breaks(query)
        return found

    @property
    def ops(self) -> str:
        return self.token("olga", Role.OPS)

    @property
    def admin(self) -> str:
        return self.token("adam", Role.ADMIN)


def prepare(made: Machine) -> None:
    """The few securities of the API's tests, in books that have a unit; nothing of it in a depot."""
    fill(made)
    books = np.zeros(4, BOOK)
    books["code"], books["aggregation_unit"] = [b"B1", b"B2", b"B3", b"B4"], b"AU1"
    books["client"][1] = b"FUND1"
    made.register(Message.BOOKS, books)


@asynccontextmanager
async def breaks_world(instance: str, folder: Path, database: str | None = None) -> AsyncIterator[BreaksWorld]:
    clock = Clock()
    async with (
        serving(instance, folder, prepare, database) as api,
        breaks_serving(api.settings, clock=clock) as looking,
    ):
        yield BreaksWorld(api, looking, clock)
