"""From a rule that is published to a column with its numbers: the real machine, the gateway, and a browser's socket."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from app import world
from engine.rule_model import RuleBook
from engine.state import Machine
from tests.engine.machines import events, machine

_MORE = """
  all_of_it:
    title: All of it
    expression: firm_long + borrowed
    show: days
"""


@pytest.fixture
def made(instance: str) -> Iterator[Machine]:
    with machine(instance) as running:
        running.apply(events({"security": 2, "quantity": 700}))
        yield running


def with_one_more() -> RuleBook:
    """The shipped rules and one more calculation."""
    first, *others = world.shipped_documents()
    text = first.text.replace("\ncalculations:\n", f"\ncalculations:{_MORE}", 1)
    return world.rule_book([replace(first, version=2, text=text), *others])


async def test_a_published_calculation_is_a_column_of_every_open_grid(browse: Any, made: Machine) -> None:
    browser = await browse()
    await browser.look(columns=["name", "for_loan.1"], first=1, count=1)
    assert (await browser.frame(1)).columns[1] == [700]
    made.publish(with_one_more())
    hello = await browser.text("hello")
    ours = [column for column in hello["columns"] if column["id"].startswith("all_of_it")]
    assert [(column["id"], column["title"], column["group"], column["shown"]) for column in ours] == [
        (f"all_of_it.{day}", f"SD{day}", "All of it", True) for day in range(5)
    ]
    await browser.look(columns=["name", "all_of_it.4"], first=1, count=1, v=2)
    assert (await browser.frame(1, lambda frame: frame.v == 2)).columns[1] == [700]
    made.apply(events({"security": 2, "quantity": 900}, first_seq=2))
    assert (await browser.frame(2)).changed == {(0, 1): 900}
