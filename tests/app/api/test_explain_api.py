"""Programs ask how any number comes about, and are told exactly, or what they asked wrongly."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.model import Kind, Op
from engine.records import BOOK
from engine.ring import Message
from engine.state import Machine
from tests.app.api.api_world import Api, fill, read, serving
from tests.engine.machines import events, named


def busy(made: Machine) -> None:
    """S1 in books of a client and a unit, with something borrowed too much and something lenders indicate."""
    fill(made)
    books = named(BOOK, "B", 4)
    books["client"], books["aggregation_unit"] = ["FUND1", "FUND2", "", ""], ["LONG", "SHORT", "", ""]
    made.register(Message.BOOKS, books)
    made.apply(
        events(
            {"op": Op.SET, "kind": Kind.SLAB_BORROW, "quantity": 300, "book": 2, "depot": 1, "security": 1},
            {"op": Op.SET_RATE, "kind": Kind.SLAB_BORROW, "quantity": 35_000, "book": 2, "depot": 1, "security": 1},
            {"op": Op.SET, "kind": Kind.EXTERNAL_INDICATIVE, "quantity": 101, "book": 3, "security": 1},
            {"op": Op.SET, "kind": Kind.PAY_TO_HOLD, "quantity": 70, "book": 1, "security": 1},
            {"op": Op.PRICE, "quantity": 12_340_000, "book": 0, "security": 1},
            first_seq=50,
        )
    )


@pytest.fixture
async def api(instance: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(instance, tmp_path, busy) as made:
        yield made


async def ask(api: Api, path: str) -> Any:
    answer = await api.get(f"/api/v1/explain/{path}")
    assert answer.code == 200, answer.body
    return read(answer)


async def test_a_number_is_told_with_its_inputs_rules_and_rows(api: Api) -> None:
    told = await ask(api, "US0378331005/locate_pool?day=1")
    whole = told["explanation"]
    assert (told["security"], told["market"], told["rules"]["default"]) == ("S1", "US", 1)
    assert (whole["calculation"], whole["day"], whole["date"], whole["unit"]) == (
        "locate_pool",
        1,
        "2024-10-05",
        "shares",
    )
    assert (whole["value"], whole["total"]) == (1_000 + 300 - 70 + 50, 1_280)
    inside, _, indicative = whole["inputs"]
    assert indicative["rule"]["id"] == "locate_pool.external_indicative"
    assert (indicative["quantity"], indicative["weight"], indicative["share"]) == (101, 0.5, 50)
    assert [(row["book"], row["kind"], row["gives"]) for row in indicative["rows"]] == [
        ("B3", "EXTERNAL_INDICATIVE", 101)
    ]
    assert inside["calculation"]["value"] == sum(each["share"] for each in inside["calculation"]["inputs"]) == 1_230
    assert told["split"] is None
    assert told["suggested_returns"] is None


async def test_a_number_is_split_on_request(api: Api) -> None:
    told = await ask(api, "S1/locate_pool?by=depot&day=0")
    assert told["split"]["by"] == "depot"
    groups = {each["group"]: each["quantity"] for each in told["split"]["groups"]}
    assert groups == {"": 1_000 - 70 + 50, "D1": 300}


async def test_without_a_day_it_is_the_one_on_which_a_trade_settles(api: Api) -> None:
    day = api.machine.inventory.settle_day(1)
    assert (await ask(api, "S1/for_loan"))["explanation"]["day"] == day


async def test_overborrow_says_what_to_give_back(api: Api) -> None:
    told = await ask(api, "S1/overborrow?day=0")
    assert told["explanation"]["value"] == 300
    assert told["suggested_returns"] == [
        {"book": "B2", "depot": "D1", "rate_percent": 3.5, "borrowed": 300, "quantity": 300}
    ]


async def test_a_client_s_number_counts_his_locates(api: Api) -> None:
    await api.locate("S1", 400)
    await api.locate("S1", 50, client="FUND2")
    told = await ask(api, "S1/client_short?client=FUND1&day=0")
    whole = told["explanation"]
    assert (whole["scope"], whole["client"], whole["value"]) == ("client", "FUND1", 400 + 70)
    assert (await ask(api, "S1/au_short?au=SHORT&day=0"))["explanation"]["value"] == 300


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("S99/for_loan", "no security S99"),
        ("S1/for_nothing", "no calculation 'for_nothing'"),
        ("S1/client_long?client=NOBODY", "no client 'NOBODY'"),
        ("S1/au_long?au=FUND1", "no aggregation unit 'FUND1'"),
    ],
)
async def test_what_there_is_not_is_a_404_that_says_what(api: Api, path: str, detail: str) -> None:
    answer = await api.get(f"/api/v1/explain/{path}")
    assert answer.code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert read(answer)["detail"] == detail


@pytest.mark.parametrize(
    ("query", "parameter", "said"),
    [
        ("for_loan?day=5", "day", "Expected 0 to 4"),
        ("for_loan?day=-1", "day", "Expected 0 to 4"),
        ("for_loan?day=today", "day", "Expected 0 to 4"),
        ("for_loan?by=colour", "by", "Expected one of category, stability, depot, book, client, entity"),
        ("for_loan?days=1", "days", "Unknown parameter"),
        ("client_long", "client", "client_long is a number of a client: say of which"),
        ("au_long", "au", "au_long is a number of an aggregation unit: say of which"),
        ("for_loan?client=FUND1", "client", "for_loan is not a number of a client"),
    ],
)
async def test_a_wrong_query_is_a_422_that_names_the_parameter(api: Api, query: str, parameter: str, said: str) -> None:
    answer = await api.get(f"/api/v1/explain/S1/{query}")
    assert answer.code == 422
    assert read(answer)["errors"] == [{"detail": said, "parameter": parameter}]


async def test_nobody_is_told_without_a_token(api: Api) -> None:
    assert (await api.call("GET", "/api/v1/explain/S1/for_loan", token="")).code == 401


async def test_the_answer_is_what_the_openapi_document_says(api: Api) -> None:
    document = read(await api.get("/api/v1/openapi.json"))
    operation = document["paths"]["/api/v1/explain/{security}/{calculation}"]["get"]
    assert {each["name"] for each in operation["parameters"]} == {
        "security",
        "calculation",
        "day",
        "client",
        "au",
        "by",
    }
    told = await ask(api, "S1/remaining?by=category")
    assert set(told) == set(document["components"]["schemas"]["ExplainAnswer"]["properties"])
    assert set(told["explanation"]) == set(document["components"]["schemas"]["ExplanationAnswer"]["properties"])
