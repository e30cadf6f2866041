import json
from typing import Any
from urllib.parse import urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPResponse

from app.gateway.server import Gateway
from engine.rule_model import Role
from engine.tables import Tables


async def ask(gateway: Gateway, ticket: str) -> HTTPResponse:
    url = f"http://127.0.0.1:{gateway.port}/overview?{urlencode({'ticket': ticket})}"
    return await AsyncHTTPClient(force_instance=True).fetch(url, raise_error=False)


async def told(gateway: Gateway, ticket: str) -> Any:
    answer = await ask(gateway, ticket)
    while answer.code == 503:  # the gateway has not found the writer, or its rules, yet
        answer = await ask(gateway, ticket)
    assert answer.code == 200, answer.body
    return json.loads(answer.body)


async def test_sums_of_all_markets_are_those_of_the_tables(gateway: Gateway, ticket: str, tables: Tables) -> None:
    answer = await told(gateway, ticket)
    lend = [measure["role"] for measure in answer["measures"]].index(Role.LEND)
    shares = tables.array["values"][1:201, tables.catalogue.playing(Role.LEND), 0]
    assert sum(market["shares"][lend] for market in answer["markets"]) == int(shares.sum())
    assert sum(heat["shares"][lend] for heat in answer["temperatures"]) == int(shares.sum())
    assert sum(market["securities"] for market in answer["markets"]) == 200
    assert [market["name"] for market in answer["markets"]] == [market.code for market in tables.markets]
    hard = next(heat for heat in answer["temperatures"] if heat["name"] == "HTB")
    assert round(sum(market["hard"][lend] for market in answer["markets"])) == round(hard["money"][lend])
    assert answer["currency"] == "USD"
    assert answer["stats"]["securities"] == 200


async def test_all_who_ask_within_a_moment_share_one_pass(gateway: Gateway, ticket: str, tables: Tables) -> None:
    one, other = await told(gateway, ticket), await told(gateway, ticket)
    assert one["took_ms"] == other["took_ms"] or other["made_ms"] - one["made_ms"] > 800


async def test_nobody_asks_without_a_ticket(gateway: Gateway, tables: Tables) -> None:
    assert (await ask(gateway, "1.2.3")).code == 403


async def test_without_an_engine_there_is_nothing_to_add_up(gateway: Gateway, ticket: str) -> None:
    answer = await ask(gateway, ticket)
    assert (answer.code, answer.headers["Retry-After"]) == (503, "1")
