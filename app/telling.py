"""All who are told of decisions: the outbox and whoever reads it, as one part of the API's service."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, Final

import structlog

from app.api.decisions import Decisions
from app.api.order_decisions import OrderDecisions
from app.api.securities import Securities
from app.breaks.client import BreaksClient
from app.limits_asked import Name
from app.outbox import Kind, Outbox, OutboxError
from app.settings import Settings
from app.stream_limits import Limits
from app.streams import Streams
from app.webhooks import Webhooks
from engine.model import Decided
from engine.rule_model import Scope
from engine.state import Machine

log = structlog.get_logger()
_FLUSH_S: Final = 0.5
"""How often it is written down how far everybody is: what is lost of it is told again."""
_AGAIN_S: Final = 1.0
_LISTEN_S: Final = 0.5
_HOLDERS: Final = 5_000
"""Clients, and units, whose limits are watched for being overdrawn: those that hold most."""
_SCOPES: Final = {Scope.CLIENT: "client", Scope.AU: "unit"}


class Telling:
    """Made after the desks, whose journal it reads; started with the service. `clock`: UTC nanoseconds."""

    def __init__(
        self,
        settings: Settings,
        machine: Machine,
        securities: Securities,
        decisions: Decisions,
        orders: OrderDecisions,
        breaks: BreaksClient,
        clock: Callable[[], int],
    ) -> None:
        self._securities = securities
        self._locates = decisions.desk
        self._orders = orders.desk
        self.outbox = Outbox(settings.database_url)
        self.limits = Limits(securities, lambda: machine.compiled, self._decided, clock)
        self.streams = Streams(self.outbox, self.limits, breaks)
        self.webhooks = Webhooks(self.outbox, settings.secret, settings.webhook_origins, clock)
        self._flushed_s = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to tell."""
        parts = {"stream": self.streams.run, "webhooks": self.webhooks.run, "alerts": self._listen}
        self._tasks = [asyncio.create_task(for_ever(name, run)) for name, run in parts.items()]

    def ring(self) -> None:
        """Something was decided, and is written down."""
        self.outbox.ring()

    async def tick(self) -> None:
        """Note now and then how far everybody is."""
        if time.monotonic() < self._flushed_s + _FLUSH_S:
            return
        self._flushed_s = time.monotonic()
        try:
            await self.outbox.flush()
        except OutboxError as error:
            log.warning("how far everybody has been told is noted later", reason=str(error))

    async def close(self) -> None:
        """Nobody is told any more; how far everybody is, is written."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.outbox.close()

    def holders(self) -> Iterator[Name]:
        """Those who hold something by orders."""
        seen: set[Name] = set()
        for scope, named in _SCOPES.items():
            for code, owner, _held in self._orders.largest_holders(named, _HOLDERS):
                name = scope, owner, self._securities.find(code)
                if name[2] and name not in seen:
                    seen.add(name)
                    yield name

    # parts

    async def _listen(self) -> None:
        """Ring for what the analyst has written: it is another process."""
        heard = self.outbox.begun[Kind.ALERTS]
        while True:
            await asyncio.sleep(_LISTEN_S)
            newest = await self.outbox.newest(Kind.ALERTS)
            if newest > heard:
                self.outbox.ring()
            heard = newest

    def _decided(self, code: str, scope: Scope, owner: str) -> Mapping[Decided, int]:
        sells = dict(self._orders.sells_of(code, _SCOPES[scope], owner))
        return dict(self._locates.held_of(code, owner)) | sells if scope == Scope.CLIENT else sells


async def for_ever(name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """What goes wrong with telling must not keep anybody from deciding."""
    while True:
        try:
            await run()
        except Exception:
            log.exception("telling goes on after an error", part=name)
        await asyncio.sleep(_AGAIN_S)
