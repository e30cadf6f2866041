"""From the store to books of rules: what the program ships, what is active, and in which version each rule last changed."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias, TypeVar, cast

import structlog
from msgspec.structs import replace

from app.identity import SHIPPER
from app.rules_life import Action, Detail, DocumentLife, Version, first_step
from app.rules_store import Fresh, RuleStore
from engine.locate_rules import DecisionRule, DecrementRule
from engine.rule_model import Document, Rule, RuleBook

AnyRule: TypeAlias = Rule | DecisionRule | DecrementRule
R = TypeVar("R", bound=AnyRule)
log = structlog.get_logger()
Read = Callable[[Sequence[Document]], RuleBook]


def opened(store: RuleStore, shipped: Sequence[Document], read: Read, now_ns: int) -> tuple[Document, ...]:
    """The active documents. An empty store begins with what the program ships; what it ships later is a draft.

    Rules of locates were no document once, and in force all the same: the first document of them is active at once.

    Raises `RulesError` where the shipped documents are needed and cannot be read, and `RuleStoreError`.
    """
    documents = store.documents()
    unknown = [document for document in shipped if not store.knows(document.name, document.text)]
    if unknown:
        _keep(store, documents, unknown, read(shipped), now_ns)
        documents = store.documents()
    return documents_of(store, documents)


def _keep(
    store: RuleStore, documents: dict[str, DocumentLife], unknown: Sequence[Document], book: RuleBook, now_ns: int
) -> None:
    fresh, steps = [], []
    for document in unknown:
        known = documents.get(document.name)
        version = heading_of(book, dataclasses.replace(document, version=known.newest + 1 if known else 1))
        fresh.append(Fresh(version, document.text))
        decides = any(rule.document == document.name for rule in (*book.decisions, *book.decrements))
        action = Action.SHIP if not documents or (known is None and decides) else Action.DRAFT
        step = first_step(version, action, SHIPPER, known.serial + 1 if known else 1, now_ns, "came with the program")
        if action == Action.SHIP:
            versions = {rule.id: version.version for rule in _rules(book, document.name)}
            step = replace(step, detail=Detail(rule_versions=versions))
        else:
            log.warning("the program ships other rules than are active: a draft", document=version.document)
        steps.append(step)
    store.record(steps, fresh)


def documents_of(store: RuleStore, documents: dict[str, DocumentLife]) -> tuple[Document, ...]:
    """The active versions with their texts, in the order in which the documents came to be."""
    lives = [document.active for document in documents.values() if document.active]
    named = [(life.version.document, life.version.version, life.rule_versions) for life in lives]
    return tuple(Document(name, number, store.text(name, number) or "", versions) for name, number, versions in named)


def same_documents(documents: dict[str, DocumentLife], book: RuleBook) -> bool:
    """Whether a book is of the active versions."""
    active = {document.name: document.active.version.version for document in documents.values() if document.active}
    return active == {document.name: document.version for document in book.documents}


def heading_of(book: RuleBook, document: Document) -> Version:
    """What a document that is in a book says of itself."""
    heading = next(heading for heading in book.headings if heading.document == document.name)
    return Version(document.name, document.version, heading.title, heading.effective_from, heading.markets)


def rule_versions(before: RuleBook, after: RuleBook, document: str, version: int) -> dict[str, int]:
    """In which version each rule of a document last changed, if `version` follows what is in `before`."""
    known = {rule.id: rule for rule in _rules(before, document)}

    def changed_in(rule: AnyRule) -> int:
        old = known.get(rule.id)
        return old.version if old and _of_version(rule, old.version) == old else version

    return {rule.id: changed_in(rule) for rule in _rules(after, document)}


def with_rule_versions(book: RuleBook, document: str, versions: dict[str, int]) -> RuleBook:
    """The book with the versions of a document's rules."""

    def versioned(rules: Iterable[R]) -> tuple[R, ...]:
        return tuple(_of_version(rule, versions[rule.id]) if rule.document == document else rule for rule in rules)

    return dataclasses.replace(
        book,
        documents=tuple(
            dataclasses.replace(one, rule_versions=versions) if one.name == document else one for one in book.documents
        ),
        rules=versioned(book.rules),
        decisions=versioned(book.decisions),
        decrements=versioned(book.decrements),
    )


def _of_version(rule: R, version: int) -> R:
    """The same rule, as if it had last changed in that version."""
    made = dataclasses.replace(rule, version=version) if isinstance(rule, Rule) else replace(rule, version=version)
    return cast("R", made)


def _rules(book: RuleBook, document: str) -> list[AnyRule]:
    return [rule for rule in book.every_rule if rule.document == document]
