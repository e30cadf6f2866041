"""Rules become active when their date has come in the first of their markets."""

import datetime as dt

import pytest

from app import world
from app.rules_machine import newest_date

MARKETS = world.markets()


@pytest.mark.parametrize(
    ("moment", "codes", "date"),
    [
        ("2026-11-30T14:59:59", ["JP"], "2026-11-30"),
        ("2026-11-30T15:00:00", ["JP"], "2026-12-01"),
        ("2026-11-30T15:59:59", ["TW"], "2026-11-30"),
        ("2026-11-30T16:00:00", ["TW"], "2026-12-01"),
        ("2026-12-01T04:59:59", ["US"], "2026-11-30"),
        ("2026-12-01T05:00:00", ["US"], "2026-12-01"),
        ("2026-11-30T23:00:00", ["GB", "DE", "FR"], "2026-12-01"),
        ("2026-11-30T15:00:00", [], "2026-12-01"),
        ("2026-11-30T15:00:00", ["XX"], "2026-12-01"),
    ],
)
def test_a_date_has_come_where_a_market_of_the_document_has_it(moment: str, codes: list[str], date: str) -> None:
    now_ns = int(dt.datetime.fromisoformat(f"{moment}+00:00").timestamp()) * 10**9
    assert newest_date(MARKETS, lambda: now_ns, codes).isoformat() == date
