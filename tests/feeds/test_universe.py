"""The invented universe: valid identifiers, distinct names, fees and temperatures that agree."""

import time

import numpy as np
import pytest
from stdnum import cusip, figi, isin
from stdnum.gb import sedol

from app import world
from app.listings import listings
from engine.model import PRICE_UNIT, RATE_UNIT, Capacity, Kind, Market, SecurityFlag, Temperature
from feeds import reference
from feeds.identifiers import scattered
from feeds.simulator_opening import opening_rows
from feeds.universe import FEE_MAX, Role, Universe, build
from feeds.universe_names import companies, flavour_of

MARKETS = world.markets()
LISTINGS = listings()


@pytest.fixture(scope="module")
def universe() -> Universe:
    return build(MARKETS, LISTINGS, 12_000, 7)


def texts(universe: Universe, column: str) -> list[str]:
    return [raw.decode() for raw in universe.securities[column].tolist()]


def test_every_check_digit_is_valid(universe: Universe) -> None:
    assert all(map(isin.is_valid, texts(universe, "isin")))
    assert all(map(sedol.is_valid, texts(universe, "sedol")))
    assert all(map(figi.is_valid, texts(universe, "figi")))
    assert all(cusip.is_valid(text) for text in texts(universe, "cusip") if text)
    assert all(map(isin.is_valid, [code.decode() for code in universe.strays.tolist()]))


def test_american_and_british_isins_contain_the_national_number(universe: Universe) -> None:
    for row in universe.securities[np.isin(universe.securities["market"], [0, 5])]:
        national = row["cusip"] if row["market"] == 0 else row["sedol"]
        assert national in row["isin"]


def test_nothing_is_named_twice(universe: Universe) -> None:
    count = universe.securities.size
    assert count == 12_000
    for column in ("code", "isin", "sedol", "figi", "name"):
        assert len(set(texts(universe, column))) == count, column
    tickers = set(zip(universe.securities["market"].tolist(), universe.securities["ticker"].tolist(), strict=True))
    assert len(tickers) == count
    assert not set(universe.strays.tolist()) & set(universe.securities["code"].tolist())


def test_all_markets_have_securities_in_their_currency(universe: Universe) -> None:
    counts = np.bincount(universe.securities["market"], minlength=len(MARKETS))
    assert (counts > 300).all()
    for index, market in enumerate(MARKETS):
        here = universe.securities[universe.securities["market"] == index]
        assert set(here["currency"].tolist()) == {market.currency.encode()}


def test_the_temperature_follows_from_the_fee_and_most_is_easy_to_borrow(universe: Universe) -> None:
    fee, temperature = universe.securities["fee"] / RATE_UNIT, universe.securities["temperature"]
    rated = temperature != Temperature.RESTRICTED
    expected = np.where(fee <= 1, Temperature.GC, np.where(fee <= 5, Temperature.WARM, Temperature.HTB))
    assert (temperature == expected)[rated].all()
    shares = np.bincount(temperature, minlength=5) / temperature.size
    assert shares[Temperature.GC] > 0.75
    assert 0.02 < shares[Temperature.HTB] < 0.12
    assert 0 < shares[Temperature.RESTRICTED] < 0.02
    assert 40 < fee.max() <= FEE_MAX
    assert (fee >= 0.25).all()


def test_prices_are_on_the_price_grid_and_in_the_scale_of_the_currency(universe: Universe) -> None:
    assert (universe.price % universe.step == 0).all()
    assert (universe.price > 0).all()
    medians = [
        np.median(universe.price[universe.securities["market"] == index]) / PRICE_UNIT for index in range(len(MARKETS))
    ]
    by_code = dict(zip((market.code for market in MARKETS), medians, strict=True))
    assert by_code["KR"] > by_code["JP"] > by_code["TW"] > by_code["US"] > by_code["HK"] > by_code["GB"]


def test_trades_are_whole_lots_and_popularity_is_zipf(universe: Universe) -> None:
    assert (universe.trade % universe.lot == 0).all()
    assert (universe.trade > 0).all()
    shares = np.sort(universe.popularity)[::-1]
    assert shares.sum() == pytest.approx(1)
    assert shares[0] == pytest.approx(10 * shares[9])


def test_about_six_hundred_books_of_every_role_belong_to_clients_entities_and_units(universe: Universe) -> None:
    assert 550 <= universe.books.size <= 650
    assert set(universe.role.tolist()) == set(Role)
    client = np.isin(universe.role, [Role.MARGIN, Role.CASH])
    assert 100 <= len(set(universe.books["client"][client].tolist())) <= 200
    for desk in (Role.FIRM, Role.SLAB, Role.REPO):
        assert set(universe.home[universe.role == desk].tolist()) == set(range(len(MARKETS)))
    assert (universe.books["aggregation_unit"][universe.role < Role.LENDER] != b"").all()


def test_the_wire_records_become_the_same_arrays(universe: Universe) -> None:
    arrays = {kind.name: array for kind, array in reference.arrays(universe.reference(), MARKETS)}
    assert (arrays["SECURITIES"] == universe.securities).all()
    assert (arrays["CURRENCIES"] == universe.currencies).all()
    assert (arrays["BOOKS"] == universe.books).all()
    assert (arrays["DEPOTS"] == universe.depots).all()


def test_the_same_seed_gives_the_same_universe_and_another_seed_another() -> None:
    one, same, other = (build(MARKETS, LISTINGS, 500, seed) for seed in (3, 3, 4))
    assert (one.securities == same.securities).all()
    assert (one.price == same.price).all()
    assert (opening_rows(one, 3) == opening_rows(same, 3)).all()
    assert not (one.securities["isin"] == other.securities["isin"]).any()


@pytest.mark.parametrize("count", [8, 100, 45_000])
def test_small_and_large_universes_are_as_sound(count: int) -> None:
    universe = build(MARKETS, LISTINGS, count, 1)
    assert universe.securities.size == count <= Capacity().securities
    assert len(set(universe.securities["isin"].tolist())) == count
    assert len(set(universe.securities["name"].tolist())) == count
    tickers = set(zip(universe.securities["market"].tolist(), universe.securities["ticker"].tolist(), strict=True))
    assert len(tickers) == count


def test_a_market_that_nobody_described_gets_a_plain_listing() -> None:
    universe = build((Market("CA", "XTSE", "America/Toronto", "CAD", "16:00", 1), *MARKETS), LISTINGS, 900, 1)
    here = universe.securities[universe.securities["market"] == 0]
    assert here.size > 10
    assert all(isin.is_valid(code.decode()) and code.startswith(b"CA") for code in here["isin"].tolist())


def test_names_are_distinct_for_more_numbers_than_there_are_words() -> None:
    for listing in LISTINGS.values():
        flavour = flavour_of(listing.names)
        assert len(set(companies(flavour, range(flavour.names + 50)))) == flavour.names + 50


def test_every_market_of_the_program_has_a_file_and_every_file_a_market() -> None:
    assert {market.code for market in MARKETS} == LISTINGS.keys() - {""}


def test_rules_find_something_to_hold_for() -> None:
    universe = build(MARKETS, LISTINGS, 12_000, 7, today=20_000)
    securities = universe.securities
    assert len(set(securities["classification"].tolist())) >= 4
    designated, threshold = (
        securities["flags"] & flag != 0 for flag in (SecurityFlag.DESIGNATED, SecurityFlag.THRESHOLD)
    )
    assert 0.95 < designated.mean() < 1
    assert 0 < threshold.mean() < 0.02
    assert (securities["volume_30d"] > 0).all()
    assert (securities["volume_30d"] < securities["outstanding"]).all()
    dated = securities["event_date"][securities["event_date"] > 0]
    assert 2_000 < dated.size < 4_000
    assert dated.min() == 20_001
    assert {bytes(code).decode() for code in universe.currencies["code"]} == {market.currency for market in MARKETS}


def test_without_a_day_of_today_no_dividend_is_known(universe: Universe) -> None:
    assert not universe.securities["event_date"].any()


def test_too_many_for_the_identifiers_is_said_clearly() -> None:
    with pytest.raises(ValueError, match="no 11 different numbers below 10"):
        scattered(11, 10, 0)


def test_every_position_at_start_of_day_is_possible(universe: Universe) -> None:
    rows = opening_rows(universe, 7)
    assert 50_000 < np.count_nonzero(rows["quantity"]) < 120_000
    keys = {tuple(row) for row in rows[["security", "book", "depot", "kind"]].tolist()}
    assert len(keys) == rows.size
    agents = universe.role[rows["book"]] == Role.AGENT
    assert (rows["quantity"][agents] < 0).all(), "what they keep is ours to give back"
    shorts = (rows["quantity"] < 0) & ~agents
    assert set(universe.role[rows["book"][shorts]].tolist()) <= {Role.FIRM, Role.MARGIN}
    assert (rows["hypothecatable"] <= np.maximum(0, rows["quantity"])).all()
    assert (rows["reserved"] <= rows["hypothecatable"]).all()
    held = ~shorts & ~agents & (rows["kind"] != Kind.OPEN_ORDER)
    assert (rows["quantity"] + np.minimum(0, rows["due"]) >= 0)[held].all()
    assert (rows["hypothecated"] <= rows["hypothecatable"] - rows["reserved"]).all()
    assert (rows["due"] % universe.lot[rows["security"]] == 0).all()
    us = universe.securities["market"][rows["security"]] == 0
    assert rows["quantity"][us].max() > 2_000_000


def test_building_the_default_universe_is_quick() -> None:
    started = time.process_time()
    build(MARKETS, LISTINGS, 12_000, 1)
    assert time.process_time() - started < 0.7
