"""The resources of breaks: handed on to the process of breaks; the writer has followed before a command is answered."""

from typing import ClassVar, Final

import msgspec
from tornado.web import RequestHandler

from app.api.base import Base
from app.api.parameters import Parameters
from app.api.problems import ProblemError
from app.breaks import commands, handlers
from app.breaks.client import BreaksAwayError
from app.breaks.life import WORKERS
from app.breaks.store import BreakStoreError
from app.identity import Role

READERS: Final = frozenset(Role)
_JSON: Final = msgspec.json.Encoder()
_HANDED_BACK: Final = ("Content-Type", "Vary", "Next-Cursor", "Retry-After")
_NOT_CHANGED: Final = 400


class Handed(Base):
    """What the process of breaks answers. A token for some clients is refused, as everywhere but where it says otherwise."""

    roles: ClassVar = {"GET": READERS, "POST": READERS}

    async def hand_on(self) -> None:
        """Raises `ProblemError`."""
        body = self.checked_body()
        desk = self.context.breaks
        if desk is None:
            raise ProblemError(503, "unavailable", "breaks are not looked for here", headers={"Retry-After": "2"})
        method, accept = self.request.method or "GET", self.request.headers.get("Accept", "")
        sent = body if method == "POST" else None
        try:
            answer = await desk.client.relay(method, self.request.uri or "/", accept, sent, self.identity)
            if method == "POST" and answer.code < _NOT_CHANGED:
                await desk.books.follow()
        except (BreaksAwayError, BreakStoreError) as error:
            raise ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"}) from error
        for name in _HANDED_BACK:
            if name in answer.headers:
                self.set_header(name, answer.headers[name])
        self.set_status(answer.code)
        self.finish(answer.body)


class Reading(Handed):
    """What is only looked at."""

    async def get(self, *_parts: str) -> None:
        """See `app.breaks.handlers`."""
        await self.hand_on()


class Command(Handed):
    """What somebody does. Who may do which of it is decided where it is done; who may do none of it is refused at once."""

    roles: ClassVar = {"POST": WORKERS}

    async def post(self, *_parts: str) -> None:
        """See `app.breaks.handlers`."""
        await self.hand_on()


class Both(Reading, Command):
    """What is looked at by everybody, and changed by who works on breaks."""

    roles: ClassVar = {"GET": READERS, "POST": WORKERS}


class OverdrawnLimits(Base):
    """/api/v1/breaks/overdrawn."""

    roles: ClassVar = {"GET": READERS}

    async def get(self) -> None:
        """Limits of which more was used than there is."""
        self.checked_body()
        Parameters(self, ()).check()
        if self.context.breaks is None:
            raise ProblemError(503, "unavailable", "breaks are not looked for here", headers={"Retry-After": "2"})
        self.answer(_JSON.encode(self.context.breaks.overdrawn.found))


RESOURCES: Final[tuple[tuple[str, type[RequestHandler]], ...]] = (
    (r"/api/v1/breaks/overdrawn", OverdrawnLimits),
    *((pattern, Reading) for pattern, _ in handlers.READING),
    *((pattern, Both if "get" in vars(handler) else Command) for pattern, handler in commands.COMMANDS),
    *((pattern, Reading) for pattern, _ in handlers.OF_ONE),
)
"""Path and handler, in the order in which they are tried."""
