"""/api/v1/locates/quotes: what would be decided; nothing is held or written."""

from typing import ClassVar, Final

import msgspec

from app.api.answers import quote_answer
from app.api.base import Base
from app.api.clients import own_lines
from app.api.requests import lines
from app.identity import WRITERS
from engine.locates import LocateRequest

_JSON: Final = msgspec.json.Encoder()


class Quotes(Base):
    """/api/v1/locates/quotes."""

    roles: ClassVar = {"POST": WRITERS}
    for_clients = True

    async def post(self) -> None:
        """An answer for each line, each as if it came alone."""
        body = self.checked_body()
        asked, single = lines(body, LocateRequest)
        own_lines(self.identity, asked, single=single)
        decisions = self.context.decisions
        quoted = await decisions.quote(asked, single=single)
        now_ns = decisions.clock()
        with_pool = self.identity.clients is None  # it is everybody's
        answers = [
            quote_answer(line.request, line.asked_as, outcome, now_ns, with_pool=with_pool) for line, outcome in quoted
        ]
        self.answer(_JSON.encode(answers[0] if single else answers))


RESOURCES: Final[tuple[tuple[str, type[Base]], ...]] = ((r"/api/v1/locates/quotes", Quotes),)
