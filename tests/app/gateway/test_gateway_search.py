import json
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from app.gateway.server import Gateway
from engine.model import SecurityFlag
from engine.tables import Tables, Word

Ask = Callable[..., Awaitable[HTTPResponse]]


@pytest.fixture
def ask(gateway: Gateway, ticket: str) -> Ask:
    async def get(q: str, origin: str = "", **more: str) -> HTTPResponse:
        url = f"http://127.0.0.1:{gateway.port}/search?{urlencode({'ticket': ticket, 'q': q} | more)}"
        headers = {"Origin": origin} if origin else {}
        return await AsyncHTTPClient(force_instance=True).fetch(url, raise_error=False, headers=headers)

    return get


async def told(ask: Ask, q: str, **more: str) -> Any:
    answer = await ask(q, **more)
    while answer.code == 503:  # the gateway has not found the writer yet
        answer = await ask(q, **more)
    assert answer.code == 200, answer.body
    return json.loads(answer.body)


async def test_a_security_is_found_with_all_that_names_it(ask: Ask, tables: Tables) -> None:
    with tables.writing():
        record = tables.array["security"][5:6]
        record["name"], record["ticker"], record["market"], record["isin"] = (
            "Quorbright Solar",
            "QBS",
            2,
            "US0378331005",
        )
        tables.array["security"]["flags"][5] = 0
        tables.state[Word.REFERENCE] += 1
    answer = await told(ask, "us0378331005")
    (hit,) = answer["found"]
    assert (hit["name"], hit["ticker"], hit["market"], hit["mic"]) == ("Quorbright Solar", "QBS", "JP", "XTKS")
    assert (hit["code"], hit["isin"], hit["matched"]) == ("SEC00000004", "US0378331005", "isin")
    assert (answer["total"], answer["why"]) == (1, "")
    with tables.writing():
        tables.array["security"]["flags"][5] = SecurityFlag.MASKED_ISIN
        tables.array["security"]["ticker"][5] = b"RENAMED"
        tables.state[Word.REFERENCE] += 1
    (hit,) = (await told(ask, "renamed"))["found"]
    assert hit["isin"] == ""


@pytest.mark.parametrize(
    ("q", "why"),
    [
        ("US0378331006", "US0378331006 is no ISIN: the check digit is wrong."),
        ("US0378331005", "No security here has the ISIN US0378331005."),
        ("QQQQQ@US", "No security has the ticker QQQQQ in any market."),
        ("ABC@ZZ", "There is no market 'ZZ': there are US, TW, JP, KR, HK, GB, DE, FR."),
        ("bank zzzz", "No name or identifier has 'zzzz'."),
        ("zzzz", "No name or identifier has 'zzzz'."),
    ],
)
async def test_why_there_is_nothing_is_said(ask: Ask, tables: Tables, q: str, why: str) -> None:
    assert await told(ask, q) == {"found": [], "total": 0, "why": why}


async def test_a_ticker_of_another_market_says_where_it_is(ask: Ask, tables: Tables) -> None:
    record = tables.array["security"][1]
    ticker, market = bytes(record["ticker"]).decode(), tables.markets[int(record["market"])].code
    other = next(each.code for each in tables.markets if each.code != market)
    answer = await told(ask, f"{ticker}@{other}")
    assert f"is traded in {market}, not in {other}" in answer["why"] or answer["total"]


async def test_who_may_not_ask_and_what_cannot_be_asked(ask: Ask, gateway: Gateway, tables: Tables) -> None:
    assert (await ask("a", ticket="1.2.3")).code == 403
    for limit in ("0", "51", "-1", "²", "٣", "9" * 5_000):
        assert (await ask("a", limit=limit)).code == 400
    assert (await ask("a" * 101)).code == 400
    ours, foreign = await ask("a", origin="http://127.0.0.1:5006"), await ask("a", origin="http://elsewhere.example")
    assert ours.headers["Access-Control-Allow-Origin"] == "http://127.0.0.1:5006"
    assert "Access-Control-Allow-Origin" not in foreign.headers


async def test_a_search_costs_next_to_nothing_once_the_first_was_made(ask: Ask, tables: Tables) -> None:
    await told(ask, "bank")  # what a search needs is made with the first
    began = time.process_time()
    for text in ("ban", "bank 1", "XS00", "q", "SEC00000011"):
        await told(ask, text)
    assert time.process_time() - began < 1.0
