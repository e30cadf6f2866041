"""The security master on disk: what sources say, golden records with all their versions, exceptions and decisions.

Worker 0 writes what sources say and what follows from it, a change at a time, whole or not at all; people's decisions are
written by the API in the engine's process and carried out by worker 0.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.dialects import postgresql, sqlite

from app import master_schema as tables
from app.master_database import MasterDatabase, baskets_query
from feeds.master import Change, Golden, Kept
from feeds.master_cases import Case
from feeds.master_decisions import Decided, Decision
from feeds.master_names import Claim
from feeds.master_records import Composition, Counterparty, Security

_PACK: Final = msgspec.msgpack.Encoder()
_JSON: Final = msgspec.json.Encoder()
_CLAIM: Final = msgspec.msgpack.Decoder(Claim)
_SECURITY: Final = msgspec.json.Decoder(Security)
_CASE: Final = msgspec.json.Decoder(Case)
_BASKET: Final = msgspec.json.Decoder(Composition)
_DECIDED: Final = msgspec.json.Decoder(Decided)
_CHECKPOINT_AT: Final = 10_000
"""Golden records of one change that make it worth while to bring SQLite's log into its database."""


class Wanted(Struct, frozen=True):
    """A decision that nobody has carried out yet."""

    entry: int
    at_ns: int
    who: str
    decision: Decision


class Place(Struct, frozen=True):
    """The next offset to use of a partition; the first that was ever seen of it, and a digest of the record there."""

    next: int
    first: int
    digest: str


class MasterStore(MasterDatabase):
    """Worker 0's side of it. Every method raises `MasterStoreError`."""

    def load(self) -> Kept:
        """Everything that a master is made of."""
        kept = Kept()
        with self._asking(), self._engine.connect() as connection:
            for code, source, document in connection.execute(sa.select(tables.CLAIMS)):
                kept.claims.setdefault(code, {})[source] = _CLAIM.decode(document)
            newest = tables.SECURITIES.join(
                tables.VERSIONS,
                sa.and_(
                    tables.SECURITIES.c.code == tables.VERSIONS.c.code,
                    tables.SECURITIES.c.version == tables.VERSIONS.c.version,
                ),
            )
            columns = tables.VERSIONS.c.code, tables.VERSIONS.c.version, tables.VERSIONS.c.document
            for code, version, document in connection.execute(sa.select(*columns).select_from(newest)):
                kept.golden[code] = Golden(_SECURITY.decode(document), version)
            leading = sa.select(tables.NAMES).where(tables.NAMES.c.code != "")
            kept.leads = {row.text: row.code for row in connection.execute(leading)}
            for (document,) in connection.execute(sa.select(tables.CASES.c.document)):
                case = _CASE.decode(document)
                kept.cases[case.id] = case
            done = sa.select(tables.OUTCOMES.c.document).where(tables.OUTCOMES.c.refused == "")
            kept.decided = [
                _DECIDED.decode(row[0]) for row in connection.execute(done.order_by(tables.OUTCOMES.c.place))
            ]
            kept.compositions = [_BASKET.decode(row.document) for row in connection.execute(baskets_query())]
            for code, document in connection.execute(sa.select(tables.COUNTERPARTIES)):
                kept.counterparties[code] = msgspec.json.decode(document, type=Counterparty)
        return kept

    def places(self) -> dict[tuple[int, int], Place]:
        """How far each partition of each feed has been used."""
        with self._asking(), self._engine.connect() as connection:
            rows = connection.execute(sa.select(tables.PLACES)).all()
        return {(row.feed, row.partition): Place(row.next, row.first, row.digest) for row in rows}

    def write(
        self,
        change: Change,
        at_ns: int,
        places: Mapping[tuple[int, int], Place] | None = None,
        refused: Sequence[tuple[Decided, str]] = (),
    ) -> None:
        """A change, how far the topic has been used with it, and decisions that could not be carried out."""
        if change.nothing and not places and not refused:
            return
        with self._asking(), self._engine.begin() as connection:
            for table, rows in _rows(change, at_ns, places or {}, refused):
                _put(connection, table, rows)
        if len(change.golden) >= _CHECKPOINT_AT and self._engine.dialect.name == "sqlite":
            with self._asking(), self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def waiting(self) -> list[Wanted]:
        """Decisions that nobody has carried out yet, in order."""
        done = sa.select(tables.OUTCOMES.c.entry).where(tables.OUTCOMES.c.entry == tables.DECISIONS.c.entry)
        chosen = sa.select(tables.DECISIONS).where(~done.exists()).order_by(tables.DECISIONS.c.entry)
        with self._asking(), self._engine.connect() as connection:
            return [
                Wanted(row.entry, row.at_ns, row.who, msgspec.json.decode(row.document, type=Decision))
                for row in connection.execute(chosen)
            ]


def _rows(
    change: Change, at_ns: int, places: Mapping[tuple[int, int], Place], refused: Sequence[tuple[Decided, str]]
) -> Iterator[tuple[sa.Table, list[dict[str, Any]]]]:
    """What a change writes, by table."""
    yield (
        tables.CLAIMS,
        [
            {"code": code, "source": source, "document": _PACK.encode(claim)}
            for (code, source), claim in change.claims.items()
        ],
    )
    golden = change.golden.items()
    yield (
        tables.VERSIONS,
        [
            {"code": code, "version": one.version, "at_ns": at_ns, "document": _JSON.encode(one.record)}
            for code, one in golden
        ],
    )
    yield tables.SECURITIES, [{"code": code, "version": one.version} for code, one in golden]
    yield tables.NAMES, [{"text": text, "code": code} for text, code in change.names.items()]
    cases = [(case, _text(case)) for case in change.cases.values()]
    yield (
        tables.CASES,
        [
            {
                "id": case.id,
                "state": case.state,
                "kind": case.kind,
                "security": case.security,
                "changed_ns": case.changed_ns,
                "document": text,
            }
            for case, text in cases
        ],
    )
    yield tables.CASE_HISTORY, [{"id": case.id, "at_ns": case.changed_ns, "document": text} for case, text in cases]
    outcomes = [*((one, "") for one in change.decided), *refused]
    yield (
        tables.OUTCOMES,
        [
            {
                "entry": one.entry,
                "at_ns": at_ns,
                "first": one.decision.source or one.subject,
                "second": one.decision.target or one.decision.case,
                "refused": why,
                "document": _text(one),
            }
            for one, why in outcomes
        ],
    )
    yield (
        tables.BASKETS,
        [
            {
                "security": one.security,
                "kind": one.kind,
                "source": one.source,
                "at_ns": at_ns,
                "document": _JSON.encode(one),
            }
            for one in change.compositions
        ],
    )
    yield tables.COUNTERPARTIES, [{"code": code, "document": _text(one)} for code, one in change.counterparties.items()]
    yield (
        tables.PLACES,
        [
            {"feed": feed, "partition": partition, "next": at.next, "first": at.first, "digest": at.digest}
            for (feed, partition), at in places.items()
        ],
    )


def _text(value: object) -> str:
    return _JSON.encode(value).decode()


def _put(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Add rows; where there is a row of their key it is replaced, but in tables that are only added to."""
    if not rows:
        return
    keys = [column.name for column in table.primary_key]
    others = [column.name for column in table.columns if column.name not in keys]
    given = list(rows[0])
    statement: Any = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
    if set(keys) <= set(given) and table is not tables.VERSIONS:
        statement = statement.on_conflict_do_update(
            index_elements=keys, set_={name: statement.excluded[name] for name in others}
        )
    connection.execute(statement, rows)
