"""A desk of rules over a real store and a machine that only remembers: documents of a few lines, a clock set by hand.

A text is lines: `document: NAME`, `effective_from: DATE`, `rule ID WEIGHT`, `approve ID PRIORITY` (of locates), and `bad` or
`heavy` for one that cannot be read or cannot be run.
"""

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from app.analyst.dry_run import DryRunRequest
from app.identity import Identity, Role
from app.rules_desk import LOCATES, RulesDesk
from app.rules_documents import opened
from app.rules_doors import Doors
from app.rules_store import RuleStore
from engine.locate_rules import Action, DecisionRule
from engine.rule_model import Document, Heading, Problem, Rule, RuleBook, RulesError

TODAY = dt.date(2026, 11, 22)
ANNA = Identity("anna", frozenset({Role.TRADER}))
OTTO = Identity("otto", frozenset({Role.OPS}))
BOB = Identity("bob", frozenset({Role.ADMIN}))
EVE = Identity("eve", frozenset(Role))
CARL = Identity("carl", frozenset({Role.COMPLIANCE}))
PEOPLE = (ANNA, OTTO, BOB, EVE, CARL)


def text_of(name: str, *lines: str, effective: str = "2020-01-01") -> str:
    """A document with a comment that must not be lost."""
    return f"# Größe\ndocument: {name}\neffective_from: {effective}\n" + "".join(f"{line}\n" for line in lines)


SHIPPED = (
    Document("default", 1, text_of("default", "rule a 1", "rule b 1")),
    Document("tw", 1, text_of("tw", "rule c 1")),
)


def read(documents: Sequence[Document]) -> RuleBook:
    """Raises `RulesError` for each line `bad`."""
    problems, rules, headings, decisions = [], [], [], []
    for document in documents:
        found = dict(re.findall(r"(?m)^(\w+): (.+)$", document.text))
        if found.get("document") != document.name:
            problems.append(Problem(document.name, 2, 11, "is named otherwise"))
        effective = dt.date.fromisoformat(found["effective_from"]) if "effective_from" in found else None
        headings.append(Heading(document.name, document.name.upper(), (), effective))
        for number, line in enumerate(document.text.splitlines(), start=1):
            if line == "bad":
                problems.append(Problem(document.name, number, 1, "is bad"))
            if line.startswith("rule "):
                _, name, weight = line.split()
                version = document.rule_versions.get(name, document.version)
                rules.append(Rule(name, "x", name, int(weight), document.name, version))
            if line.startswith("approve "):
                _, name, priority = line.split()
                version = document.rule_versions.get(name, document.version)
                rule = DecisionRule(id=name, action=Action.APPROVE, version=version, priority=int(priority))
                decisions.append(replace(rule, document=document.name))
    if problems:
        raise RulesError(tuple(problems))
    return RuleBook(tuple(documents), (), (), tuple(rules), tuple(headings), tuple(decisions))


class World:
    """What the desk asks of others, and what became of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.today = TODAY
        self.now_ns = 1_790_000_000 * 10**9
        self.held: RuleBook | None = None
        self.published = 0
        self.asked: DryRunRequest | None = None
        self.impact: dict[str, Any] = {"securities_changed": 3, "totals": {}, "under_water": [], "securities": [1]}

    def store(self) -> RuleStore:
        return RuleStore(self.url)

    def desk(self, store: RuleStore | None = None, shipped: Sequence[Document] = SHIPPED) -> RulesDesk:
        """A desk as the engine makes one at its start."""
        store = store or self.store()
        book = read(opened(store, shipped, read, self.now_ns))
        self.held = book
        doors = Doors(read, self.publish, lambda _: self.today, self.ask, self.dry_run, self.clock)
        return RulesDesk(store, book, doors)

    def publish(self, book: RuleBook) -> None:
        if any("heavy\n" in document.text for document in book.documents):
            raise RulesError((Problem("rules", 0, 0, "too heavy"),))
        self.held = book
        self.published += 1

    async def ask(self, _documents: Sequence[Document]) -> dict[str, Any]:
        return dict(self.impact)

    async def dry_run(self, asked: DryRunRequest) -> bytes:
        self.asked = asked
        return msgspec.json.encode(dict.fromkeys(LOCATES, 0))

    def clock(self) -> int:
        self.now_ns += 1
        return self.now_ns

    def active(self) -> dict[str, int]:
        """What the machine holds to."""
        assert self.held is not None
        return {document.name: document.version for document in self.held.documents}


async def until_idle(desk: RulesDesk) -> None:
    """Returns once what a tick began is done."""
    desk.tick()
    if desk._activating is not None:
        await desk._activating


async def submitted(desk: RulesDesk, document: str, text: str, who: Identity = ANNA) -> int:
    """A version on its way; its number."""
    number = (await desk.draft(document, text, "", who)).version.version
    await desk.test(document, number, "", who)
    await desk.submit(document, number, "", who)
    return number
