"""What a person decides on locates, one or many."""

from collections.abc import Awaitable, Callable
from typing import ClassVar, Final, TypeAlias

import msgspec

from app.api.answers import ActionAnswer, ActionsAnswer, locate_answer
from app.api.base import Base
from app.api.clients import own_locate
from app.api.problems import ProblemError
from app.api.recording import Key, Reply
from app.api.requests import ActionsRequest, ApproveRequest, AskRequest, RejectRequest, typed
from app.identity import REVIEWERS, WRITERS
from engine.locates import Locate, State

_JSON: Final = msgspec.json.Encoder()
_ENDS: Final = {"release": State.RELEASED, "cancel": State.CANCELLED}


_Step: TypeAlias = Callable[[Key], Awaitable[Locate]]


class Review(Base):
    """/api/v1/locates/{id}/approve, /reject and /ask: a person decides on what rules have left to one."""

    roles: ClassVar = {"POST": REVIEWERS}
    for_clients = True

    async def post(self, text: str, action: str) -> None:
        """Take the step; 409 where it cannot be taken, 403 where it needs another person."""
        posted, sequence = self.posted(), await own_locate(self, text)
        key = self.key(posted)
        step: _Step = getattr(self, f"_{action}")(sequence, posted.body)
        reply = await self.context.decisions.once(key, lambda: step(key))
        self.answer(reply.body, reply.status)

    def _approve(self, sequence: int, body: bytes) -> _Step:
        asked, decisions, by = typed(body, ApproveRequest), self.context.decisions, self.identity.user
        return lambda key: decisions.decide_by_hand(sequence, asked.quantity, by, asked.comment, key)

    def _reject(self, sequence: int, body: bytes) -> _Step:
        asked, decisions, by = typed(body, RejectRequest), self.context.decisions, self.identity.user
        return lambda key: decisions.decide_by_hand(sequence, 0, by, asked.comment, key)

    def _ask(self, sequence: int, body: bytes) -> _Step:
        asked, decisions, by = typed(body, AskRequest), self.context.decisions, self.identity.user
        return lambda key: decisions.ask(sequence, asked.comment, by, key)


class Actions(Base):
    """/api/v1/locates/actions: one step for many locates."""

    roles: ClassVar = {"POST": WRITERS | REVIEWERS}
    for_clients = True

    async def post(self) -> None:
        """200, or 207 where some could not take it."""
        posted = self.posted()
        asked = typed(posted.body, ActionsRequest)
        needed = WRITERS if asked.action in _ENDS else REVIEWERS
        if not self.identity.may(needed):
            raise ProblemError(403, "forbidden", f"this takes the role {' or '.join(sorted(needed))}")
        reply = await self.context.decisions.once_for_many(self.key(posted), lambda: self._each(asked))
        self.answer(reply.body, reply.status)

    async def _each(self, asked: ActionsRequest) -> Reply:
        results = [await self._one(text, asked) for text in dict.fromkeys(asked.ids)]
        ways = {result.problem is None for result in results}
        return Reply(207 if len(ways) > 1 else 200, _JSON.encode(ActionsAnswer(results=results)))

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
