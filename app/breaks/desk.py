"""The desk of breaks: what is known of all of them, what people do, and the order of both.

One thing at a time, on one loop; the database is another thread's. What is written down is what there is: memory follows it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from msgspec.structs import replace

from app.breaks import life as lives_of
from app.breaks import several
from app.breaks.answers import break_id
from app.breaks.life import (
    SETTLERS,
    WORKERS,
    Action,
    Change,
    Life,
    NoSuchBreakError,
    Seen,
    State,
    Step,
    WrongBreakStateError,
    check_role,
    follow,
    stepped,
)
from app.breaks.several import Adjustment, AdjustState, Group, GroupState, Match, MatchState
from app.breaks.store import BreakStore
from app.identity import Identity
from engine.break_kinds import BreakKind, Severity

T = TypeVar("T")
_SEVERE: Final = {severity: at for at, severity in enumerate(Severity)}
_GROUPS: Final = 100_000
"""The newest groups, whose names are known."""
Several = Group | Match | Adjustment


class BreakDesk:
    """Belongs to one asyncio loop. `clock`: UTC nanoseconds. Everything raises `BreakStoreError`; what people do also
    `NoSuchBreakError`, `WrongBreakStateError`, `NotForThemError`."""

    def __init__(self, store: BreakStore, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "breaks-store")
        self._turn = asyncio.Lock()
        self._lives = {one.number: one for one in store.load()}
        self._next = store.last() + 1
        self._groups = {one.id: one for one in store.list_of(Group, limit=_GROUPS)}
        self.numbers = {one.key: one.number for one in self._lives.values()}
        """By key, of those that are not resolved or are matched."""
        self.rank: dict[int, int] = {}
        self.revision = 0
        """Grows whenever anything is not what it was."""
        self._ranked()

    @property
    def known(self) -> Mapping[str, Life]:
        """By key, those that are not resolved or are matched."""
        return {one.key: one for one in self._lives.values()}

    @property
    def open(self) -> list[Life]:
        """Not resolved, the one on which most hangs first."""
        return [self._lives[number] for number in self.rank]

    async def follow(self, seen: Seen) -> None:
        """What one look has found becomes what is known."""
        async with self._turn:
            known = self.known
            fresh = [key for key in seen.facts if key not in known]
            again = await self.asked(lambda: self._store.keyed(fresh)) if fresh else []
            changes = follow(dict(known) | {one.key: one for one in again}, seen, self._next)
            lapsed, further = await self._lapsed(changes, known)
            await self._write([*changes, *further], lapsed)

    # what is known

    async def one(self, number: int) -> Life:
        """Whatever state it is in."""
        if (found := self._lives.get(number)) is not None:
            return found
        stored = await self.asked(lambda: self._store.numbered([number]))
        if not stored:
            raise NoSuchBreakError(f"no break {break_id(number)}")
        return stored[0]

    async def resolved(self, limit: int) -> list[Life]:
        """Of the resolved ones those with the highest numbers."""
        return await self.asked(lambda: self._store.resolved(None, limit))

    async def history(self, number: int) -> list[Step]:
        """All steps of a break, oldest first."""
        return await self.asked(lambda: self._store.history(number))

    async def adjustments(self, states: Collection[str] | None = None) -> list[Adjustment]:
        """The newest first."""
        return await self.asked(lambda: self._store.list_of(Adjustment, states))

    def members(self, group: str) -> list[int]:
        """Breaks of a group that are not resolved."""
        return sorted(one.number for one in self._lives.values() if group and one.group == group)

    def group_name(self, group: str) -> str:
        """What people call a group; nothing for none, or one that is long forgotten."""
        return found.name if (found := self._groups.get(group)) is not None else ""

    @property
    def groups(self) -> list[Group]:
        """Those that were not dissolved, the newest first."""
        live = [one for one in self._groups.values() if one.state == GroupState.LIVE]
        return sorted(live, key=lambda one: -one.number)

    async def match_of(self, text: str, number: int | None) -> Match:
        """A match by its id."""
        found = await self.asked(lambda: self._store.several(Match, number)) if number else None
        if found is None:
            raise NoSuchBreakError(f"no match {text}")
        return found

    # what people do

    async def assign(self, number: int, owner: str, who: Identity, comment: str) -> Life:
        """It is somebody's."""
        return await self._one(number, lambda life, at: lives_of.assign(life, owner, who, at, comment))

    async def comment(self, number: int, who: Identity, comment: str) -> Life:
        """Something is said of it."""
        return await self._one(number, lambda life, at: lives_of.comment_on(life, who, at, comment))

    async def acknowledge(self, number: int, who: Identity, comment: str) -> Life:
        """Somebody has seen it."""
        return await self._one(number, lambda life, at: lives_of.acknowledge(life, who, at, comment))

    async def hold(self, number: int, quantity: int | None, who: Identity, comment: str) -> Life:
        """Keep shares back."""
        return await self._one(number, lambda life, at: lives_of.hold(life, quantity, who, at, comment))

    async def give_back(self, number: int, who: Identity, comment: str) -> Life:
        """They are available again."""
        return await self._one(number, lambda life, at: lives_of.give_back(life, who, at, comment))

    async def group(self, numbers: Sequence[int], name: str, who: Identity, comment: str) -> tuple[Group, list[int]]:
        """A new group of these."""
        check_role(who, WORKERS)
        async with self._turn:
            lives = await self._all(numbers)
            number = await self.asked(lambda: self._store.next_of(Group))
            made = Group(number=number, name=name, state=GroupState.LIVE, by=who.user, at_ns=self._clock())
            await self._write(several.group(lives, made, who, comment), [made])
            return made, sorted(one.number for one in lives)

    async def regroup(
        self, numbers: Sequence[int], group: str, number: int | None, who: Identity, comment: str
    ) -> None:
        """Into a group that there is, or ("") out of the one they are in."""
        check_role(who, WORKERS)
        async with self._turn:
            lives, at_ns = await self._all(numbers), self._clock()
            if not group:
                await self._write(several.ungroup(lives, who, at_ns, comment))
                return
            made = replace(await self._group(group, number), at_ns=at_ns)
            await self._write(several.group(lives, made, who, comment))

    async def dissolve(self, text: str, number: int | None, who: Identity, comment: str) -> Group:
        """A group is none any more."""
        check_role(who, WORKERS)
        async with self._turn:
            made = await self._group(text, number)
            ended = replace(made, state=GroupState.DISSOLVED)
            lives = [self._lives[member] for member in self.members(made.id)]
            await self._write(several.ungroup(lives, who, self._clock(), comment), [ended])
            return ended

    async def match(self, numbers: Sequence[int], who: Identity, comment: str, *, force: bool) -> Match:
        """These explain each other."""
        check_role(who, SETTLERS)
        async with self._turn:
            lives = await self._all(numbers)
            number = await self.asked(lambda: self._store.next_of(Match))
            made = Match(
                number=number,
                breaks=tuple(one.number for one in lives),
                residual=several.residual_of(lives),
                forced=force,
                by=who.user,
                at_ns=self._clock(),
                comment=comment,
                state=MatchState.LIVE,
            )
            await self._write(several.match(lives, made, who), [made])
            return made

    async def unmatch(self, text: str, number: int | None, who: Identity, comment: str) -> Match:
        """A match does not hold any more."""
        check_role(who, SETTLERS)
        async with self._turn:
            made = await self.match_of(text, number)
            if made.state != MatchState.LIVE:
                raise WrongBreakStateError(f"it is {made.state}")
            undone = replace(made, state=MatchState.UNDONE)
            lives = [self._lives[one] for one in made.breaks if one in self._lives]
            await self._write(several.unmatch(lives, made, who.user, self._clock(), comment), [undone])
            return undone

    async def ask_adjustment(self, number: int, asked: Adjustment, who: Identity) -> Adjustment:
        """Somebody asks for a change of our books; `asked` says which."""
        async with self._turn:
            life = await self.one(number)
            several.may_ask(life, who)
            place = await self.asked(lambda: self._store.next_of(Adjustment))
            made = replace(
                asked,
                number=place,
                of=number,
                security=life.facts.about.security,
                contractual=life.facts.kind == BreakKind.TD_SD,
                asked_by=who.user,
                asked_ns=self._clock(),
            )
            detail = {"adjustment": made.id, "quantity": made.quantity}
            change = stepped(life, Action.ADJUST_ASKED, who.user, made.asked_ns, made.comment, detail=detail)
            await self._write([change], [made])
            return made

    async def decide_adjustment(
        self, text: str, number: int | None, action: Action, who: Identity, comment: str
    ) -> Adjustment:
        """A second person approves or rejects; who asked withdraws."""
        async with self._turn:
            asked = await self._adjustment(text, number)
            life = await self.one(asked.of)
            after, change = several.decided(asked, life, action, who, self._clock(), comment)
            await self._write([change], [after])
            return after

    async def adjusted(self, text: str, number: int | None, problem: str) -> Adjustment:
        """The engine has carried an approved adjustment out, or could not. The same again changes nothing."""
        async with self._turn:
            asked = await self._adjustment(text, number)
            if asked.state != AdjustState.APPROVED:
                return asked
            state = AdjustState.FAILED if problem else AdjustState.APPLIED
            after = replace(asked, state=state, problem=problem)
            life = await self.one(asked.of)
            change = stepped(
                life, Action.ADJUSTED, lives_of.MACHINE, self._clock(), problem, detail={"adjustment": asked.id}
            )
            await self._write([change], [after])
            return after

    async def close(self) -> None:
        """Returns when nothing is going on any more."""
        async with self._turn:
            self._thread.shutdown()
            self._store.close()

    async def asked(self, question: Callable[[], T]) -> T:
        """An answer of the database, beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, question)

    # parts

    @asynccontextmanager
    async def _changing(self, number: int) -> AsyncIterator[Life]:
        async with self._turn:
            yield await self.one(number)

    async def _one(self, number: int, what: Callable[[Life, int], Change]) -> Life:
        async with self._changing(number) as life:
            change = what(life, self._clock())
            await self._write([change])
            return change.life

    async def _all(self, numbers: Sequence[int]) -> list[Life]:
        return [await self.one(number) for number in dict.fromkeys(numbers)]

    async def _group(self, text: str, number: int | None) -> Group:
        found = await self.asked(lambda: self._store.several(Group, number)) if number else None
        if found is None:
            raise NoSuchBreakError(f"no group {text}")
        if found.state != GroupState.LIVE:
            raise WrongBreakStateError(f"the group {text} was dissolved")
        return found

    async def _adjustment(self, text: str, number: int | None) -> Adjustment:
        found = await self.asked(lambda: self._store.several(Adjustment, number)) if number else None
        if found is None:
            raise NoSuchBreakError(f"no adjustment {text}")
        return found

    async def _lapsed(self, changes: Sequence[Change], known: Mapping[str, Life]) -> tuple[list[Match], list[Change]]:
        """Matches that do not hold any more, and their other breaks."""
        before = [known.get(change.life.key) for change in changes if not change.life.match]
        names = {one.match for one in before if one is not None and one.match}
        if not names:
            return [], []
        live = await self.asked(lambda: self._store.list_of(Match, (MatchState.LIVE,)))
        return several.lapse({one.id: one for one in live if one.id in names}, changes, self._lives, self._clock())

    async def _write(self, changes: Sequence[Change], others: Sequence[Several] = ()) -> None:
        """To the database first; a break of which only its worth is another one is not written again."""
        lasting = [
            change
            for change in changes
            if change.steps
            or (before := self._lives.get(change.life.number)) is None
            or before.facts.quiet() != change.life.facts.quiet()
        ]
        if lasting or others:
            await self.asked(lambda: self._store.record(lasting, others))
        self._groups |= {one.id: one for one in others if isinstance(one, Group)}
        for change in changes:
            one = change.life
            if one.open or one.match:
                self._lives[one.number] = one
                self.numbers[one.key] = one.number
            else:
                self._lives.pop(one.number, None)
                self.numbers.pop(one.key, None)
            self._next = max(self._next, one.number + 1)
        if changes or others:
            self._ranked()

    def _ranked(self) -> None:
        """What most hangs on comes first."""
        live = [one for one in self._lives.values() if one.state != State.RESOLVED]
        live.sort(key=rank_of)
        self.rank = {one.number: at for at, one in enumerate(live, 1)}
        self.revision += 1


def rank_of(life: Life) -> tuple[int, int, float, int]:
    """Less comes first."""
    facts = life.facts
    return -facts.affected, _SEVERE[facts.severity], -abs(facts.value or 0.0), life.number
