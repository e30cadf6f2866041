"""Breaks in their database: as they are, and every step that led there."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import exc

from app.breaks.life import Action, Change, Life, State, Step
from app.breaks.schema import ADJUSTMENTS, BREAK_STEPS, BREAKS, GROUPS, MATCHES
from app.breaks.several import Adjustment, AdjustState, Group, Match, MatchState
from app.database import Chain, connect, prepare
from app.settings import Settings

S = TypeVar("S", Group, Match, Adjustment)
FILE: Final = "breaks.db"
_LIFE: Final = msgspec.json.Decoder(Life)
_JSON: Final = msgspec.json.Encoder()
_TABLES: Final[dict[type[Struct], sa.Table]] = {Group: GROUPS, Match: MATCHES, Adjustment: ADJUSTMENTS}
_PORTION: Final = 400
"""Parameters of one statement: SQLite has a limit."""


def url_of(settings: Settings) -> str:
    """Where breaks are kept: with SQLite in a file of their own, so that no decision waits for them."""
    return settings.database or f"sqlite:///{settings.folder / FILE}"


class BreakStoreError(RuntimeError):
    """The database cannot be had: what was to be written has not happened."""


class BreakStore:
    """Opened by its constructor; any thread may call it. Every method raises `BreakStoreError`."""

    def __init__(self, url: str) -> None:
        self._engine = connect(url)
        with self._asking():
            prepare(self._engine, Chain.BREAKS)

    def load(self) -> list[Life]:
        """All that are not resolved, and those that are resolved by a match."""
        column = BREAKS.c
        live = sa.select(MATCHES.c.document).where(MATCHES.c.state == MatchState.LIVE)
        with self._asking(), self._engine.connect() as connection:
            rows = connection.execute(sa.select(column.document).where(column.state != State.RESOLVED)).scalars()
            found = [_LIFE.decode(row) for row in rows]
            matched = [msgspec.json.decode(row, type=Match) for row in connection.execute(live).scalars()]
        return found + self.numbered([number for one in matched for number in one.breaks])

    def last(self) -> int:
        """The highest number of a break; 0 for none."""
        with self._asking(), self._engine.connect() as connection:
            return int(connection.scalar(sa.select(sa.func.max(BREAKS.c.number))) or 0)

    def numbered(self, numbers: Collection[int]) -> list[Life]:
        """Those of these numbers that there are."""
        return self._chosen(BREAKS.c.number, sorted(set(numbers)))

    def keyed(self, keys: Collection[str]) -> list[Life]:
        """Those about these things that there are."""
        return self._chosen(BREAKS.c.key, sorted(keys))

    def resolved(self, before: int | None, limit: int) -> list[Life]:
        """Resolved ones, newest numbers first."""
        column = BREAKS.c
        chosen = sa.select(column.document).where(column.state == State.RESOLVED)
        if before is not None:
            chosen = chosen.where(column.number < before)
        with self._asking(), self._engine.connect() as connection:
            rows = connection.execute(chosen.order_by(column.number.desc()).limit(limit)).scalars()
            return [_LIFE.decode(row) for row in rows]

    def history(self, number: int, limit: int = 1_000) -> list[Step]:
        """Steps of a break, oldest first: the newest so many of them."""
        column = BREAK_STEPS.c
        chosen = sa.select(BREAK_STEPS).where(column.number == number).order_by(column.entry.desc()).limit(limit)
        with self._asking(), self._engine.connect() as connection:
            return [_step(row) for row in connection.execute(chosen)][::-1]

    def held(self) -> dict[str, int]:
        """Shares kept back, by security."""
        column = BREAKS.c
        chosen = sa.select(column.security, sa.func.sum(column.held)).where(column.held > 0).group_by(column.security)
        with self._asking(), self._engine.connect() as connection:
            return {security: int(held) for security, held in connection.execute(chosen)}

    def several(self, kind: type[S], number: int) -> S | None:
        """A group, match or adjustment."""
        table = _TABLES[kind]
        with self._asking(), self._engine.connect() as connection:
            found = connection.execute(sa.select(table.c.document).where(table.c.number == number)).scalar()
        return None if found is None else msgspec.json.decode(found, type=kind)

    def list_of(self, kind: type[S], states: Collection[str] | None = None, limit: int = 1_000) -> list[S]:
        """Groups, matches or adjustments, newest first."""
        table = _TABLES[kind]
        chosen = sa.select(table.c.document).order_by(table.c.number.desc()).limit(limit)
        if states is not None:
            chosen = chosen.where(table.c.state.in_(sorted(states)))
        with self._asking(), self._engine.connect() as connection:
            return [msgspec.json.decode(row, type=kind) for row in connection.execute(chosen).scalars()]

    def approved(self, since_ns: int) -> list[Adjustment]:
        """Adjustments that are to be in the books, or are, decided since then, oldest first."""
        found = self.list_of(Adjustment, (AdjustState.APPROVED, AdjustState.APPLIED))
        return sorted((one for one in found if one.decided_ns >= since_ns), key=lambda one: one.number)

    def next_of(self, kind: type[S]) -> int:
        """The number that the next one gets."""
        with self._asking(), self._engine.connect() as connection:
            return 1 + int(connection.scalar(sa.select(sa.func.max(_TABLES[kind].c.number))) or 0)

    def record(self, changes: Sequence[Change], several: Sequence[Group | Match | Adjustment] = ()) -> None:
        """Write all of it or nothing."""
        lives = {change.life.number: change.life for change in changes}
        steps = [_step_row(step) for change in changes for step in change.steps]
        with self._asking(), self._engine.begin() as connection:
            if lives:
                _replace(connection, BREAKS, [_life_row(life) for life in lives.values()])
            if steps:
                connection.execute(sa.insert(BREAK_STEPS), steps)
            for one in several:
                row = {"number": one.number, "state": one.state.value, "document": _JSON.encode(one).decode()}
                _replace(connection, _TABLES[type(one)], [row])

    def close(self) -> None:
        self._engine.dispose()

    # parts

    def _chosen(self, column: sa.Column[Any], values: Sequence[Any]) -> list[Life]:
        found: list[Life] = []
        with self._asking(), self._engine.connect() as connection:
            for at in range(0, len(values), _PORTION):
                chosen = sa.select(BREAKS.c.document).where(column.in_(values[at : at + _PORTION]))
                found += [_LIFE.decode(row) for row in connection.execute(chosen).scalars()]
        return found

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except exc.SQLAlchemyError as error:
            raise BreakStoreError(f"the store of breaks cannot be had: {error}") from error


def _replace(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Insert, or change what has the number already: the same on SQLite and PostgreSQL."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert  # noqa: PLC0415  the two statements are called alike
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]  # noqa: PLC0415
    statement = insert(table)
    columns = [column.name for column in table.c if column.name != "number"]
    changed = {name: statement.excluded[name] for name in columns}
    connection.execute(statement.on_conflict_do_update(index_elements=["number"], set_=changed), rows)


def _life_row(life: Life) -> dict[str, Any]:
    return {
        "number": life.number,
        "key": life.key,
        "state": life.state.value,
        "security": life.facts.about.security,
        "held": life.held,
        "resolved_ns": life.resolved_ns,
        "document": _JSON.encode(life).decode(),
    }


def _step_row(step: Step) -> dict[str, Any]:
    row = {name: getattr(step, name) for name in ("number", "serial", "at_ns", "who", "quantity", "comment")}
    detail = _JSON.encode(step.detail).decode()
    return row | {"action": step.action.value, "state": step.state.value, "detail": detail}


def _step(row: Any) -> Step:
    return Step(
        number=row.number,
        serial=row.serial,
        at_ns=row.at_ns,
        who=row.who,
        action=Action(row.action),
        state=State(row.state),
        quantity=row.quantity,
        comment=row.comment,
        detail=msgspec.json.decode(row.detail, type=dict[str, Any]),
        entry=row.entry,
    )
