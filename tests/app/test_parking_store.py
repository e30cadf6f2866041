"""Parked records on disk: the names in them are counted in step with the records, whatever happens to these."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.parked_record import MOST_SHARES, Concerns, concerns
from app.parking_store import Parked, ParkingStore
from engine.model import Namespace
from feeds.quarantine import Reason, Unreadable

ENTRY = Unreadable("ims.trades", 0, 1, Reason.UNKNOWN_BOOK, "", b"{}")
NAMES = st.lists(
    st.sampled_from([(Namespace.BOOK, "B"), (Namespace.BOOK, "C"), (Namespace.SECURITY, "B")]), unique=True
)
RECORDS = st.builds(
    lambda number, wants, shares: Parked(number, number, ENTRY, Concerns(tuple(wants), (("S", shares),)), 1),
    st.integers(1, 6), NAMES, st.integers(0, 2**62),
)  # fmt: skip
CHANGES = st.lists(st.tuples(st.lists(st.integers(1, 6)), st.lists(RECORDS, max_size=4)), max_size=6)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ParkingStore]:
    made = ParkingStore(tmp_path_factory.mktemp("parked") / "parked.db")
    yield made
    made.close()


def counted(records: list[Parked]) -> dict[tuple[int, str], tuple[int, int]]:
    """By name, how many records and shares: the slow way."""
    many: Counter[tuple[int, str]] = Counter()
    shares: Counter[tuple[int, str]] = Counter()
    for each in records:
        for wanted in each.concerns.wants:
            many[wanted] += 1
            shares[wanted] += min(MOST_SHARES, each.concerns.shares[0][1])
    return {(int(namespace), code): (many[namespace, code], shares[namespace, code]) for namespace, code in many}


def told(store: ParkingStore) -> dict[tuple[int, str], tuple[int, int]]:
    return {wanted: (records, shares) for wanted, records, shares in store.awaited()}


@settings(max_examples=60, deadline=None)
@given(CHANGES)
def test_names_are_counted_as_if_all_records_were_read(
    store: ParkingStore, changes: list[tuple[list[int], list[Parked]]]
) -> None:
    store.replace(())
    there: dict[int, Parked] = {}
    for gone, come in changes:
        store.change(gone, come)
        there = {number: each for number, each in there.items() if number not in gone}
        there |= {each.id: each for each in come}
        assert told(store) == counted(list(there.values()))
    store.replace(list(there.values()))
    assert told(store) == counted(list(there.values()))


def test_a_record_that_names_more_than_any_number_of_shares_is_kept_like_others(store: ParkingStore) -> None:
    entry = replace(ENTRY, raw=b'{"src":"s1","sec":"S1","book":"NEW","qty":-%d}' % 10**30)
    store.replace([Parked(1, 1, entry, concerns(entry), 1)])
    assert told(store)[Namespace.BOOK, "NEW"] == (1, MOST_SHARES)


def test_a_file_from_before_names_were_counted_is_counted_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "parked.db"
    before = ParkingStore(path)
    records = [Parked(n, n, ENTRY, Concerns(((Namespace.BOOK, f"B{n % 3}"),), (("S", n),)), 1) for n in range(1, 8)]
    before.change((), records)
    before.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE wanted")
    connection.close()
    after = ParkingStore(path)
    assert told(after) == counted(records)
    after.close()
