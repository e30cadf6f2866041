"""Everything that a request about breaks needs: the desk, the last look, and who else is asked."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
import structlog
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from app.breaks.answers import (
    AffectedLimit,
    AffectedLocate,
    BreakAnswer,
    BreakComment,
    BreakDetail,
    BreakSummary,
    KindSummary,
    adjustment_answer,
    break_id,
    fields_of,
    moment,
    number_of,
    step_answer,
)
from app.breaks.desk import BreakDesk
from app.breaks.life import Action, Life, State
from app.breaks.several import AdjustState
from app.breaks.watch import Measured, Watch
from app.journal import JournalError
from app.journal_lists import JournalLists, Query
from app.settings import Settings
from app.stream_board import Board
from engine.break_kinds import BreakKind, Severity
from engine.locates import LIVE, Locate, locate_id
from engine.locates import State as LocateState
from engine.model import Namespace
from engine.symbols import Symbols

log = structlog.get_logger()
_LIMITS: Final = 200
_LOCATES: Final = 200
_PATIENCE_S: Final = 3.0
_FOLLOWED_S: Final = 10.0
"""For so long after the last question the board is kept up to date."""
_JSON: Final = msgspec.json.Encoder()


@dataclass(slots=True)
class Room:
    """Belongs to one loop. `watch`: None while there is no engine to look at."""

    settings: Settings
    desk: BreakDesk
    lists: JournalLists
    client: AsyncHTTPClient
    watch: Watch | None = None
    measured: Measured = field(default_factory=Measured)
    away: str = "no engine is running"
    """Why nothing is looked at now; nothing where it is."""
    unruly: str = ""
    """Why the operator's rules of breaks, as they are now, are not in force; nothing where they are, or there are none."""
    topics: tuple[str, ...] = ()
    """Of the feeds, by their number."""
    board: Board = field(default_factory=Board)
    _asked_s: float = -1e9
    _told: int = -1

    def age_days(self, life: Life) -> int | None:
        """Business days of its market since it was found, until it was resolved; None while there is no engine's calendar."""
        return self.watch.age_days(life) if self.watch else None

    def security_code(self, text: str) -> str:
        """Our code of a security by any of its names; the text itself where nothing is known by it."""
        return self.security_named(text) or text

    def security_named(self, text: str) -> str:
        """The same in whatever letter case; nothing where nothing is known by it."""
        if self.watch is None:
            return ""
        symbols = Symbols(self.watch.tables.array["symbols"])
        number = symbols.find_one(Namespace.SECURITY, text) or symbols.find_one(Namespace.SECURITY, text.upper())
        return self.watch.namer.code("security", number)

    def answer(self, life: Life, *, causes: bool = True) -> BreakAnswer:
        """A break as it is now."""
        return BreakAnswer(**self._fields(life, causes=causes))

    async def detail(self, life: Life) -> BreakDetail:
        """And what was done about it, and what hangs on it."""
        steps = await self.desk.history(life.number)
        code = life.facts.about.security
        adjustments = [one for one in await self.desk.adjustments() if one.of == life.number]
        match = await self.desk.match_of(life.match, number_of(life.match, "M")) if life.match else None
        return BreakDetail(
            history=[step_answer(step) for step in steps],
            comments=[
                BreakComment(at=answer.at, who=step.who, text=step.comment)
                for step in steps
                for answer in [step_answer(step)]
                if step.action == Action.COMMENTED
            ],
            locates=await self._locates(code) if code else [],
            limits=await self._limits(code) if code and life.open else [],
            adjustments=[adjustment_answer(one) for one in adjustments],
            group_members=[break_id(number) for number in self.desk.members(life.group)],
            match_members=[break_id(number) for number in match.breaks] if match else [],
            **self._fields(life),
        )

    async def summary(self) -> BreakSummary:
        """What there is, in numbers."""
        lives = self.desk.open
        pending = await self.desk.adjustments((AdjustState.PENDING,))
        return BreakSummary(
            total=len(lives),
            by_kind=[_of_kind(kind, [one for one in lives if one.facts.kind == kind]) for kind in BreakKind],
            unowned=sum(1 for one in lives if not one.owner),
            held=sum(one.held for one in lives),
            adjustments_pending=len(pending),
            oldest_age_days=max((self.age_days(one) or 0 for one in lives), default=0) if self.watch else None,
            as_of=moment(self.measured.at_ns),
            checked_ms=round(self.measured.took_ms, 1),
            stale=bool(self.stale_reason),
            stale_reason=self.stale_reason,
        )

    @property
    def stale_reason(self) -> str:
        """Why what is known may not be so any more; nothing where it is."""
        failed = [f"{name}: {why}" for name, why in self.measured.failed.items()]
        return "; ".join([why for why in (self.away, self.unruly) if why] + failed)

    @property
    def complete(self) -> bool:
        """Whether everything that differs is known."""
        return not self.stale_reason and not self.measured.cut

    def told(self) -> Board:
        """The board as of now: it is kept up to date while somebody asks for it."""
        self._asked_s = time.monotonic()
        self.tell()
        return self.board

    def tell(self) -> None:
        """Put on the board what has changed."""
        if time.monotonic() - self._asked_s > _FOLLOWED_S or self._told == self.desk.revision:
            return
        self._told, lives = self.desk.revision, self.desk.open
        present = {break_id(one.number) for one in lives}
        for key in self.board.present():
            if key not in present:
                self.board.remove(key)
        for one in lives:
            self.board.put(break_id(one.number), _JSON.encode(self.answer(one, causes=False)))

    # parts

    def _fields(self, life: Life, *, causes: bool = True) -> dict[str, Any]:
        rank = self.desk.rank.get(life.number)
        group = self.desk.group_name(life.group)
        return fields_of(life, rank, self.age_days(life), group, self.desk.numbers, causes=causes)

    async def _locates(self, code: str) -> list[AffectedLocate] | None:
        """Live locates of a security, the newest first; None while the journal cannot be read."""
        query = Query(securities=[code], states=sorted(LIVE | {LocateState.PENDING}), limit=_LOCATES)
        try:
            found = await self.lists.find(Locate, query)
        except JournalError as error:
            log.warning("locates of a break are not told", reason=str(error))
            return None
        return [
            AffectedLocate(
                id=locate_id(one.sequence),
                client=one.request.client,
                quantity=one.request.quantity,
                approved=one.approved,
                remaining=one.remaining,
                state=one.state,
            )
            for one in found
        ]

    async def _limits(self, code: str) -> list[AffectedLimit] | None:
        """Limits in a security, as the engine works them out; None while it does not answer."""
        asked = urlencode({"security": code, "limit": _LIMITS})
        page = await self.engine(f"/api/v1/limits?{asked}")
        if page is None:
            return None
        return [
            AffectedLimit(scope=one["scope"], owner=one["owner"], side=side, left=one[side]["left"])
            for one in page["limits"]
            for side in ("long", "short")
        ]

    async def engine(self, path: str) -> Any:
        """What the engine's API answers; None where it does not."""
        try:
            answer = await self.client.fetch(
                f"http://{self.settings.host}:{self.settings.api_port}{path}",
                headers={"Authorization": f"Bearer {self.settings.api_token}"},
                request_timeout=_PATIENCE_S,
                connect_timeout=_PATIENCE_S,
            )
        except (OSError, HTTPClientError):
            return None
        return msgspec.json.decode(answer.body)


def _of_kind(kind: BreakKind, lives: Sequence[Life]) -> KindSummary:
    states = {state: sum(1 for one in lives if one.state == state) for state in State}
    severities = {severity.value: sum(1 for one in lives if one.facts.severity == severity) for severity in Severity}
    return KindSummary(
        kind=kind,
        open=states[State.OPEN],
        acknowledged=states[State.ACKNOWLEDGED],
        reopened=states[State.REOPENED],
        value=round(sum(abs(one.facts.value or 0.0) for one in lives), 2),
        affected=sum(one.facts.affected for one in lives),
        **severities,
    )
