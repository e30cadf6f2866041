"""The security master on disk: written once, the same after a kill, and of two people who decide at once one does."""

import datetime as dt
import multiprocessing
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app import world
from app.master_books import MasterBooks
from app.master_database import DecisionConflictError
from app.master_keeper import Keeper
from app.master_store import MasterStore
from engine.ring import Message
from feeds import corporate_actions
from feeds.corporate_actions import Announcement, CorporateEvent
from feeds.decode import decode
from feeds.master_cases import CaseState
from feeds.master_decisions import Decision, DecisionKind
from feeds.master_door import Answer, Taken
from feeds.master_golden import rows
from feeds.master_records import Security
from feeds.quarantine import Decoded, Origin, Reason
from feeds.registry import feed_named
from tests.feeds.record_samples import symbols

ISINS = ("US0378331005", "US5949181045")
DAY_NS = 1_795_000_000 * 10**9


def _keeper(folder: Path, url: str | None = None) -> Keeper:
    return Keeper(MasterStore(url or f"sqlite:///{folder / 'master.db'}"), world.markets(), lambda: DAY_NS)


def _taken(*records: Security, first: int = 0) -> list[Taken]:
    return [Taken(record, i, (1, 0, first + i)) for i, record in enumerate(records)]


def _told(answer: Answer | list[Any]) -> dict[Message, list[Any]]:
    messages = answer.messages if isinstance(answer, Answer) else answer
    told: dict[Message, list[Any]] = {}
    for kind, array in messages:
        told.setdefault(kind, []).extend(array.tolist())
    return told


def _conflict() -> list[Taken]:
    return _taken(Security("A", market="US", isin=ISINS[0]), Security("A", isin=ISINS[1], source="VENDOR"))


def _decision(folder: Path, value: str) -> tuple[Decision, str]:
    books = MasterBooks(f"sqlite:///{folder / 'master.db'}")
    (case,) = books.cases(CaseState.OPEN, "A", None, 10)
    books.close()
    return Decision(DecisionKind.DECIDE, case=case.id, value=value), case.id


def test_the_same_again_and_the_same_after_a_restart_write_nothing(tmp_path: Path) -> None:
    keeper = _keeper(tmp_path)
    assert _told(keeper.take(_conflict()))[Message.SECURITIES][0][4] == b""
    log = tmp_path / "master.db-wal"
    size = log.stat().st_size
    assert keeper.take(_conflict()).messages == []
    assert keeper.take([Taken(one.record) for one in _conflict()]).messages == []
    again = _keeper(tmp_path)
    assert _told(again.begin()) == _told(keeper.begin())
    assert again.take(_conflict()).messages == []
    assert log.stat().st_size == size


def test_a_listing_that_comes_to_a_simulated_day_reaches_the_machine_on_every_such_day(tmp_path: Path) -> None:
    known = rows([Security("A", market="US")], {"US": 0})
    for name in ("LATE", "LATE", "OTHER"):  # the store has it from the day before
        store = MasterStore(f"sqlite:///{tmp_path / 'master.db'}")
        keeper = Keeper(store, world.markets(), lambda: DAY_NS, simulated=known)
        keeper.take([Taken(Security("A", market="US"))])
        told = _told(keeper.take([Taken(Security("B", market="US", name=name))]))
        assert [record[0] for record in told[Message.SECURITIES]] == [b"B"]
        assert keeper.take([Taken(Security("B", market="US", name=name))]).messages == []


def test_an_old_record_that_is_read_again_does_not_replace_what_came_after_it(tmp_path: Path) -> None:
    keeper = _keeper(tmp_path)
    old, new = Security("A", market="US", name="old"), Security("A", market="US", name="new")
    keeper.take(_taken(old, new))
    again = _keeper(tmp_path)
    assert again.take(_taken(old)).messages == []
    assert again.master.golden["A"].record.name == "new"
    assert again.take(_taken(Security("B", market="US"), first=0)).messages != []


def test_an_announcement_is_of_whom_its_name_leads_to_and_an_older_one_replaces_no_newer_one(tmp_path: Path) -> None:
    def said(seq: int, ts: int, name: str, date: dt.date) -> bytes:
        return corporate_actions.encode(Announcement("ca", seq, ts, name, CorporateEvent.DIVIDEND, date))

    def announce(*values: bytes, first: int) -> Decoded:
        feed = feed_named("corporate_actions")
        count = len(values)
        origin = Origin(feed.topic, feed.index, np.zeros(count, np.uint16), np.arange(first, first + count), DAY_NS)
        return decode(values, [()] * count, symbols(), origin, world.markets(), keeper)

    keeper, days = _keeper(tmp_path), [dt.date(2030, 1, day) for day in range(1, 5)]
    keeper.take(_taken(Security("A", market="US", isin=ISINS[0])))
    decoded = announce(said(1, 5_000, ISINS[0], days[0]), said(2, 5_000, "NOBODY", days[0]), first=0)
    assert [(entry.reason, entry.offset) for entry in decoded.unreadable] == [(Reason.UNKNOWN_SECURITY, 1)]
    assert keeper.master.claims.keys() == {"A"}
    assert keeper.master.leads[ISINS[0]] == "A"
    assert keeper.master.golden["A"].record.event_date == days[0]
    announce(said(3, 4_000, "A", days[1]), first=2)
    assert keeper.master.golden["A"].record.event_date == days[0]
    decoded = announce(said(4, 5_000, "A", days[2]), said(5, 5_000, "A", days[3]), first=3)  # of one file: one time
    assert decoded.unreadable == []
    assert keeper.master.golden["A"].record.event_date == days[3]


def test_another_topic_of_the_same_name_is_read_from_its_start(tmp_path: Path) -> None:
    keeper = _keeper(tmp_path)
    keeper.take(_taken(Security("A", market="US", name="before"), Security("B", market="US")))
    keeper.take(_taken(Security("A", market="US", name="after")))
    assert keeper.master.golden["A"].record.name == "after"


def test_a_persons_decision_is_carried_out_once_and_holds_after_a_restart(tmp_path: Path) -> None:
    keeper = _keeper(tmp_path)
    keeper.take(_conflict())
    what, key = _decision(tmp_path, ISINS[1])
    books = MasterBooks(f"sqlite:///{tmp_path / 'master.db'}")
    entry = books.decide(what, key, "ann", DAY_NS)
    assert books.outcome(entry) is None
    assert _told(keeper.look())[Message.SECURITIES][0][2] == ISINS[1].encode()
    assert books.outcome(entry) == (DAY_NS, "")
    assert Message.SECURITIES not in _told(keeper.look())
    again = _keeper(tmp_path)
    assert again.master.leads[ISINS[1]] == "A"
    (told,) = books.decisions([key])
    assert (told[1], told[2].who, told[2].decision.value, told[2].considered) == ("", "ann", ISINS[1], ISINS)
    books.close()


def test_of_two_people_who_decide_at_the_same_instant_one_does(tmp_path: Path) -> None:
    keeper = _keeper(tmp_path)
    keeper.take(_conflict())
    what, key = _decision(tmp_path, ISINS[0])
    books = [MasterBooks(f"sqlite:///{tmp_path / 'master.db'}") for _ in range(4)]

    def decide(number: int) -> bool:
        try:
            books[number].decide(what, key, f"person {number}", DAY_NS)
        except DecisionConflictError:
            return False
        return True

    with ThreadPoolExecutor(4) as people:
        assert sum(people.map(decide, range(4))) == 1
    keeper.look()
    assert len(books[0].decisions([key])) == 1
    for one in books:
        one.close()


def test_a_merge_tells_positions_and_names_and_is_told_again_to_a_machine_that_knows_nothing(tmp_path: Path) -> None:
    keeper = _keeper(tmp_path)
    keeper.take(_taken(Security("A", market="US", isin=ISINS[0]), Security("B", market="US", isin=ISINS[1])))
    books = MasterBooks(f"sqlite:///{tmp_path / 'master.db'}")
    books.decide(Decision(DecisionKind.MERGE, source="A", target="B"), "security:A", "ann", DAY_NS)
    looked = keeper.look()
    kinds = [kind for kind, _ in looked]
    assert kinds.index(Message.NAMES) < kinds.index(Message.MOVES), "what is promised is counted before positions come"
    told = _told(looked)
    assert told[Message.MOVES][0][:2] == (b"A", b"B")
    assert {(b"A", b"B"), (ISINS[0].encode(), b"B")} <= set(told[Message.NAMES])
    begun = _told(_keeper(tmp_path).begin())
    assert [row[0] for row in begun[Message.SECURITIES]] == [b"B"]
    assert begun[Message.MOVES][0][:2] == (b"A", b"B")
    assert {(b"A", b"B"), (ISINS[0].encode(), b"B")} <= set(begun[Message.NAMES])
    refused = books.decide(Decision(DecisionKind.MERGE, source="A", target="B"), "security:A", "bob", DAY_NS)
    keeper.look()
    assert books.outcome(refused) == (DAY_NS, "it is so already")
    books.close()


def _load_for_ever(folder: str) -> None:
    keeper = _keeper(Path(folder))
    for number in range(10**6):
        at = number * 20
        records = [
            Security(f"S{at + i}", market="US", ticker=f"T{(at + i) // 2}", source=s)
            for i in range(20)
            for s in ("", "V")
        ]
        keeper.take([Taken(one, i, (1, 0, 2 * at + i)) for i, one in enumerate(records)])


@pytest.mark.parametrize("kill", range(3))
def test_after_a_kill_in_the_middle_it_goes_on_as_if_nothing_had_been(tmp_path: Path, kill: int) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_load_for_ever, args=(str(tmp_path),))
    process.start()
    store = MasterStore(f"sqlite:///{tmp_path / 'master.db'}")
    while store.places().get((1, 0)) is None or store.places()[1, 0].next < 200 * (kill + 1):
        assert process.is_alive()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    used = store.places()[1, 0].next // 2
    interrupted = _keeper(tmp_path)
    whole = _keeper(tmp_path / "whole")
    records = [
        Security(f"S{i}", market="US", ticker=f"T{i // 2}", source=s) for i in range(used + 40) for s in ("", "V")
    ]
    for keeper in (interrupted, whole):
        keeper.take(_taken(*records))
    assert (interrupted.master.golden, interrupted.master.leads) == (whole.master.golden, whole.master.leads)
    assert set(interrupted.master.cases) == set(whole.master.cases)
    reopened = _keeper(tmp_path)
    assert reopened.master.golden == whole.master.golden
