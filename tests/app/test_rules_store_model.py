"""Whatever people do in whatever order, across kills and processes: nothing overwritten, one active version, two people."""

import asyncio
import datetime as dt
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from app.identity import CHECKERS, WRITERS, Identity
from app.rules_desk import RulesDesk, SameTextError
from app.rules_life import OPEN, Action, NotAllowedError, State, WrongStateError
from app.rules_store import RuleConflictError
from engine.rule_model import RulesError
from tests.app.journal_urls import STORES, journal_url
from tests.app.rules_world import PEOPLE, SHIPPED, World, text_of, until_idle

T = TypeVar("T")
NAMES = ("default", "tw", "jp")
REFUSALS = (NotAllowedError, WrongStateError, SameTextError, RulesError, RuleConflictError)
people = st.sampled_from(PEOPLE)
desks = st.integers(0, 1)


class Lives(RuleBasedStateMachine):
    """Two processes over one store. `kept`: texts and audit lines seen before, which must never change."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.worlds = [World(self.fresh_url()), World("")]
        self.worlds[1].url = self.worlds[0].url
        self.desks = [self.begun(i) for i in range(2)]
        self.states = {(document.name, 1): State.ACTIVE for document in SHIPPED}
        self.makers = {(document.name, 1): {"ims"} for document in SHIPPED}
        self.texts: dict[tuple[str, int], str] = {(document.name, 1): document.text for document in SHIPPED}
        self.dates = {(document.name, 1): dt.date(2020, 1, 1) for document in SHIPPED}
        self.audit: list[Any] = []

    def fresh_url(self) -> str:
        raise NotImplementedError

    def begun(self, number: int) -> RulesDesk:
        desk = self.worlds[number].desk()
        self.do(desk.start())
        return desk

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(what)

    def version(self, data: st.DataObject) -> tuple[str, int]:
        return data.draw(st.sampled_from(sorted(self.states)))

    # what people do

    @rule(desk=desks, name=st.sampled_from(NAMES), who=people, weight=st.integers(1, 4), days=st.integers(-1, 3))
    def draft(self, desk: int, name: str, who: Identity, weight: int, days: int) -> None:
        effective = self.worlds[0].today + dt.timedelta(days=days)
        text = text_of(name, f"rule {name[0]} {weight}", effective=effective.isoformat())
        same = any(s == State.ACTIVE and self.texts[k] == text for k, s in self.states.items() if k[0] == name)
        try:
            life = self.do(self.desks[desk].draft(name, text, "", who))
        except REFUSALS:
            assert same or not who.may(WRITERS)
            return
        assert who.may(WRITERS)
        assert not same
        self.born(name, life.version.version, text, effective, who)

    @rule(desk=desks, data=st.data(), who=people)
    def revert(self, desk: int, data: st.DataObject, who: Identity) -> None:
        name, number = self.version(data)
        try:
            life = self.do(self.desks[desk].revert(name, number, "", who))
        except REFUSALS:
            return
        assert who.may(WRITERS)
        self.born(name, life.version.version, self.texts[name, number], self.dates[name, number], who)

    def born(self, name: str, number: int, text: str, effective: dt.date, who: Identity) -> None:
        key = name, number
        assert key not in self.states
        assert number == 1 + max((n for d, n in self.states if d == name), default=0)
        self.states[key], self.makers[key] = State.DRAFT, {who.user}
        self.texts[key], self.dates[key] = text, effective

    @rule(desk=desks, data=st.data(), who=people)
    def test(self, desk: int, data: st.DataObject, who: Identity) -> None:
        key = self.version(data)
        good = self.states[key] in OPEN and who.may(WRITERS | CHECKERS)
        if self.taken(self.desks[desk].test(*key, "", who), good=good) and self.states[key] == State.DRAFT:
            self.states[key] = State.TESTED

    @rule(desk=desks, data=st.data(), who=people)
    def submit(self, desk: int, data: st.DataObject, who: Identity) -> None:
        key = self.version(data)
        if self.taken(
            self.desks[desk].submit(*key, "", who), good=self.states[key] == State.TESTED and who.may(WRITERS)
        ):
            self.states[key] = State.SUBMITTED
            self.makers[key].add(who.user)

    @rule(desk=desks, data=st.data(), who=people)
    def reject(self, desk: int, data: st.DataObject, who: Identity) -> None:
        key = self.version(data)
        if self.taken(self.desks[desk].reject(*key, "", who), good=self.checkable(key, who)):
            self.states[key] = State.REJECTED

    @rule(desk=desks, data=st.data(), who=people)
    def approve(self, desk: int, data: st.DataObject, who: Identity) -> None:
        key = self.version(data)
        if self.taken(self.desks[desk].approve(*key, "", who), good=self.checkable(key, who)):
            self.states[key] = State.APPROVED
            if self.dates[key] <= self.worlds[0].today:
                self.become_active(key)

    @rule(desk=desks, data=st.data(), who=people)
    def withdraw(self, desk: int, data: st.DataObject, who: Identity) -> None:
        key = self.version(data)
        mine = who.user in self.makers[key] and who.may(WRITERS | CHECKERS)
        good = self.states[key] in OPEN and (mine or who.may(CHECKERS))
        if self.taken(self.desks[desk].withdraw(*key, "", who), good=good):
            self.states[key] = State.WITHDRAWN

    @precondition(lambda self: any(state == State.SUBMITTED for state in self.states.values()))
    @rule(data=st.data(), who=st.tuples(people, people))
    def two_approve_at_once(self, data: st.DataObject, who: tuple[Identity, Identity]) -> None:
        key = data.draw(st.sampled_from(sorted(k for k, state in self.states.items() if state == State.SUBMITTED)))

        async def both() -> list[Any]:
            asked = [desk.approve(*key, "", one) for desk, one in zip(self.desks, who, strict=True)]
            return await asyncio.gather(*asked, return_exceptions=True)

        answers = self.do(both())
        assert all(isinstance(answer, REFUSALS) for answer in answers if isinstance(answer, BaseException))
        good = [answer for answer in answers if not isinstance(answer, BaseException)]
        assert len(good) <= 1
        assert bool(good) == any(self.checkable(key, one) for one in who)
        if good:
            self.states[key] = State.APPROVED
            if self.dates[key] <= self.worlds[0].today:
                self.become_active(key)

    @rule(desk=desks)
    def the_next_day_comes(self, desk: int) -> None:
        for world in self.worlds:
            world.today += dt.timedelta(days=1)
        self.do(until_idle(self.desks[desk]))
        due = [k for k, s in self.states.items() if s == State.APPROVED and self.dates[k] <= self.worlds[0].today]
        for key in sorted(due, key=lambda key: (self.dates[key], key[1])):
            self.become_active(key)

    @rule(desk=desks)
    def a_process_is_killed_and_started_again(self, desk: int) -> None:
        # nothing is closed in order: only what the store holds is there afterwards
        self.desks[desk] = self.begun(desk)

    def checkable(self, key: tuple[str, int], who: Identity) -> bool:
        return self.states[key] == State.SUBMITTED and who.may(CHECKERS) and who.user not in self.makers[key]

    def become_active(self, key: tuple[str, int]) -> None:
        for other, state in self.states.items():
            if other[0] == key[0] and state == State.ACTIVE:
                self.states[other] = State.RETIRED
        self.states[key] = State.ACTIVE

    def taken(self, step: Coroutine[Any, Any, Any], *, good: bool) -> bool:
        try:
            self.do(step)
        except REFUSALS:
            assert not good
            return False
        assert good
        return True

    # what holds always

    @invariant()
    def the_store_is_as_the_model_says(self) -> None:
        for desk in self.desks:
            documents = self.do(desk.documents())
            found = {(name, number): life.state for name, d in documents.items() for number, life in d.lives.items()}
            assert found == self.states

    @invariant()
    def at_most_one_version_is_active(self) -> None:
        active = [name for (name, _), state in self.states.items() if state == State.ACTIVE]
        assert len(active) == len(set(active))

    @invariant()
    def nothing_is_overwritten(self) -> None:
        desk = self.desks[0]
        audit = list(reversed(self.do(desk.audit(None, None, None, 10_000))))
        assert audit[: len(self.audit)] == self.audit
        self.audit = audit
        for (name, number), text in self.texts.items():
            assert self.do(desk.text(name, number)) == text

    @invariant()
    def no_checker_was_a_maker(self) -> None:
        for step in self.audit:
            if step.action in {Action.APPROVE, Action.REJECT}:
                before = [s for s in self.audit if (s.document, s.version) == (step.document, step.version)]
                makers = {s.who for s in before if s.action in {Action.DRAFT, Action.REVERT, Action.SUBMIT}}
                assert step.who not in makers

    @invariant()
    def machines_hold_to_what_is_active_once_they_look(self) -> None:
        active = {name: number for (name, number), state in self.states.items() if state == State.ACTIVE}
        for desk, world in zip(self.desks, self.worlds, strict=True):
            self.do(desk.start())
            assert world.active() == active

    def teardown(self) -> None:
        for desk in self.desks:
            self.do(desk.close())
        self.loop.close()


@pytest.mark.parametrize("store", STORES)
def test_rules_live_as_the_model_says(store: str, request: pytest.FixtureRequest) -> None:
    folder = Path(tempfile.mkdtemp())

    class OfStore(Lives):
        def fresh_url(self) -> str:
            return journal_url(store, request, Path(tempfile.mkdtemp(dir=folder)))

    try:
        few = settings(max_examples=15 if store == "sqlite" else 6, stateful_step_count=25)
        run_state_machine_as_test(OfStore, settings=few)
    finally:
        shutil.rmtree(folder)
