"""What can be followed, who may follow it, and the task that keeps the boards up to date."""

import asyncio
from typing import Final

import structlog

from app.breaks.client import BreaksClient
from app.identity import Identity, Role
from app.outbox import Outbox
from app.stream_availability import AvailabilityBoard
from app.stream_breaks import BreaksBoard
from app.stream_limits import Limits, LimitsBoard
from app.stream_messages import StreamError, StreamForbiddenError, Subscribe, Topic
from app.stream_session import Following
from app.stream_steps import Steps

log = structlog.get_logger()
LOOK_S: Final = 0.25
MOST_READERS: Final = 500
READERS: Final = frozenset(Role)
"""Whoever has a role."""


class Streams:
    """`breaks`: who knows what does not agree."""

    def __init__(
        self,
        outbox: Outbox,
        limits: Limits,
        breaks: BreaksClient,
    ) -> None:
        self._outbox = outbox
        self._securities = limits.securities
        self._availability = AvailabilityBoard(limits.securities)
        self._limits = LimitsBoard(limits)
        self._breaks = BreaksBoard(breaks)
        self.readers = 0

    @property
    def stale(self) -> bool:
        """Whether inputs are late."""
        return self._securities.stale

    async def follow(self, identity: Identity, asked: Subscribe) -> Following:
        """How somebody follows what he asks for. Raises `StreamForbiddenError` where he may not,
        `StreamError` where he asks for what there is not."""
        for client in asked.clients or ():
            if not identity.sees(client):
                raise StreamForbiddenError(f"the token is not for client {client}")
        match asked.topic:
            case Topic.LOCATES | Topic.ORDERS:
                if asked.aggregation_units is not None or asked.markets is not None:
                    raise StreamError(f"{asked.topic} are followed by clients and securities")
                clients = identity.clients if asked.clients is None else frozenset(asked.clients)
                return Steps(self._outbox, asked, clients, self._securities.find, kept=identity.clients is not None)
            case Topic.ALERTS:
                if asked.clients is not None or asked.aggregation_units is not None or asked.markets is not None:
                    raise StreamError("alerts are followed by securities, each his own")
                _for_everybody(identity, asked.topic)
                return Steps(self._outbox, asked, frozenset({identity.user}), self._securities.find)
            case Topic.AVAILABILITY:
                _for_everybody(identity, asked.topic)
                return await self._availability.follow(asked)
            case Topic.LIMITS:
                if asked.aggregation_units is not None:
                    _for_everybody(identity, asked.topic)
                return await self._limits.follow(asked)
            case Topic.BREAKS:
                _for_everybody(identity, asked.topic)
                return await self._breaks.follow(asked)

    async def run(self) -> None:
        """Keep the boards up to date, for as long as the service lives."""
        await asyncio.gather(*(self._turns(board) for board in (self._availability, self._limits, self._breaks)))

    async def _turns(self, board: AvailabilityBoard | LimitsBoard | BreaksBoard) -> None:
        while True:
            await board.turn()
            await asyncio.sleep(LOOK_S)


def _for_everybody(identity: Identity, topic: Topic) -> None:
    """What is of all clients together takes one who sees them all."""
    if not identity.sees(""):
        raise StreamForbiddenError(f"the token is for some clients only: it has no {topic} of all of them")
