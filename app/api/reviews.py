"""What a person decides on locates, one or many."""

from typing import ClassVar, Final

import msgspec

from app.api.answers import ActionAnswer, ActionsAnswer, locate_answer
from app.api.base import Base
from app.api.clients import own_locate
from app.api.problems import ProblemError
from app.api.requests import ActionsRequest, ApproveRequest, AskRequest, RejectRequest, typed
from app.identity import REVIEWERS, WRITERS
from engine.locates import Locate, State

_JSON: Final = msgspec.json.Encoder()
_ENDS: Final = {"release": State.RELEASED, "cancel": State.CANCELLED}


class Review(Base):
    """/api/v1/locates/{id}/approve, /reject and /ask: a person decides on what rules have left to one."""

    roles: ClassVar = {"POST": REVIEWERS}
    for_clients = True

    async def post(self, text: str, action: str) -> None:
        """Take the step; 409 where it cannot be taken, 403 where it needs another person."""
        body, sequence = self.checked_body(), await own_locate(self, text)
        self.answer(_JSON.encode(locate_answer(await getattr(self, f"_{action}")(sequence, body))))

    async def _approve(self, sequence: int, body: bytes) -> Locate:
        asked = typed(body, ApproveRequest)
        return await self.context.decisions.decide_by_hand(sequence, asked.quantity, self.identity.user, asked.comment)

    async def _reject(self, sequence: int, body: bytes) -> Locate:
        asked = typed(body, RejectRequest)
        return await self.context.decisions.decide_by_hand(sequence, 0, self.identity.user, asked.comment)

    async def _ask(self, sequence: int, body: bytes) -> Locate:
        return await self.context.decisions.ask(sequence, typed(body, AskRequest).comment, self.identity.user)


class Actions(Base):
    """/api/v1/locates/actions: one step for many locates."""

    roles: ClassVar = {"POST": WRITERS | REVIEWERS}
    for_clients = True

    async def post(self) -> None:
        """200, or 207 where some could not take it."""
        asked = typed(self.checked_body(), ActionsRequest)
        needed = WRITERS if asked.action in _ENDS else REVIEWERS
        if not self.identity.may(needed):
            raise ProblemError(403, "forbidden", f"this takes the role {' or '.join(sorted(needed))}")
        results = [await self._one(text, asked) for text in dict.fromkeys(asked.ids)]
        ways = {result.problem is None for result in results}
        self.answer(_JSON.encode(ActionsAnswer(results=results)), 207 if len(ways) > 1 else 200)

    async def _one(self, text: str, asked: ActionsRequest) -> ActionAnswer:
        decisions, by = self.context.decisions, self.identity.user
        try:
            sequence = await own_locate(self, text)
            if asked.action in _ENDS:
                locate = await decisions.end(sequence, _ENDS[asked.action], by, asked.comment)
            elif asked.action == "ask":
                locate = await decisions.ask(sequence, asked.comment, by)
            else:
                locate = await decisions.decide_by_hand(
                    sequence, None if asked.action == "approve" else 0, by, asked.comment
                )
        except ProblemError as problem:
            return ActionAnswer(id=text, locate=None, problem=problem.detail, status=problem.status)
        return ActionAnswer(id=text, locate=locate_answer(locate), problem=None, status=200)


RESOURCES: Final[tuple[tuple[str, type[Base]], ...]] = (
    (r"/api/v1/locates/actions", Actions),
    (r"/api/v1/locates/([^/]+)/(approve|reject|ask)", Review),
)
