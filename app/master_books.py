"""The security master as people see it: golden records, their history, exceptions, and decisions to be carried out."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from app import master_schema as tables
from app.master_database import DecisionConflictError, MasterDatabase, baskets_query
from feeds.master_cases import Case, CaseState
from feeds.master_decisions import Decided, Decision
from feeds.master_names import Claim
from feeds.master_records import Composition, Counterparty, Security

_CLAIM: Final = msgspec.msgpack.Decoder(Claim)
_SECURITY: Final = msgspec.json.Decoder(Security)
_CASE: Final = msgspec.json.Decoder(Case)
_BASKET: Final = msgspec.json.Decoder(Composition)
_DECIDED: Final = msgspec.json.Decoder(Decided)


class MasterBooks(MasterDatabase):
    """The API's side of it. Every method raises `MasterStoreError`."""

    def decide(self, decision: Decision, subject: str, who: str, at_ns: int) -> int:
        """Write a decision down; returns its number. Raises `DecisionConflictError`."""
        column = tables.DECISIONS.c
        with self._asking(), self._engine.begin() as connection:
            count = sa.select(sa.func.count()).where(column.subject == subject)
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            serial = int(connection.execute(count).scalar_one())
            pending = sa.select(sa.func.count()).where(
                column.subject == subject,
                ~sa.select(tables.OUTCOMES.c.entry).where(tables.OUTCOMES.c.entry == column.entry).exists(),
            )
            if connection.execute(pending).scalar_one():
                raise DecisionConflictError("somebody has just decided on it; look again")
            row = {
                "subject": subject,
                "serial": serial,
                "at_ns": at_ns,
                "who": who,
                "document": msgspec.json.encode(decision).decode(),
            }
            made = connection.execute(sa.insert(tables.DECISIONS).returning(column.entry), row)
            return int(made.scalar_one())

    def outcome(self, entry: int) -> tuple[int, str] | None:
        """When a decision was carried out, and why not, "" where it was; None while it waits."""
        wanted = sa.select(tables.OUTCOMES.c.at_ns, tables.OUTCOMES.c.refused).where(tables.OUTCOMES.c.entry == entry)
        with self._asking(), self._engine.connect() as connection:
            row = connection.execute(wanted).first()
        return None if row is None else (row.at_ns, row.refused)

    def cases(
        self, state: CaseState | None, security: str | None, before: tuple[int, str] | None, limit: int
    ) -> list[Case]:
        """Exceptions, the last changed first."""
        column = tables.CASES.c
        wanted = [column.state == state] if state is not None else []
        wanted += [column.security == security] if security is not None else []
        if before is not None:
            wanted.append(sa.tuple_(column.changed_ns, column.id) < sa.tuple_(before[0], before[1]))
        chosen = (
            sa.select(column.document).where(*wanted).order_by(column.changed_ns.desc(), column.id.desc()).limit(limit)
        )
        with self._asking(), self._engine.connect() as connection:
            return [_CASE.decode(row.document) for row in connection.execute(chosen)]

    def case(self, key: str) -> tuple[Case, list[Case]] | None:
        """An exception as it is and every state it was in; None if there is none."""
        history = sa.select(tables.CASE_HISTORY.c.document).where(tables.CASE_HISTORY.c.id == key)
        with self._asking(), self._engine.connect() as connection:
            found = connection.execute(sa.select(tables.CASES.c.document).where(tables.CASES.c.id == key)).scalar()
            rows = connection.execute(history.order_by(tables.CASE_HISTORY.c.entry)).all()
        return None if found is None else (_CASE.decode(found), [_CASE.decode(row.document) for row in rows])

    def open_count(self) -> int:
        """Exceptions that wait for somebody."""
        chosen = sa.select(sa.func.count()).select_from(tables.CASES).where(tables.CASES.c.state == CaseState.OPEN)
        with self._asking(), self._engine.connect() as connection:
            return int(connection.execute(chosen).scalar_one())

    def code_of(self, text: str) -> str | None:
        """The security that a code or any name leads to."""
        with self._asking(), self._engine.connect() as connection:
            lead = connection.execute(sa.select(tables.NAMES.c.code).where(tables.NAMES.c.text == text)).scalar()
            if lead:
                return str(lead)
            own = sa.select(tables.CLAIMS.c.code).where(tables.CLAIMS.c.code == text).limit(1)
            return connection.execute(own).scalar()

    def leads(self, code: str) -> set[str]:
        """All texts that lead to a security."""
        chosen = sa.select(tables.NAMES.c.text).where(tables.NAMES.c.code == code)
        with self._asking(), self._engine.connect() as connection:
            return {row.text for row in connection.execute(chosen)}

    def claims(self, code: str) -> dict[str, Claim]:
        """What each source says of a security."""
        chosen = sa.select(tables.CLAIMS).where(tables.CLAIMS.c.code == code)
        with self._asking(), self._engine.connect() as connection:
            return {row.source: _CLAIM.decode(row.document) for row in connection.execute(chosen)}

    def versions(self, code: str, limit: int, before: int | None = None) -> list[tuple[int, int, Security]]:
        """Number, time and record of golden versions, the newest first."""
        column = tables.VERSIONS.c
        wanted = [column.code == code] + ([column.version < before] if before is not None else [])
        chosen = sa.select(tables.VERSIONS).where(*wanted).order_by(column.version.desc()).limit(limit)
        with self._asking(), self._engine.connect() as connection:
            rows = connection.execute(chosen).all()
        return [(row.version, row.at_ns, _SECURITY.decode(row.document)) for row in rows]

    def decisions(self, codes: Iterable[str], limit: int = 100) -> list[tuple[int, str, Decided]]:
        """What was decided on these securities or exceptions, the newest first: when it was carried out, why not, and what."""
        column, wanted = tables.OUTCOMES.c, list(codes)
        about = sa.or_(column.first.in_(wanted), column.second.in_(wanted))
        chosen = sa.select(tables.OUTCOMES).where(about).order_by(column.place.desc()).limit(limit)
        with self._asking(), self._engine.connect() as connection:
            rows = connection.execute(chosen).all()
        return [(row.at_ns, row.refused, _DECIDED.decode(row.document)) for row in rows]

    def moved(self, code: str, limit: int = 100) -> list[dict[str, Any]]:
        """Positions that were moved from or to a security, the newest first."""
        column = tables.MOVED.c
        of = sa.or_(column.source == code, column.target == code)
        chosen = sa.select(tables.MOVED).where(of).order_by(column.entry.desc()).limit(limit)
        with self._asking(), self._engine.connect() as connection:
            return [
                {"at_ns": r.at_ns, "source": r.source, "target": r.target, "rows": msgspec.json.decode(r.document)}
                for r in connection.execute(chosen)
            ]

    def keep_moved(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write down which positions have been moved; columns of `MOVED`."""
        with self._asking(), self._engine.begin() as connection:
            connection.execute(sa.insert(tables.MOVED), list(rows))

    def baskets(self, code: str) -> list[Composition]:
        """The compositions of a security that count."""
        with self._asking(), self._engine.connect() as connection:
            return [_BASKET.decode(row.document) for row in connection.execute(baskets_query(code))]

    def counterparties(self) -> list[Counterparty]:
        """By code."""
        with self._asking(), self._engine.connect() as connection:
            rows = connection.execute(sa.select(tables.COUNTERPARTIES).order_by(tables.COUNTERPARTIES.c.code)).all()
        return [msgspec.json.decode(row.document, type=Counterparty) for row in rows]
