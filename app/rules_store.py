"""Versions of rules and everything that was done to them, in the database of the locate journal.

Rows are added only. Who adds a step says which number it has in its document; if another got there first, nothing of his
is written: `RuleConflictError`, and he may look again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import exc

from app.database import Chain, connect, prepare
from app.rules_life import Action, Detail, DocumentLife, Life, State, Step, Version
from app.rules_schema import RULE_AUDIT, RULE_VERSIONS

_ROWS: Final = sa.select(sa.func.count(), sa.func.max(RULE_AUDIT.c.entry)).select_from(RULE_AUDIT)
_HEADS: Final = [column for column in RULE_VERSIONS.c if column.name != "text"]


class RuleStoreError(RuntimeError):
    """The database cannot be had: what was to be written has not happened."""


class RuleConflictError(RuntimeError):
    """Somebody else did something to the document at the same time; nothing was written."""


class Fresh(Struct, frozen=True):
    """A version to be written, with its text."""

    version: Version
    text: str


class RuleStore:
    """Opened by its constructor; any thread may call it. Every method raises `RuleStoreError`."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url)
        self._seen: tuple[Any, dict[str, DocumentLife]] = (None, {})
        with self._asking():
            prepare(self._engine, Chain.JOURNAL)

    def documents(self) -> dict[str, DocumentLife]:
        """Everything but the texts, by the document's name, in the order in which they came to be. Not to be changed."""
        with self._asking(), self._engine.connect() as connection:
            # rows are only ever added: as long as there are no more, what was read of them is still true
            rows = tuple(connection.execute(_ROWS).one())
            if rows == self._seen[0]:
                return self._seen[1]
            steps = [_step(row) for row in connection.execute(sa.select(RULE_AUDIT).order_by(RULE_AUDIT.c.entry))]
            heads = connection.execute(sa.select(*_HEADS)).all()
        versions = {(row.document, row.version): _version(row) for row in heads}
        taken: dict[str, dict[int, list[Step]]] = {}
        for step in steps:
            taken.setdefault(step.document, {}).setdefault(step.version, []).append(step)
        documents = {name: _document(name, lives, versions) for name, lives in taken.items()}
        # what was committed in between is in `steps` already, and is read once more
        self._seen = rows, documents
        return documents

    def text(self, document: str, version: int) -> str | None:
        """As its author wrote it; None if there is no such version."""
        wanted = RULE_VERSIONS.c.document == document, RULE_VERSIONS.c.version == version
        with self._asking(), self._engine.connect() as connection:
            found = connection.execute(sa.select(RULE_VERSIONS.c.text).where(*wanted)).scalar_one_or_none()
        return None if found is None else bytes(found).decode()

    def knows(self, document: str, text: str) -> bool:
        """Whether any version of the document has this very text."""
        wanted = RULE_VERSIONS.c.document == document, RULE_VERSIONS.c.text == text.encode()
        with self._asking(), self._engine.connect() as connection:
            return connection.execute(sa.select(RULE_VERSIONS.c.version).where(*wanted).limit(1)).first() is not None

    def audit(
        self, document: str | None = None, version: int | None = None, before: int | None = None, limit: int = 100
    ) -> list[Step]:
        """Steps, newest first; `before`: entries with a lower number only."""
        column = RULE_AUDIT.c
        wanted = [column.document == document] if document is not None else []
        wanted += [column.version == version] if version is not None else []
        wanted += [column.entry < before] if before is not None else []
        chosen = sa.select(RULE_AUDIT).where(*wanted).order_by(column.entry.desc()).limit(limit)
        with self._asking(), self._engine.connect() as connection:
            return [_step(row) for row in connection.execute(chosen)]

    def record(self, steps: Sequence[Step], fresh: Sequence[Fresh] = ()) -> None:
        """Write all of it or nothing. Raises `RuleConflictError`."""
        with self._asking(), self._engine.begin() as connection:
            if fresh:
                connection.execute(sa.insert(RULE_VERSIONS), [_version_row(one) for one in fresh])
            connection.execute(sa.insert(RULE_AUDIT), [_step_row(step) for step in steps])

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except exc.IntegrityError as error:
            raise RuleConflictError("somebody else did something to these rules at the same time") from error
        except exc.SQLAlchemyError as error:
            raise RuleStoreError(f"the store of rules cannot be had: {error}") from error


def _document(name: str, lives: dict[int, list[Step]], versions: dict[tuple[str, int], Version]) -> DocumentLife:
    lived = {number: Life(versions[name, number], tuple(steps)) for number, steps in sorted(lives.items())}
    return DocumentLife(name, lived, max(life.steps[-1].serial for life in lived.values()))


def _version(row: Any) -> Version:
    return Version(row.document, row.version, row.title, row.effective_from, tuple(row.markets.split()))


def _version_row(fresh: Fresh) -> dict[str, Any]:
    version = fresh.version
    return {
        "document": version.document,
        "version": version.version,
        "title": version.title,
        "effective_from": version.effective_from,
        "markets": " ".join(version.markets),
        "text": fresh.text.encode(),
    }


def _step(row: Any) -> Step:
    return Step(
        document=row.document,
        version=row.version,
        serial=row.serial,
        at_ns=row.at_ns,
        who=row.who,
        action=Action(row.action),
        state=State(row.state),
        comment=row.comment,
        detail=None if row.detail is None else msgspec.json.decode(row.detail, type=Detail),
        entry=row.entry,
    )


def _step_row(step: Step) -> dict[str, Any]:
    return {
        "document": step.document,
        "serial": step.serial,
        "version": step.version,
        "at_ns": step.at_ns,
        "who": step.who,
        "action": step.action.value,
        "state": step.state.value,
        "comment": step.comment,
        "detail": None if step.detail is None else msgspec.json.encode(step.detail).decode(),
    }
