"""What the journal kept is judged again by other rules: on both stores, over any period, and through the analyst."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from app import world
from app.analyst.client import Analyst as Client
from app.analyst.dry_run import DryRunRequest, compared
from app.analyst.server import serving
from app.api.dry_run_answers import RuleDryRun
from app.api.formats import Form
from app.bench.services import free_port
from app.database import connect
from app.journal import Journal
from app.past_decisions import PAGE, SLACK_NS, past_decisions
from app.settings import Settings
from engine.locate_desk import LocateDesk
from engine.locate_judgement import Facts
from engine.locates import LocateRequest, OnInsufficient
from engine.model import Temperature
from engine.rule_model import Document, RulesError
from tests.app.journal_urls import STORES, journal_url
from tests.engine.locate_inventory import NOON_NS, PlainInventory, shipped_rules

HOUR_NS = 3_600 * 10**9
LIMITED = """format: 1
document: locates
decisions:
  - {id: small, quantity: {max: 500}, action: approve}
  - {id: large, action: reject, reason: limit_exceeded}
"""


def documents(text: str = LIMITED) -> list[Document]:
    others = [document for document in world.shipped_documents() if document.name != "locates"]
    return [*others, Document("locates", 2, text)]


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return journal_url(request.param, request, tmp_path)


@pytest.fixture
def settings(instance: str, tmp_path: Path, url: str) -> Settings:
    return Settings(instance=instance, data=str(tmp_path), port=free_port(), database=url)


@pytest.fixture
async def kept(url: str) -> AsyncIterator[LocateDesk]:
    """An hour each: 400 shares and 600 of Y are approved, 100 of Z wait and are approved by hand, N is nobody."""
    inventory = PlainInventory()
    inventory.add("Y", 10_000, Temperature.HTB)
    empty = inventory.add("Z", 0, Temperature.HTB)
    desk, journal = LocateDesk(inventory, shipped_rules()), Journal(url)
    asked = [
        LocateRequest(security="Y", client="FUND1", quantity=400),
        LocateRequest(security="Y", client="=2+5", quantity=600),
        LocateRequest(security="Z", client="FUND1", quantity=100, on_insufficient=OnInsufficient.PEND),
        LocateRequest(security="N", client="FUND1", quantity=100),
    ]
    for number, request in enumerate(asked):
        change = desk.decide(request, NOON_NS + number * HOUR_NS, NOON_NS * 2)
        await journal.write([change])
        desk.settle(change)
    inventory.gross[empty] = 100
    by_hand = desk.decide_by_hand(3, 100, NOON_NS + 5 * HOUR_NS, Facts(decided_by="otto"))
    await journal.write([by_hand])
    desk.settle(by_hand)
    yield desk
    journal.close()


def request(text: str = LIMITED, since_ns: int = NOON_NS, until_ns: int = NOON_NS + 9 * HOUR_NS) -> DryRunRequest:
    return DryRunRequest(documents(text), since_ns, until_ns, 100)


def run_of(settings: Settings, asked: DryRunRequest) -> RuleDryRun:
    return msgspec.json.decode(compared(settings, asked, lambda: True), type=RuleDryRun)


@pytest.mark.usefixtures("kept")
def test_other_rules_decide_on_what_was_kept_and_each_line_that_differs_is_shown(settings: Settings) -> None:
    run = run_of(settings, request())
    assert (run.requests, run.unknown, run.differ, run.complete) == (3, 1, 1, True)
    (line,) = run.lines
    assert (line.id, line.was.rule, line.was.approved) == ("L0000000002", "up-to-the-pool", 600)
    assert (line.would.rule, line.would.version, line.would.reason) == ("large", 2, "limit_exceeded")
    assert (run.total.was.approved, run.total.would.approved) == (1_000, 400)
    assert (run.reviews.was, run.reviews.would, run.reviews.decided) == (1, 1, 1)


@pytest.mark.usefixtures("kept")
def test_the_rules_that_decided_would_decide_the_same_again(settings: Settings) -> None:
    shipped = next(document.text for document in world.shipped_documents() if document.name == "locates")
    assert run_of(settings, request(shipped)).differ == 0


@pytest.mark.usefixtures("kept")
def test_a_period_begins_with_its_first_moment_and_ends_before_its_last(settings: Settings) -> None:
    for since, until, requests in ((0, 1, 1), (0, 2, 2), (1, 2, 1), (1, 3, 2), (9, 10, 0)):
        asked = request(since_ns=NOON_NS + since * HOUR_NS, until_ns=NOON_NS + until * HOUR_NS)
        assert run_of(settings, asked).requests == requests


@pytest.mark.usefixtures("kept")
def test_lines_come_as_csv_that_no_spreadsheet_runs(settings: Settings) -> None:
    asked = msgspec.structs.replace(request(), form=Form.CSV.value)
    (row,) = csv.DictReader(io.StringIO(compared(settings, asked, lambda: True).decode()))
    assert row["client"] == "'=2+5"
    assert (row["was.state"], row["would.state"], row["would.rule"]) == ("approved", "rejected", "large")
    assert (row["requested"], row["later.state"]) == ("600", "")


async def test_the_engine_asks_the_analyst_and_hears_what_is_wrong_with_a_draft(
    settings: Settings, kept: LocateDesk
) -> None:
    async with serving(settings):
        client = Client(settings)
        run = msgspec.json.decode(await client.dry_run(request()), type=RuleDryRun)
        assert (run.requests, kept.pending_count) == (3, 0)
        with pytest.raises(RulesError, match="a decision needs action"):
            await client.dry_run(request("format: 1\ndocument: locates\ndecisions: [{id: a}]\n"))
        client.close()


async def test_long_histories_are_read_page_by_page_from_where_they_begin(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    inventory = PlainInventory()
    inventory.add("Y", 2**60)
    desk, journal = LocateDesk(inventory, shipped_rules()), Journal(url)
    step_ns = SLACK_NS // PAGE * 2
    asked = LocateRequest(security="Y", client="FUND1", quantity=1)
    await journal.write([desk.decide(asked, NOON_NS + n * step_ns, NOON_NS * 2) for n in range(3 * PAGE)])
    engine = connect(url)
    whole = [past.sequence for past in past_decisions(engine, 0, NOON_NS * 2)]
    assert whole == list(range(1, 3 * PAGE + 1))
    since, until = 2 * PAGE - 7, 3 * PAGE - 7
    part = past_decisions(engine, NOON_NS + since * step_ns, NOON_NS + until * step_ns)
    assert [past.sequence for past in part] == whole[since:until]
    engine.dispose()
    journal.close()
