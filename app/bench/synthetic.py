"""A block of tables under the shipped rules, filled by formula, without engine and feed: for the bench of grids and tests."""

import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from app import world
from engine.model import DAYS, HEAD_FACTS, RATE_UNKNOWN, Capacity, Fact, Kind, SecurityFlag, Temperature
from engine.records import POSITION, SECURITY
from engine.rules import compile_rules
from engine.tables import Tables, Word

_WORDS: Final = (
    "Atlantic Baltic Cedar Delta Ember Falcon Granite Harbor Iris Juniper Kestrel Lumen Meridian Nova Orion".split()
)
_KINDS: Final = "Bank Energy Foods Health Logistics Motors Pharma Rail Semiconductor Steel Telecom Works".split()
_TEMPERATURE_SHARES: Final = (0.02, 0.78, 0.1, 0.08, 0.02)
_SECONDS_OF_DAYS: Final = 3 * 86_400


def synthetic_tables(
    name: str, securities: int, *, seed: int = 1, rows: int = 1_000, generation: str = "synthetic"
) -> Tables:
    """Tables `name` with so many securities, none of them with rows. The caller owns and closes them."""
    rng = np.random.default_rng(seed)
    today = int(time.time() // 86_400)
    markets = world.markets()
    days = np.tile(np.arange(today, today + DAYS, dtype=np.int32), (len(markets), 1))
    catalogue = compile_rules(world.rule_book(), markets, days, 1).catalogue
    tables = Tables.create(
        name,
        Capacity(securities=securities, books=256, depots=64, sources=4, rows=rows),
        markets=markets,
        base_date=today - 10,
        generation=generation,
    )
    array, count, now_ns = tables.array, securities + 1, time.time_ns()
    with tables.writing():
        tables.publish(catalogue)
        array["today"][:] = today
        array["business_day"][:] = np.arange(array["business_day"].shape[1])
        array["security"][1:count] = _securities(rng, securities, [market.currency for market in markets])
        array["terms"][1:count] = rng.integers(0, 1_000_000, array["terms"][1:count].shape)
        array["values"][1:count] = rng.integers(-10_000, 5_000_000, array["values"][1:count].shape)
        array["head"][1:count, HEAD_FACTS : HEAD_FACTS + len(Fact)] = rng.integers(
            1, 1_000_000_000, (securities, len(Fact))
        )
        array["price"][1:count] *= rng.integers(0, 2, securities)
        ages_s = rng.integers(0, _SECONDS_OF_DAYS, securities)
        array["updated_ns"][1:count] = rng.integers(0, 2, securities) * (now_ns - ages_s * 1_000_000_000)
        tables.state[Word.SECURITIES] = securities
        tables.state[Word.REFERENCE] += 1
        tables.state[Word.READY] = 1
        tables.state[Word.HEARTBEAT_NS] = tables.state[Word.LAST_EVENT_NS] = now_ns
    return tables


def synthetic_positions(tables: Tables, count: int, *, seed: int = 1, books: int = 12, depots: int = 8) -> None:
    """Fill the position table with so many rows (all different keys), and what they belong to; without chains and index."""
    rng = np.random.default_rng(seed)
    array, securities = tables.array, tables.count(Word.SECURITIES)
    records = np.zeros(count, POSITION)
    records["key"] = _keys(rng, count, securities, books, depots)
    words = records.view("<i8").reshape(count, -1)
    words[:, 2:] = rng.integers(-5_000, 1_000_000, (count, words.shape[1] - 2)) * 10
    words[:, 2:][rng.random((count, words.shape[1] - 2)) < 0.3] = 0  # noqa: PLR2004  three in ten
    number = np.arange(1, books + 1).astype("S4")
    with tables.writing():
        array["book"]["code"][1 : books + 1] = np.strings.add(b"BOOK", number)
        array["book"]["client"][1 : books + 1] = np.where(
            np.arange(books) % 3 == 0, b"", np.strings.add(b"FUND", (np.arange(books) // 3).astype("S4"))
        )
        array["book"]["entity"][1 : books + 1] = np.where(np.arange(books) % 2 == 0, b"LONDON", b"NEW YORK")
        array["book"]["aggregation_unit"][1 : books + 1] = np.strings.add(b"AU", (np.arange(books) % 5).astype("S4"))
        array["unit"]["code"][1] = b"AU-ELSEWHERE"
        array["book_unit"][1 : books + 1] = rng.integers(0, 8, (books, len(tables.markets))) == 0
        array["depot"]["code"][1 : depots + 1] = np.strings.add(b"DEPOT", np.arange(depots).astype("S4"))
        array["position"][:count] = records
        tables.state[Word.BOOKS], tables.state[Word.DEPOTS], tables.state[Word.UNITS] = books, depots, 1
        tables.state[Word.ROWS] = count
        tables.state[Word.REFERENCE] += 1


def _keys(rng: np.random.Generator, count: int, securities: int, books: int, depots: int) -> NDArray[np.uint64]:
    """Different keys, in no order."""
    room = securities * books * depots * len(Kind)
    chosen = rng.choice(room, count, replace=False) if room < 1 << 24 else np.unique(rng.integers(0, room, 2 * count))
    chosen = rng.permutation(chosen)[:count].astype(np.int64)
    kind, rest = chosen % len(Kind), chosen // len(Kind)
    depot, rest = rest % depots + 1, rest // depots
    book, security = rest % books + 1, rest // books + 1
    return (security << 40 | book << 24 | depot << 8 | kind).astype(np.uint64)


def _securities(rng: np.random.Generator, count: int, currencies: list[str]) -> NDArray[np.void]:
    records = np.zeros(count, SECURITY)
    first, second = rng.integers(0, len(_WORDS), count), rng.integers(0, len(_KINDS), count)
    number = np.arange(count).astype("S8")
    names = np.strings.add(np.array([f"{word} " for word in _WORDS], "S")[first], np.array(_KINDS, "S")[second])
    records["name"] = np.strings.add(np.strings.add(names, b" "), number)
    records["code"] = np.strings.add(b"SEC", np.strings.zfill(number, 8))
    records["isin"] = np.strings.add(b"XS", np.strings.zfill(number, 10))
    records["cusip"] = np.strings.zfill(number, 9)
    records["sedol"] = np.strings.add(b"B", np.strings.zfill(number, 6))
    records["figi"] = np.strings.add(b"BBG", np.strings.zfill(number, 9))
    records["ticker"] = rng.integers(ord("A"), ord("Z") + 1, (count, 4), np.uint8).view("S4")[:, 0]
    records["market"] = rng.integers(0, len(currencies), count)
    records["currency"] = np.array(currencies, "S3")[records["market"]]
    records["temperature"] = rng.choice(len(Temperature), count, p=_TEMPERATURE_SHARES)
    records["flags"] = (rng.random(count) < 0.05) * int(SecurityFlag.AT_LEAST)  # noqa: PLR2004  one in twenty
    records["fee"] = np.where(rng.random(count) < 0.01, RATE_UNKNOWN, rng.integers(0, 900_000, count))  # noqa: PLR2004
    records["rebate"] = np.where(rng.random(count) < 0.5, RATE_UNKNOWN, rng.integers(-90_000, 50_000, count))  # noqa: PLR2004
    return records
