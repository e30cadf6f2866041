"""Identifiers as their standards write them, from tables of real ones; and words as sources write them."""

import pytest

from app import world
from app.master_rules import vocabulary
from feeds.identifier_check import BrokenIdentifierError, checked, masked
from feeds.master_records import IdentifierType as T

GOOD = (
    (T.ISIN, "US0378331005 TW0002330008 JP3633400001 KR7005930003 HK0941009539 GB0002634946 DE0007164600 FR0000131104"),
    (T.CUSIP, "037833100 594918104 88160R101 38259P508 023135106"),
    (T.SEDOL, "2046251 2588173 B616C79 0263494 6889106 B0YQ5W0"),
    (T.FIGI, "BBG000B9XRY4 BBG000BPH459 BBG000BLNNH6"),
    (T.LEI, "5493001KJTIIGC8Y1R12 HWUPKR0MPOU8FGXBT394 7ZW8QJWVPR4P1J1KQY45"),
)
REAL = [(kind, text) for kind, texts in GOOD for text in texts.split()]


@pytest.mark.parametrize(("kind", "text"), REAL)
def test_real_identifiers_pass_in_any_writing(kind: T, text: str) -> None:
    assert checked(kind, f" {text.lower()} ") == text


@pytest.mark.parametrize(("kind", "text"), REAL)
def test_a_wrong_last_digit_is_found(kind: T, text: str) -> None:
    wrong = text[:-1] + str((int(text[-1]) + 1) % 10)
    with pytest.raises(BrokenIdentifierError, match="check digit"):
        checked(kind, wrong)


@pytest.mark.parametrize(("kind", "text"), REAL)
def test_one_character_less_is_found(kind: T, text: str) -> None:
    with pytest.raises(BrokenIdentifierError, match="length"):
        checked(kind, text[:-1])


def test_hidden_characters_are_seen() -> None:
    assert all(map(masked, ("US03783*****", "US037XXXXXX5", "B0...79", "20462?1", "#")))
    assert not any(masked(text) for _, text in REAL)


@pytest.mark.parametrize(
    "written", ["TW", "tw", "TWN", "Taiwan", "TAIWAN ", "Chinese Taipei", "Taiwan, Province of China"]
)
def test_a_country_is_one_however_it_is_written(written: str) -> None:
    assert vocabulary(world.markets()).country(written) == "TW"


@pytest.mark.parametrize("written", ["HTB", "hard_to_borrow", "Hard to borrow", "HARD-TO-BORROW", "special"])
def test_a_temperature_is_one_however_it_is_written(written: str) -> None:
    assert vocabulary(world.markets()).temperature(written) == "HTB"


def test_markets_and_classifications_have_their_other_names_and_strange_words_none() -> None:
    words = vocabulary(world.markets())
    assert [words.market(text) for text in ("XTAI", "TWSE", "Japan", "")] == ["TW", "TW", "JP", ""]
    assert [words.classification(text) for text in ("Common Stock", "adr", "ETF")] == [
        "EQUITY",
        "DEPOSITARY_RECEIPT",
        "ETF",
    ]
    assert (words.country("Neverland"), words.market("Moon"), words.temperature("lukewarm")) == (None, None, None)
