"""What people do about breaks, as resources."""

from typing import ClassVar, Final

from app.api.parameters import Parameters
from app.api.problems import Fault, ProblemError
from app.breaks import requests
from app.breaks.answers import (
    ActionResult,
    ActionResults,
    BreakGroups,
    adjustment_answer,
    group_answer,
    match_answer,
    number_of,
)
from app.breaks.handlers import MAX_PAGE, BreakBase, as_problem
from app.breaks.life import Action, NoSuchBreakError, NotForThemError, WrongBreakStateError
from app.breaks.several import Adjustment, AdjustState
from app.breaks.store import BreakStoreError


class Steps(BreakBase):
    """/api/v1/breaks/{id}/assign, /comment, /acknowledge, /hold and /return."""

    async def post(self, text: str, action: str) -> None:
        """One step of one break."""
        desk, who, at = self.room.desk, self.identity, self.number(text)
        match action:
            case "assign":
                assigned = self.body_as(requests.AssignRequest)
                life = await desk.assign(at, assigned.owner, who, assigned.comment)
            case "comment":
                life = await desk.comment(at, who, self.body_as(requests.CommentRequest).comment)
            case "acknowledge":
                life = await desk.acknowledge(at, who, self.body_as(requests.NoteRequest).comment)
            case "hold":
                held = self.body_as(requests.HoldRequest)
                life = await desk.hold(at, held.quantity, who, held.comment)
            case _:
                life = await desk.give_back(at, who, self.body_as(requests.NoteRequest).comment)
        self.json(await self.room.detail(life))


class Actions(BreakBase):
    """/api/v1/breaks/actions."""

    async def post(self) -> None:
        """The same step for many. 200, or 207 where some could not take it."""
        asked = self.body_as(requests.BreakActionsRequest)
        if asked.action == "comment" and not asked.comment:
            raise _wrong("Say something", "/comment")
        if asked.action == "group" and not asked.group:
            raise _wrong("Into which group", "/group")
        results = [await self._one(asked, text) for text in dict.fromkeys(asked.ids)]
        good = all(one.status == 200 for one in results)  # noqa: PLR2004
        self.json(ActionResults(results=results), 200 if good else 207)

    async def _one(self, asked: requests.BreakActionsRequest, text: str) -> ActionResult:
        desk, who = self.room.desk, self.identity
        try:
            at = self.number(text)
            match asked.action:
                case "assign":
                    await desk.assign(at, asked.owner, who, asked.comment)
                case "comment":
                    await desk.comment(at, who, asked.comment)
                case "acknowledge":
                    await desk.acknowledge(at, who, asked.comment)
                case "group":
                    await desk.regroup([at], asked.group, number_of(asked.group, "G"), who, asked.comment)
                case _:
                    await desk.regroup([at], "", None, who, asked.comment)
            state = (await desk.one(at)).state
        except (ProblemError, NoSuchBreakError, NotForThemError, WrongBreakStateError, BreakStoreError) as error:
            problem = as_problem(error)
            return ActionResult(id=text, status=problem.status, problem=problem.detail, state="")
        return ActionResult(id=text, status=200, problem="", state=state)


class Groups(BreakBase):
    """/api/v1/breaks/groups."""

    async def get(self) -> None:
        """Those that were not dissolved."""
        Parameters(self, ()).check()
        desk = self.room.desk
        self.json(BreakGroups(groups=[group_answer(one, desk.members(one.id)) for one in desk.groups[:MAX_PAGE]]))

    async def post(self) -> None:
        """A new group."""
        asked = self.body_as(requests.GroupRequest)
        numbers = [self.number(text) for text in asked.ids]
        made, members = await self.room.desk.group(numbers, asked.name, self.identity, asked.comment)
        self.json(group_answer(made, members), 201)


class Dissolve(BreakBase):
    """/api/v1/breaks/groups/{group}/dissolve."""

    async def post(self, text: str) -> None:
        """Its breaks are in no group."""
        comment = self.body_as(requests.NoteRequest).comment
        ended = await self.room.desk.dissolve(text, number_of(text, "G"), self.identity, comment)
        self.json(group_answer(ended, []))


class Matches(BreakBase):
    """/api/v1/breaks/matches."""

    async def post(self) -> None:
        """Breaks that explain each other."""
        asked = self.body_as(requests.MatchRequest)
        if asked.force and not asked.comment.strip():
            raise _wrong("A match that is forced needs its reason", "/comment")
        numbers = list(dict.fromkeys(self.number(text) for text in asked.ids))
        if len(numbers) == 1 and not asked.force:
            raise _wrong("Expected two or more", "/ids")
        made = await self.room.desk.match(numbers, self.identity, asked.comment, force=asked.force)
        self.json(match_answer(made), 201)


class Undo(BreakBase):
    """/api/v1/breaks/matches/{match}/undo."""

    async def post(self, text: str) -> None:
        """What it had resolved is open again."""
        comment = self.body_as(requests.NoteRequest).comment
        undone = await self.room.desk.unmatch(text, number_of(text, "M"), self.identity, comment)
        self.json(match_answer(undone))


class Adjust(BreakBase):
    """/api/v1/breaks/{id}/adjust."""

    async def post(self, text: str) -> None:
        """Ask for a change of our books."""
        asked = self.body_as(requests.AdjustRequest)
        if asked.quantity == 0:
            raise _wrong("Nothing would change", "/quantity")
        made = await self.room.desk.ask_adjustment(
            self.number(text),
            Adjustment(
                number=0,
                of=0,
                security="",
                book=asked.book,
                depot=asked.depot,
                position_type=asked.position_type,
                quantity=asked.quantity,
                contractual=False,
                state=AdjustState.PENDING,
                asked_by="",
                asked_ns=0,
                comment=asked.comment,
            ),
            self.identity,
        )
        self.json(adjustment_answer(made), 201)


class DecideAdjustment(BreakBase):
    """/api/v1/breaks/adjustments/{n}/approve, /reject and /withdraw."""

    actions: ClassVar = {
        "approve": Action.ADJUST_APPROVED,
        "reject": Action.ADJUST_REJECTED,
        "withdraw": Action.ADJUST_WITHDRAWN,
    }

    async def post(self, text: str, action: str) -> None:
        """A second person's word; or who asked thinks better of it."""
        comment = self.body_as(requests.NoteRequest).comment
        after = await self.room.desk.decide_adjustment(
            text, number_of(text, "A"), self.actions[action], self.identity, comment
        )
        self.json(adjustment_answer(after))


def _wrong(detail: str, pointer: str) -> ProblemError:
    return ProblemError(422, "invalid", "one field is wrong", (Fault(detail, pointer=pointer),))


COMMANDS: Final = (
    (r"/api/v1/breaks/actions", Actions),
    (r"/api/v1/breaks/groups", Groups),
    (r"/api/v1/breaks/groups/([^/]+)/dissolve", Dissolve),
    (r"/api/v1/breaks/matches", Matches),
    (r"/api/v1/breaks/matches/([^/]+)/undo", Undo),
    (r"/api/v1/breaks/adjustments/([^/]+)/(approve|reject|withdraw)", DecideAdjustment),
    (r"/api/v1/breaks/([^/]+)/(assign|comment|acknowledge|hold|return)", Steps),
    (r"/api/v1/breaks/([^/]+)/adjust", Adjust),
)
"""Path and handler, in the order in which they are tried."""
