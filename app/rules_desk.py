"""The desk of rules: what becomes of versions, and which of them the machine holds to.

One thing at a time, on the engine's loop; the database and the reading of texts are another thread's. The machine is asked
first: only what it has taken is written down as active, and what cannot be written down is taken back.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import msgspec
import structlog
from msgspec.structs import replace

from app.analyst.dry_run import DryRunRequest
from app.identity import SHIPPER, Identity
from app.rules_documents import documents_of, heading_of, rule_versions, same_documents, with_rule_versions
from app.rules_doors import Doors
from app.rules_life import (
    Action,
    Detail,
    DocumentLife,
    Life,
    NoSuchVersionError,
    State,
    Step,
    Version,
    check_role,
    check_step,
    document_in,
    first_step,
    further_step,
    life_in,
    newest_in,
)
from app.rules_store import Fresh, RuleConflictError, RuleStore, RuleStoreError
from app.rules_stream import RESERVED, Part, join, moved, part_problems, split, text_problems, whole_lines
from engine.rule_model import Document, Problem, RuleBook, RulesError

T = TypeVar("T")
log = structlog.get_logger()
AGAIN_NS: Final = 10 * 10**9
"""How long an activation waits that could not be written down."""
TESTED_NS: Final = 7 * 86_400 * 10**9
"""How far back the requests were made by which rules of locates are tested."""
TESTED_LINES: Final = 1_000
NO_IMPACT: Final[Mapping[str, Any]] = {
    "securities_changed": 0,
    "securities": (),
    "totals": {},
    "under_water": (),
    "limits": (),
}
"""Of rules that make the same numbers: only what is decided on locates changes, or nothing."""
LOCATES: Final = ("since", "until", "complete", "requests", "unknown", "differ", "total", "reviews")
_SUMMARY: Final[tuple[str, ...]] = ("took_ms", "securities_changed", "rows_read", "totals", "classes", "as_of_ns")


class SameTextError(ValueError):
    """The text is the active one: there is nothing to decide."""


class RulesDesk:
    """Belongs to one asyncio loop. `book`: what the machine holds to now.

    Its methods raise `RuleStoreError`, `RuleConflictError`, `NoSuchVersionError`; those that change something also
    `NotAllowedError`, `WrongStateError`, and `RulesError` with every problem of a text.
    """

    def __init__(self, store: RuleStore, book: RuleBook, doors: Doors) -> None:
        self.book = book
        self._store = store
        self._doors = doors
        self._turn_taken = asyncio.Lock()
        self._worker = ThreadPoolExecutor(1, "rules")
        self._waiting: tuple[Version, ...] = ()
        self._refused: set[tuple[str, int]] = set()
        self._not_before_ns = 0
        self._activating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Hold the machine to what the store says is active, and learn what waits for its day. Raises `RulesError`."""
        async with self._turn_taken:
            documents = await self._run(self._store.documents)
            self._learn(documents)
            if not same_documents(documents, self.book):
                await self._follow(documents)

    def tick(self) -> None:
        """Begin to activate what is due."""
        idle = self._activating is None or self._activating.done()
        if idle and self._doors.clock() >= self._not_before_ns and any(map(self._due, self._waiting)):
            self._activating = asyncio.create_task(self._activate_due())

    async def close(self) -> None:
        """Returns when nothing is going on any more."""
        if self._activating is not None:
            await asyncio.gather(self._activating, return_exceptions=True)
        async with self._turn_taken:
            self._worker.shutdown()
            self._store.close()

    # questions

    async def documents(self) -> dict[str, DocumentLife]:
        """All documents with all their versions, without texts."""
        return await self._run(self._store.documents)

    async def document(self, name: str) -> DocumentLife:
        """All versions of a document."""
        return document_in(await self.documents(), name)

    async def version(self, document: str, number: int) -> tuple[Life, str]:
        """A version's life and its text."""
        life = life_in(await self.documents(), document, number)
        return life, await self._text(document, number)

    async def text(self, document: str, number: int) -> str:
        """A version's text; that of number 0 is empty."""
        return await self._text(document, number) if number else ""

    async def audit(self, document: str | None, version: int | None, before: int | None, limit: int) -> list[Step]:
        """Steps, newest first; see `RuleStore.audit`."""
        return await self._run(lambda: self._store.audit(document, version, before, limit))

    def export(self) -> str:
        """All active documents as one YAML stream."""
        return join(self.book.documents)

    # steps

    async def draft(self, document: str, text: str, comment: str, who: Identity) -> Life:
        """A new version with this text. Raises `SameTextError`, too."""
        check_role(Action.DRAFT, who)
        async with self._turn() as documents:
            return await self._draft(documents, document, text, comment, who, Action.DRAFT)

    async def revert(self, document: str, to: int, comment: str, who: Identity) -> Life:
        """A new version with the text of an old one. Raises `SameTextError`, too."""
        check_role(Action.REVERT, who)
        async with self._turn() as documents:
            life_in(documents, document, to)
            text = await self._text(document, to)
            return await self._draft(documents, document, text, comment, who, Action.REVERT, Detail(reverted_to=to))

    async def import_stream(self, stream: str, comment: str, who: Identity) -> list[Life]:
        """Drafts of whatever differs from the active documents: all of them, or none where anything is wrong."""
        check_role(Action.IMPORT, who)
        parts = split(stream)
        async with self._turn() as documents:
            active = {document.name: document.text for document in self.book.documents}
            differing = [part for part in parts if active.get(part.name) != part.text]
            drafts = [Document(part.name, newest_in(documents, part.name) + 1, part.text) for part in differing]
            book = await self._checked_stream(parts, drafts)
            fresh = [Fresh(heading_of(book, draft), draft.text) for draft in drafts]
            steps = [self._first(documents, one.version, Action.IMPORT, who.user, comment) for one in fresh]
            if steps:
                await self._record(steps, fresh)
            return [Life(one.version, (step,)) for one, step in zip(fresh, steps, strict=True)]

    async def test(self, document: str, number: int, comment: str, who: Identity) -> tuple[Life, dict[str, Any]]:
        """What a version would change now."""
        life = life_in(await self.documents(), document, number)
        check_step(life, Action.TEST, who)
        book = await self._candidate([Document(document, number, await self._text(document, number))])
        impact = dict(NO_IMPACT) if _same_numbers(book, self.book) else await self._doors.impact(book.documents)
        summary: dict[str, Any] = {name: impact[name] for name in _SUMMARY if name in impact}
        summary |= {name: len(impact.get(name, ())) for name in ("under_water", "limits")}
        if book.locates != self.book.locates:
            now_ns = self._doors.clock()
            asked = DryRunRequest(list(book.documents), now_ns - TESTED_NS, now_ns, TESTED_LINES)
            impact["locates"] = msgspec.json.decode(await self._doors.dry_run(asked))
            summary["locates"] = {name: impact["locates"][name] for name in LOCATES}
        async with self._turn() as documents:
            detail = Detail(impact=summary)
            return await self._step(documents, document, number, Action.TEST, who, comment, detail), impact

    async def dry_run(self, document: str, number: int, since_ns: int, until_ns: int, lines: int, form: str) -> bytes:
        """What a version would have decided on requests from `since_ns` to before `until_ns`: see `Doors.dry_run`."""
        life_in(await self.documents(), document, number)
        book = await self._candidate([Document(document, number, await self._text(document, number))])
        return await self._doors.dry_run(DryRunRequest(list(book.documents), since_ns, until_ns, lines, form))

    async def submit(self, document: str, number: int, comment: str, who: Identity) -> Life:
        """Ask another person to check a tested version."""
        async with self._turn() as documents:
            return await self._step(documents, document, number, Action.SUBMIT, who, comment)

    async def reject(self, document: str, number: int, comment: str, who: Identity) -> Life:
        """Refuse a submitted version for good."""
        async with self._turn() as documents:
            return await self._step(documents, document, number, Action.REJECT, who, comment)

    async def withdraw(self, document: str, number: int, comment: str, who: Identity) -> Life:
        """Take back a version that is not active yet."""
        async with self._turn() as documents:
            return await self._step(documents, document, number, Action.WITHDRAW, who, comment)

    async def approve(self, document: str, number: int, comment: str, who: Identity) -> Life:
        """Let a submitted version become active on its date: at once, where that has come."""
        async with self._turn() as documents:
            life = life_in(documents, document, number)
            check_step(life, Action.APPROVE, who)
            serial = documents[document].serial
            step = further_step(life, Action.APPROVE, who.user, serial + 1, self._doors.clock(), comment)
            book = await self._candidate([Document(document, number, await self._text(document, number))])
            approved = replace(life, steps=(*life.steps, step))
            if self._due(life.version):
                return await self._activate(documents[document], approved, book, [step])
            await self._record([step])
            self._waiting += (life.version,)
            return approved

    # parts

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[dict[str, DocumentLife]]:
        """Nobody else changes anything in this process meanwhile; begins with what the store says."""
        async with self._turn_taken:
            documents = await self._run(self._store.documents)
            self._learn(documents)
            if not same_documents(documents, self.book):
                try:
                    await self._follow(documents)
                except RulesError as error:
                    problems = [str(problem) for problem in error.problems]
                    log.warning("the store's active rules cannot be used", problems=problems)
            yield documents

    async def _follow(self, documents: dict[str, DocumentLife]) -> None:
        """Other documents are active than the machine holds to: it has just begun, or another process was at work."""
        self._hold_to(await self._run(lambda: self._doors.check(documents_of(self._store, documents))))
        log.info("rules of the store are in force", versions=_versions(self.book))

    def _learn(self, documents: dict[str, DocumentLife]) -> None:
        lives = [life for document in documents.values() for life in document.lives.values()]
        self._waiting = tuple(life.version for life in lives if life.state == State.APPROVED)

    def _due(self, version: Version) -> bool:
        if (version.document, version.version) in self._refused:
            return False
        return version.effective_from is None or version.effective_from <= self._doors.today(version.markets)

    async def _draft(
        self,
        documents: dict[str, DocumentLife],
        name: str,
        given: str,
        comment: str,
        who: Identity,
        action: Action,
        detail: Detail | None = None,
    ) -> Life:
        text = whole_lines(given)
        if any(document.name == name and document.text == text for document in self.book.documents):
            raise SameTextError(f"this is the text of {name} that is active")
        if name in RESERVED:
            raise RulesError((Problem(name, 0, 0, "no document can have this name"),))
        draft = Document(name, newest_in(documents, name) + 1, text)
        if problems := text_problems(name, text):
            raise RulesError(tuple(problems))
        book = await self._candidate([draft])
        fresh = Fresh(heading_of(book, draft), text)
        step = self._first(documents, fresh.version, action, who.user, comment)
        step = replace(step, detail=detail)
        await self._record([step], [fresh])
        return Life(fresh.version, (step,))

    def _first(
        self, documents: dict[str, DocumentLife], version: Version, action: Action, who: str, comment: str
    ) -> Step:
        known = documents.get(version.document)
        return first_step(version, action, who, (known.serial if known else 0) + 1, self._doors.clock(), comment)

    async def _step(
        self,
        documents: dict[str, DocumentLife],
        document: str,
        number: int,
        action: Action,
        who: Identity,
        comment: str,
        detail: Detail | None = None,
    ) -> Life:
        life = life_in(documents, document, number)
        check_step(life, action, who)
        serial = documents[document].serial + 1
        step = further_step(life, action, who.user, serial, self._doors.clock(), comment)
        step = replace(step, detail=detail)
        await self._record([step])
        return replace(life, steps=(*life.steps, step))

    async def _checked_stream(self, parts: Sequence[Part], drafts: Sequence[Document]) -> RuleBook:
        """The book with these drafts in it. Raises `RulesError`: lines are the stream's."""
        problems = part_problems(parts)
        lines = {part.name: part.line for part in parts}
        try:
            book = await self._candidate(list({draft.name: draft for draft in drafts}.values()))
        except RulesError as error:
            problems += [moved(problem, lines.get(problem.document, 0)) for problem in error.problems]
            raise RulesError(tuple(problems)) from error
        if problems:
            raise RulesError(tuple(problems))
        return book

    async def _candidate(self, drafts: Sequence[Document]) -> RuleBook:
        """The active documents with these in their place, checked."""
        instead = {draft.name: draft for draft in drafts}
        before = self.book
        known = {document.name for document in before.documents}
        documents = [instead.get(document.name, document) for document in before.documents]
        documents += [draft for draft in drafts if draft.name not in known]
        book = await self._run(lambda: self._doors.check(documents))
        for draft in drafts:
            book = with_rule_versions(book, draft.name, rule_versions(before, book, draft.name, draft.version))
        return book

    async def _activate(self, document: DocumentLife, life: Life, book: RuleBook, first: Sequence[Step] = ()) -> Life:
        """Put an approved version in force, and the one before it out of force."""
        serial, now_ns = document.serial + len(first), self._doors.clock()
        steps = list(first)
        if document.active:
            serial += 1
            steps.append(further_step(document.active, Action.RETIRE, SHIPPER, serial, now_ns))
        versions = dict(next(one.rule_versions for one in book.documents if one.name == document.name))
        activation = further_step(life, Action.ACTIVATE, SHIPPER, serial + 1, now_ns)
        steps.append(replace(activation, detail=Detail(rule_versions=versions)))
        before = self.book
        self._hold_to(book)
        try:
            await self._record(steps)
        except BaseException:
            self._hold_to(before)
            raise
        log.info("rules are in force", document=document.name, version=life.version.version)
        return replace(life, steps=(*life.steps, steps[-1]))

    def _hold_to(self, book: RuleBook) -> None:
        self._doors.publish(book)
        self.book = book
        self._refused.clear()

    async def _activate_due(self) -> None:
        try:
            while True:
                async with self._turn() as documents:
                    due = sorted(filter(self._due, self._waiting), key=_when)
                    if not due:
                        return
                    await self._activate_or_refuse(documents, due[0])
        except (RuleStoreError, RuleConflictError) as error:
            self._not_before_ns = self._doors.clock() + AGAIN_NS
            log.warning("rules that are due wait", reason=str(error))

    async def _activate_or_refuse(self, documents: dict[str, DocumentLife], version: Version) -> None:
        """What the machine cannot take stays approved, and is not tried again before other rules are in force."""
        name, number = version.document, version.version
        document = documents[name]
        life = document.lives[number]
        try:
            book = await self._candidate([Document(name, number, await self._text(name, number))])
            await self._activate(document, life, book)
        except RulesError as error:
            problems = tuple(map(str, error.problems))
            log.warning("rules that are due cannot be used", document=name, version=number, problems=problems)
            step = further_step(life, Action.REFUSE, SHIPPER, document.serial + 1, self._doors.clock())
            await self._record([replace(step, detail=Detail(problems=problems))])
            self._refused.add((name, number))

    async def _record(self, steps: Sequence[Step], fresh: Sequence[Fresh] = ()) -> None:
        await self._run(lambda: self._store.record(steps, fresh))
        moved = {(step.document, step.version) for step in steps if step.state != State.APPROVED}
        self._waiting = tuple(one for one in self._waiting if (one.document, one.version) not in moved)

    async def _text(self, document: str, number: int) -> str:
        text = await self._run(lambda: self._store.text(document, number))
        if text is None:
            raise NoSuchVersionError(f"no version {number} of {document}")
        return text

    async def _run(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, job)


def _same_numbers(one: RuleBook, other: RuleBook) -> bool:
    return (one.terms, one.calculations, one.rules) == (other.terms, other.calculations, other.rules)


def _versions(book: RuleBook) -> dict[str, int]:
    return {document.name: document.version for document in book.documents}


def _when(version: Version) -> tuple[dt.date, int]:
    return version.effective_from or dt.date.min, version.version
