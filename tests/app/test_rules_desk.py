"""Rules live from draft to retirement: two people, nothing overwritten, and the machine holds to what is written down."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.database import connect
from app.identity import Identity
from app.rules_desk import TESTED_NS, RulesDesk, SameTextError
from app.rules_life import Action, NoSuchVersionError, NotAllowedError, State, WrongStateError
from app.rules_store import RuleConflictError, RuleStore, RuleStoreError
from engine.rule_model import Document, Problem, RuleBook, RulesError
from tests.app.journal_urls import STORES, journal_url
from tests.app.rules_world import ANNA, BOB, CARL, EVE, OTTO, SHIPPED, World, read, submitted, text_of, until_idle


@pytest.fixture(params=STORES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(journal_url(request.param, request, tmp_path))


@pytest.fixture
async def desk(world: World) -> AsyncIterator[RulesDesk]:
    desk = world.desk()
    await desk.start()
    yield desk
    await desk.close()


NEW = text_of("tw", "rule c 2", "rule d 1")


async def test_an_empty_store_begins_with_what_is_shipped(desk: RulesDesk, world: World) -> None:
    documents = await desk.documents()
    assert list(documents) == ["default", "tw"]
    life = documents["default"].active
    assert life is not None
    assert (life.author, life.state, life.rule_versions) == ("ims", State.ACTIVE, {"a": 1, "b": 1})
    assert world.active() == {"default": 1, "tw": 1}
    assert world.published == 0


async def test_from_draft_to_active_and_the_old_version_retires(desk: RulesDesk, world: World) -> None:
    draft = await desk.draft("tw", NEW, "new weight", ANNA)
    assert (draft.state, draft.version.version, draft.version.title) == (State.DRAFT, 2, "TW")
    tested, impact = await desk.test("tw", 2, "", ANNA)
    assert (tested.state, impact["securities"]) == (State.TESTED, [1])
    assert tested.steps[-1].detail.impact == {"securities_changed": 3, "totals": {}, "under_water": 0, "limits": 0}  # type: ignore[union-attr]
    assert (await desk.submit("tw", 2, "please", OTTO)).state == State.SUBMITTED
    assert world.active() == {"default": 1, "tw": 1}
    active = await desk.approve("tw", 2, "yes", BOB)
    assert active.state == State.ACTIVE
    assert world.active() == {"default": 1, "tw": 2}
    lives = (await desk.document("tw")).lives
    assert lives[1].state == State.RETIRED
    assert [(s.action, s.who, s.comment) for s in lives[2].steps] == [
        (Action.DRAFT, "anna", "new weight"),
        (Action.TEST, "anna", ""),
        (Action.SUBMIT, "otto", "please"),
        (Action.APPROVE, "bob", "yes"),
        (Action.ACTIVATE, "ims", ""),
    ]
    assert (await desk.version("tw", 2))[1] == NEW
    assert lives[2].rule_versions == {"c": 2, "d": 2}


async def test_each_rule_has_the_version_in_which_it_last_changed(desk: RulesDesk, world: World) -> None:
    for lines in (("rule c 1", "rule d 1"), ("rule c 1", "rule d 2"), ("rule c 5", "rule d 2")):
        await desk.approve("tw", await submitted(desk, "tw", text_of("tw", *lines)), "", BOB)
    assert world.held is not None
    assert {rule.id: rule.version for rule in world.held.rules} == {"a": 1, "b": 1, "c": 4, "d": 3}
    again = world.desk()
    assert {rule.id: rule.version for rule in again.book.rules} == {"a": 1, "b": 1, "c": 4, "d": 3}
    await again.close()


async def test_the_maker_is_never_the_checker(desk: RulesDesk) -> None:
    number = await submitted(desk, "tw", NEW, EVE)
    for check in (desk.approve, desk.reject):
        with pytest.raises(NotAllowedError, match="another person"):
            await check("tw", number, "", EVE)
    drafted = (await desk.draft("tw", text_of("tw"), "", ANNA)).version.version
    await desk.test("tw", drafted, "", ANNA)
    await desk.submit("tw", drafted, "", EVE)
    with pytest.raises(NotAllowedError):
        await desk.approve("tw", drafted, "", EVE)
    assert (await desk.approve("tw", number, "", BOB)).state == State.ACTIVE


async def test_roles_decide_who_may_do_what(desk: RulesDesk) -> None:
    for who in (BOB, CARL):
        with pytest.raises(NotAllowedError):
            await desk.draft("tw", NEW, "", who)
        with pytest.raises(NotAllowedError):
            await desk.import_stream("", "", who)
        with pytest.raises(NotAllowedError):
            await desk.revert("tw", 1, "", who)
    number = await submitted(desk, "tw", NEW)
    for who in (OTTO, CARL):
        with pytest.raises(NotAllowedError):
            await desk.approve("tw", number, "", who)
        with pytest.raises(NotAllowedError):
            await desk.withdraw("tw", number, "", who)
    await desk.test("tw", number, "", BOB)
    assert (await desk.withdraw("tw", number, "no longer", ANNA)).state == State.WITHDRAWN


async def test_no_step_is_skipped_and_an_end_is_an_end(desk: RulesDesk) -> None:
    await desk.draft("tw", NEW, "", ANNA)
    for step, who in ((desk.submit, ANNA), (desk.approve, BOB), (desk.reject, BOB)):
        with pytest.raises(WrongStateError, match="is draft"):
            await step("tw", 2, "", who)
    await desk.test("tw", 2, "", ANNA)
    await desk.submit("tw", 2, "", ANNA)
    assert (await desk.reject("tw", 2, "too much", BOB)).state == State.REJECTED
    for step, who in ((desk.submit, ANNA), (desk.approve, BOB), (desk.withdraw, ANNA)):
        with pytest.raises(WrongStateError, match="is rejected"):
            await step("tw", 2, "", who)
    with pytest.raises(WrongStateError, match="is active"):
        await desk.withdraw("tw", 1, "", BOB)


async def test_what_there_is_not_is_not_found(desk: RulesDesk) -> None:
    for document, number in (("xx", 1), ("tw", 7)):
        with pytest.raises(NoSuchVersionError):
            await desk.version(document, number)
        with pytest.raises(NoSuchVersionError):
            await desk.approve(document, number, "", BOB)
        with pytest.raises(NoSuchVersionError):
            await desk.revert(document, number, "", ANNA)


async def test_a_bad_text_is_refused_with_every_problem_and_nothing_is_kept(desk: RulesDesk, world: World) -> None:
    with pytest.raises(RulesError) as raised:
        await desk.draft("tw", text_of("tw", "bad", "rule c 1", "bad"), "", ANNA)
    assert [(p.line, p.column) for p in raised.value.problems] == [(4, 1), (6, 1)]
    with pytest.raises(RulesError, match="a line begins with ---"):
        await desk.draft("tw", NEW + "---\n", "", ANNA)
    with pytest.raises(RulesError, match="no document can have this name"):
        await desk.draft("audit", text_of("audit"), "", ANNA)
    with pytest.raises(SameTextError):
        await desk.draft("tw", SHIPPED[1].text, "", ANNA)
    assert (await desk.document("tw")).newest == 1


async def test_what_the_machine_cannot_take_is_refused_whole(desk: RulesDesk, world: World) -> None:
    number = await submitted(desk, "tw", text_of("tw", "heavy"))
    with pytest.raises(RulesError, match="too heavy"):
        await desk.approve("tw", number, "", BOB)
    lives = (await desk.document("tw")).lives
    assert (lives[1].state, lives[number].state) == (State.ACTIVE, State.SUBMITTED)
    assert world.active() == {"default": 1, "tw": 1}


async def test_a_version_becomes_active_when_its_date_comes(desk: RulesDesk, world: World) -> None:
    later = world.today + dt.timedelta(days=3)
    number = await submitted(desk, "tw", text_of("tw", "rule c 3", effective=later.isoformat()))
    assert (await desk.approve("tw", number, "", BOB)).state == State.APPROVED
    await until_idle(desk)
    assert world.active()["tw"] == 1
    world.today = later
    await until_idle(desk)
    assert world.active()["tw"] == number
    assert (await desk.document("tw")).lives[number].state == State.ACTIVE


async def test_dates_that_passed_while_nobody_looked_are_made_good_in_order(desk: RulesDesk, world: World) -> None:
    dates = [world.today + dt.timedelta(days=n) for n in (5, 2)]
    numbers = [await submitted(desk, "tw", text_of("tw", f"rule c {d.day}", effective=d.isoformat())) for d in dates]
    for number in numbers:
        await desk.approve("tw", number, "", BOB)
    await desk.close()
    world.today += dt.timedelta(days=9)
    again = world.desk()
    await again.start()
    await until_idle(again)
    assert world.active()["tw"] == numbers[0]
    lives = (await again.document("tw")).lives
    assert [lives[n].state for n in (1, *numbers)] == [State.RETIRED, State.ACTIVE, State.RETIRED]
    await again.close()


async def test_an_approved_version_can_be_withdrawn_before_its_date(desk: RulesDesk, world: World) -> None:
    later = world.today + dt.timedelta(days=3)
    number = await submitted(desk, "tw", text_of("tw", effective=later.isoformat()))
    await desk.approve("tw", number, "", BOB)
    await desk.withdraw("tw", number, "", BOB)
    world.today = later
    await until_idle(desk)
    assert world.active()["tw"] == 1


async def test_one_that_cannot_be_activated_on_its_date_stays_approved_and_says_why(
    desk: RulesDesk, world: World
) -> None:
    later = world.today + dt.timedelta(days=1)
    number = await submitted(desk, "tw", text_of("tw", "heavy", effective=later.isoformat()))
    await desk.approve("tw", number, "", BOB)
    world.today = later
    for _ in range(3):
        await until_idle(desk)
    life = (await desk.document("tw")).lives[number]
    assert life.state == State.APPROVED
    refusals = [step for step in life.steps if step.action == Action.REFUSE]
    assert [step.detail.problems for step in refusals if step.detail] == [("rules: too heavy",)]
    assert world.active()["tw"] == 1


async def test_revert_makes_a_new_version_of_the_old_text(desk: RulesDesk, world: World) -> None:
    await desk.approve("tw", await submitted(desk, "tw", NEW), "", BOB)
    life = await desk.revert("tw", 1, "back", ANNA)
    assert (life.version.version, life.state, life.steps[0].action) == (3, State.DRAFT, Action.REVERT)
    assert (await desk.version("tw", 3))[1] == SHIPPED[1].text
    await desk.test("tw", 3, "", ANNA)
    await desk.submit("tw", 3, "", ANNA)
    await desk.approve("tw", 3, "", BOB)
    assert world.active()["tw"] == 3
    with pytest.raises(SameTextError):
        await desk.revert("tw", 1, "", ANNA)


async def test_two_who_approve_at_the_same_instant_approve_once(desk: RulesDesk, world: World) -> None:
    number = await submitted(desk, "tw", NEW)
    answers = await asyncio.gather(*(desk.approve("tw", number, "", who) for who in (BOB, EVE)), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["Life", "WrongStateError"]
    audit = await desk.audit("tw", None, None, 100)
    assert [step.action for step in audit].count(Action.APPROVE) == 1
    assert world.published == 1


async def test_two_processes_that_approve_at_the_same_instant_approve_once(world: World) -> None:
    desks = [world.desk(), world.desk()]
    numbers = [await submitted(desks[0], "tw", NEW), await submitted(desks[0], "tw", text_of("tw", "rule c 9"))]
    answers = await asyncio.gather(
        *(desk.approve("tw", number, "", BOB) for desk, number in zip(desks, numbers, strict=True)),
        *(desk.approve("tw", number, "", EVE) for desk, number in zip(desks, numbers, strict=True)),
        return_exceptions=True,
    )
    allowed = (WrongStateError, RuleConflictError)
    assert all(isinstance(answer, allowed) for answer in answers if isinstance(answer, BaseException))
    lives = (await desks[0].document("tw")).lives
    assert [life.state for life in lives.values()].count(State.ACTIVE) == 1
    for desk in desks:
        await desk.start()
        assert {d.name: d.version for d in desk.book.documents}["tw"] == next(
            number for number, life in lives.items() if life.state == State.ACTIVE
        )
        await desk.close()


async def test_of_two_who_write_the_same_next_step_one_writes_nothing(world: World, desk: RulesDesk) -> None:
    await desk.draft("tw", NEW, "", ANNA)
    (newest,) = await desk.audit("tw", None, None, 1)
    store = world.store()
    before = len(store.audit())
    with pytest.raises(RuleConflictError):
        store.record([newest])
    assert len(store.audit()) == before
    store.close()


async def test_what_cannot_be_written_down_is_not_in_force(
    desk: RulesDesk, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await submitted(desk, "tw", NEW)

    def full(*_: object) -> None:
        raise RuleStoreError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(desk._store, "record", full)
        with pytest.raises(RuleStoreError):
            await desk.approve("tw", number, "", BOB)
    assert world.active()["tw"] == 1
    assert (await desk.approve("tw", number, "", BOB)).state == State.ACTIVE
    assert world.active()["tw"] == number


async def test_a_commit_that_arrived_although_it_seemed_lost_is_followed(
    desk: RulesDesk, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await submitted(desk, "tw", NEW)
    record = desk._store.record

    def lost(*given: object) -> None:
        record(*given)  # type: ignore[arg-type]
        raise RuleStoreError("the answer was lost")

    with monkeypatch.context() as patched:
        patched.setattr(desk._store, "record", lost)
        with pytest.raises(RuleStoreError):
            await desk.approve("tw", number, "", BOB)
    with pytest.raises(WrongStateError, match="is active"):
        await desk.approve("tw", number, "", BOB)
    assert world.active()["tw"] == number


async def test_a_shipped_text_that_the_store_does_not_know_is_a_draft(desk: RulesDesk, world: World) -> None:
    await desk.close()
    newer = (SHIPPED[0], Document("tw", 1, NEW), Document("jp", 1, text_of("jp", "rule j 1")))
    for _ in range(2):
        again = world.desk(shipped=newer)
        assert world.active() == {"default": 1, "tw": 1}
        documents = await again.documents()
        assert {name: d.newest for name, d in documents.items()} == {"default": 1, "tw": 2, "jp": 1}
        life = documents["tw"].lives[2]
        assert (life.state, life.author) == (State.DRAFT, "ims")
        await again.close()


async def test_the_database_itself_refuses_to_change_or_forget(desk: RulesDesk, world: World) -> None:
    engine = connect(world.url)
    for statement in (
        "UPDATE rule_versions SET title = 'x'",
        "DELETE FROM rule_versions",
        "UPDATE rule_audit SET who = 'x'",
        "DELETE FROM rule_audit",
    ):
        with pytest.raises(sa.exc.DBAPIError, match="append only"), engine.begin() as connection:
            connection.execute(sa.text(statement))
    engine.dispose()


async def test_the_audit_says_who_did_what_when_page_by_page(desk: RulesDesk) -> None:
    await submitted(desk, "tw", NEW)
    newest = await desk.audit(None, None, None, 2)
    assert [step.action for step in newest] == [Action.SUBMIT, Action.TEST]
    older = await desk.audit("tw", None, newest[-1].entry, 10)
    assert [(step.action, step.who) for step in older] == [(Action.DRAFT, "anna"), (Action.SHIP, "ims")]
    assert await desk.audit("tw", 2, None, 10) == [*newest, older[0]]
    times = [step.at_ns for step in reversed([*newest, *older])]
    assert times == sorted(times)


# export and import


async def test_the_same_bytes_come_out_that_went_in(desk: RulesDesk, world: World) -> None:
    stream = desk.export()
    assert stream == SHIPPED[0].text + "---\n" + SHIPPED[1].text
    assert await desk.import_stream(stream, "", ANNA) == []
    odd = text_of(
        "tw", "rule c 2", "# trailing blanks   ", "", "\t# tab", "# \x0b\x0c\x85\u2028 nothing ends a line but its end"
    )
    changed = SHIPPED[0].text + "---\n" + odd
    (life,) = await desk.import_stream(changed, "from a file", ANNA)
    assert (life.version.document, life.version.version, life.steps[0].action) == ("tw", 2, Action.IMPORT)
    await desk.test("tw", 2, "", ANNA)
    await desk.submit("tw", 2, "", ANNA)
    await desk.approve("tw", 2, "", BOB)
    assert desk.export().encode() == changed.encode()


async def test_documents_that_need_each_other_are_imported_together(desk: RulesDesk) -> None:
    stream = text_of("default", "rule a 2") + "---\n" + text_of("tw", "rule c 9") + "---\n" + text_of("kr", "rule k 1")
    lives = await desk.import_stream(stream, "", ANNA)
    assert [(life.version.document, life.version.version) for life in lives] == [("default", 2), ("tw", 2), ("kr", 1)]


@pytest.mark.parametrize(
    ("stream", "problems"),
    [
        (
            text_of("default", "bad") + "---\n" + text_of("tw", "rule c 1", "bad"),
            [("default", 4), ("tw", 10)],
        ),
        (text_of("tw", "rule c 2") + "---\n" + text_of("tw", "rule c 3"), [("tw", 6)]),
        (text_of("tw", "rule c 2") + "---\n" + "rule x 1\n", [("#2", 6)]),
        ("", [("#1", 0)]),
        (text_of("tw", "rule c 2") + "...\n", [("tw", 5)]),
        (text_of("export", "rule c 2"), [("export", 1)]),
    ],
)
async def test_an_import_with_any_problem_is_refused_whole_with_all_of_them(
    desk: RulesDesk, stream: str, problems: list[tuple[str, int]]
) -> None:
    with pytest.raises(RulesError) as raised:
        await desk.import_stream(stream, "", ANNA)
    found = [(problem.document, problem.line) for problem in raised.value.problems]
    assert set(problems) <= set(found)
    assert {name: d.newest for name, d in (await desk.documents()).items()} == {"default": 1, "tw": 1}


async def test_everything_is_there_after_a_kill(world: World) -> None:
    desk = world.desk()
    number = await submitted(desk, "tw", NEW)
    await desk.approve("tw", number, "", BOB)
    open_number = await submitted(desk, "default", text_of("default", "rule a 4"))
    before = await desk.documents()
    # no orderly end: the store of the one that was killed stays as it is
    again = world.desk()
    assert await again.documents() == before
    assert world.active() == {"default": 1, "tw": number}
    assert (await again.approve("default", open_number, "", BOB)).state == State.ACTIVE
    await again.close()
    await desk.close()


def test_a_database_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"no database " * 100)
    with pytest.raises(RuleStoreError, match="cannot be had"):
        RuleStore(f"sqlite:///{path}")


async def test_a_store_that_the_program_cannot_use_stops_the_start(desk: RulesDesk, world: World) -> None:
    number = await submitted(desk, "tw", NEW)
    await desk.approve("tw", number, "", BOB)
    other = world.desk()
    other.book = read(SHIPPED)
    other._doors = replace(other._doors, check=_refuse)
    with pytest.raises(RulesError, match="role"):
        await other.start()
    await other.close()


def _refuse(documents: Sequence[Document]) -> RuleBook:
    raise RulesError((Problem(documents[0].name, 0, 0, "a role is missing"),))


async def test_a_person_without_roles_reads_and_nothing_else(desk: RulesDesk) -> None:
    nobody = Identity("nobody")
    with pytest.raises(NotAllowedError):
        await desk.draft("tw", NEW, "", nobody)


async def test_rules_of_locates_are_tested_on_the_requests_of_the_past(desk: RulesDesk, world: World) -> None:
    await desk.draft("tw", SHIPPED[1].text + "approve own 5\n", "", ANNA)
    tested, impact = await desk.test("tw", 2, "", ANNA)
    assert (world.asked is not None, impact["securities_changed"]) == (
        True,
        0,
    )  # numbers stay: nobody had to read positions
    assert world.asked is not None
    assert {document.name: document.version for document in world.asked.documents} == {"default": 1, "tw": 2}
    assert world.asked.until_ns - world.asked.since_ns == TESTED_NS
    assert (impact["locates"]["differ"], tested.steps[-1].detail.impact["locates"]["differ"]) == (0, 0)  # type: ignore[union-attr]
    world.asked = None
    await desk.draft("default", SHIPPED[0].text + "rule z 1\n", "", ANNA)
    await desk.test("default", 2, "", ANNA)
    assert world.asked is None


async def test_a_dry_run_is_of_the_version_asked_for_and_the_active_ones_beside_it(
    desk: RulesDesk, world: World
) -> None:
    number = await submitted(desk, "tw", SHIPPED[1].text + "approve own 5\n")
    await desk.approve("tw", number, "", BOB)
    await desk.draft("default", SHIPPED[0].text + "rule z 1\n", "", ANNA)
    await desk.dry_run("tw", 1, 5, 9, 7, "text/csv")
    assert world.asked is not None
    assert {document.name: document.version for document in world.asked.documents} == {"default": 1, "tw": 1}
    assert (world.asked.since_ns, world.asked.until_ns, world.asked.lines, world.asked.form) == (5, 9, 7, "text/csv")
    with pytest.raises(NoSuchVersionError):
        await desk.dry_run("tw", 9, 5, 9, 7, "")


async def test_a_rule_of_locates_says_in_which_version_it_last_changed(desk: RulesDesk, world: World) -> None:
    text = SHIPPED[1].text + "approve own 5\napprove other 4\n"
    await desk.approve("tw", await submitted(desk, "tw", text), "", BOB)
    await desk.approve("tw", await submitted(desk, "tw", text.replace("other 4", "other 3")), "", BOB)
    assert world.held is not None
    assert {rule.id: rule.version for rule in world.held.decisions} == {"own": 2, "other": 3}


async def test_the_first_document_of_rules_of_locates_is_in_force_at_once(desk: RulesDesk, world: World) -> None:
    await desk.close()
    first = Document("locates", 1, text_of("locates", "approve all 0"))
    again = world.desk(shipped=(*SHIPPED, first))
    assert world.active() == {"default": 1, "tw": 1, "locates": 1}
    await again.close()
    changed = Document("locates", 1, text_of("locates", "approve all 1"))
    later = world.desk(shipped=(*SHIPPED, changed))
    documents = await later.documents()
    assert (world.active()["locates"], documents["locates"].lives[2].state) == (1, State.DRAFT)
    await later.close()
