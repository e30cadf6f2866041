from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bench.synthetic import synthetic_tables
from engine.model import SecurityFlag
from engine.tables import Tables, Word
from engine.views_reference import Reference
from engine.views_search import Matched, Search

FIELDS = ("ticker", "isin", "cusip", "sedol", "figi", "code", "name")


@pytest.fixture(scope="module")
def tables() -> Iterator[Tables]:
    owned = synthetic_tables("test-views-search.tables", 400)
    records = owned.array["security"]
    with owned.writing():
        records["flags"][1:] = 0
        records["name"][7], records["ticker"][7], records["market"][7] = b"Quorbright Solar Inc", b"QBSX", 1
        records["name"][8], records["ticker"][8], records["market"][8] = b"Quorbright Water Inc", b"QBS", 2
        records["isin"][9], records["flags"][9] = b"XX12345*****", SecurityFlag.MASKED_ISIN
        owned.state[Word.REFERENCE] += 1
    yield owned
    owned.close()


@pytest.fixture(scope="module")
def search(tables: Tables) -> Search:
    return Search(Reference.of(tables), [market.calendar for market in tables.markets])


def slowly(search: Search, text: str) -> set[int]:
    """Who has every word of it somewhere, by the plainest of means."""
    found = set()
    for at, record in enumerate(search.reference.records):
        fields = "\n".join(bytes(record[name]).decode() for name in FIELDS).casefold()
        market = search.reference.markets[int(search.reference.market[at])].casefold()
        words = text.casefold().split()
        if at and all(word in fields or (len(words) > 1 and word == market) for word in words):
            found.add(at)
    return found


def test_every_identifier_leads_to_its_security_first(search: Search) -> None:
    for at in (3, 111, 400):
        record = search.reference.records[at]
        for name in FIELDS[1:-1]:
            text = bytes(record[name]).decode()
            for typed in (text, text.lower()):
                found = search.find(typed, 5)
                assert (found.ids[0], found.matched[0]) == (at, Matched(name))
                assert search.find(typed, 5, exact=True).ids.tolist() == [at]


def test_a_ticker_typed_whole_comes_before_one_that_begins_with_it(search: Search) -> None:
    found = search.find("qbs", 5)
    assert found.ids.tolist() == [8, 7]
    assert found.matched == (Matched.TICKER, Matched.TICKER)
    assert search.find("QBS", 5, exact=True).ids.tolist() == [8]


@pytest.mark.parametrize(
    ("typed", "ids"),
    [
        ("QBS@JP", [8]),
        ("qbs@xtks", [8]),
        ("QBS@", [8, 7]),
        ("QBS@T", [7]),
        ("QBS@US", []),
        ("QBS@ZZ", []),
        ("quorbright", [7, 8]),
        ("quorbright jp", [8]),
        ("inc quorbright", [7, 8]),
        ("", []),
    ],
)
def test_tickers_at_markets_and_words_of_names(search: Search, typed: str, ids: list[int]) -> None:
    assert search.find(typed, 10).ids.tolist() == ids


def test_what_is_shown_of_a_masked_isin_names_nobody(search: Search) -> None:
    assert search.find("XX12345*****", 5, exact=True).ids.tolist() == []


@given(st.text(alphabet="abnqu xs0129@.-é*", max_size=8).filter(lambda text: "@" not in text))
def test_what_is_found_is_what_has_every_word(search: Search, text: str) -> None:
    found = search.find(text, 1_000)
    expected = slowly(search, text) if text.split() else set()
    assert set(found.ids.tolist()) == expected
    assert found.total == len(expected)
    assert len(found.matched) == len(found.ids)


@given(st.text(max_size=12))
def test_whatever_is_typed_is_answered(search: Search, text: str) -> None:
    found = search.find(text, 7)
    assert found.ids.size <= 7 <= max(7, found.total)
    assert np.unique(found.ids).size == found.ids.size
    assert 0 not in found.ids
