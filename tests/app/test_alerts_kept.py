"""What was told of alerts is kept for as long as it is open, and of what is over the newest."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import alerts_store as store
from app.alerts_schema import ALERT_EVENTS, ALERT_HISTORY
from app.alerts_store import AlertEvent, EventQuery, EventState, Severity
from app.database import connect
from app.journal_schema import METADATA

KEPT = 6
AT_ONCE = 3


@pytest.fixture
def connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sa.Connection]:
    monkeypatch.setattr(store, "KEPT", KEPT)
    monkeypatch.setattr(store, "_AT_ONCE", AT_ONCE)
    engine = connect(f"sqlite:///{tmp_path / 'journal.db'}")
    METADATA.create_all(engine)
    with engine.begin() as opened:
        yield opened
    engine.dispose()


def event(owner: str, security: str) -> AlertEvent:
    return AlertEvent(
        alert=f"A-{owner}", owner=owner, name="n", condition="HTB", severity=Severity.LOW, sound=False, webhook=True,
        security=security, ticker="", title="", market="", values={}, state=EventState.RAISED, raised_ns=1,
    )  # fmt: skip


def begin(connection: sa.Connection, owner: str, *securities: str) -> list[AlertEvent]:
    return store.begin(connection, [event(owner, security) for security in securities])


def over(connection: sa.Connection, owner: str) -> list[str]:
    """Securities of what is over, newest first."""
    query = EventQuery(owner, [EventState.CLEARED], limit=1_000)
    return [each.security for each in store.find(connection, query)]


def test_of_what_is_over_the_newest_of_each_person_are_kept_and_what_is_open_is(connection: sa.Connection) -> None:
    open_since_long = begin(connection, "anna", "OPEN")
    begin(connection, "bert", "OPEN")
    store.clear(connection, begin(connection, "bert", "B0"), 2)
    for number in range(20):
        store.clear(connection, begin(connection, "anna", f"S{number}"), 2)
        expected = [f"S{at}" for at in range(number, max(-1, number - KEPT - 1), -1)]
        assert over(connection, "anna") == expected, "the newest that were over when the last one began, and that one"
    assert over(connection, "bert") == ["B0"]
    still = {(each.owner, each.security) for each in store.open_events(connection, None)}
    assert still == {("anna", "OPEN"), ("bert", "OPEN")}
    assert store.acknowledge(connection, "anna", 3, events=[open_since_long[0].sequence]), "it goes on as it would have"
    assert begin(connection, "anna", "NEXT")[0].sequence == 24


def test_the_steps_of_what_is_forgotten_go_with_it_and_those_of_the_others_stay_whole(
    connection: sa.Connection,
) -> None:
    for number in range(12):
        made = begin(connection, "anna", f"S{number}")
        store.acknowledge(connection, "anna", 2)
        store.clear(connection, made, 3)
    present = set(connection.execute(sa.select(ALERT_EVENTS.c.sequence)).scalars())
    steps = connection.execute(sa.select(ALERT_HISTORY.c.sequence, sa.func.count()).group_by(ALERT_HISTORY.c.sequence))
    assert {row[0]: row[1] for row in steps} == dict.fromkeys(present, 3)
    assert len(present) == KEPT + 1


def test_a_long_history_goes_a_little_at_a_time(connection: sa.Connection) -> None:
    store.clear(connection, begin(connection, "anna", *(f"S{at}" for at in range(30))), 2)
    lengths = []
    for number in range(10):
        begin(connection, "anna", f"N{number}")
        lengths.append(len(over(connection, "anna")))
    assert lengths == [26, 22, 18, 14, 10, KEPT, KEPT, KEPT, KEPT, KEPT]
