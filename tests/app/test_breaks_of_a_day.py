"""A simulated day as the watch of breaks sees it: some of everything that rows show, some of it explained, none of it noise."""

from collections import Counter
from pathlib import Path

from app import feed_rules
from app.breaks.elsewhere import Kept
from app.breaks.rules import shipped
from app.breaks.watch import Watch
from app.listings import listings
from app.master_books import MasterBooks
from app.parking_store import ParkingStore
from app.quarantine_store import QuarantineStore
from app.simulated import Receiver
from engine.break_kinds import BreakKind, Cause
from engine.model import Capacity
from feeds.registry import FEEDS
from feeds.simulator import Simulator
from feeds.universe import build
from tests.feeds.test_simulator_feeds import CALENDAR, DAYS, MARKETS, TODAY, live

SECOND = 10**9


def test_a_simulated_day_has_breaks_of_its_own(instance: str, tmp_path: Path) -> None:
    receiver = Receiver(f"{instance}.tables", MARKETS, CALENDAR, Capacity(securities=2_000, books=2_000, rows=200_000))
    kept = Kept(
        ParkingStore(tmp_path / "parked.db"),
        QuarantineStore(tmp_path / "quarantine.db"),
        MasterBooks(f"sqlite:///{tmp_path / 'master.db'}"),
    )
    try:
        live(Simulator(build(MARKETS, listings(), 400, 5, today=TODAY), DAYS, 1, apart=True), receiver, 20_000)
        rules = shipped(tuple(market.code for market in MARKETS))
        feeds = feed_rules.shipped(tuple(feed.name for feed in FEEDS))
        watch = Watch(receiver.machine.tables, rules, feeds, kept, list, tmp_path)
        assert not [one for one in watch.look({}, SECOND).facts.values() if one.kind == BreakKind.DEPOT], "not yet"
        seen = watch.look({}, 100 * SECOND)
        facts = list(seen.facts.values())
        by_kind = Counter(one.kind for one in facts)
        causes = Counter(one.causes[0].cause for one in facts if one.causes)
        assert by_kind[BreakKind.DEPOT] >= 10
        assert 1 <= by_kind[BreakKind.TD_SD] <= 60
        explained = [one for one in facts if one.kind == BreakKind.DEPOT and one.explained == abs(one.quantity)]
        assert len(explained) >= 0.6 * by_kind[BreakKind.DEPOT], "most is what settled since a statement"
        assert {Cause.UNMATCHED_INSTRUCTION, Cause.UNSETTLED_TRADE} <= causes.keys()
        assert not watch.measured.failed
        assert all(one.value is not None for one in facts if one.about.security)
        again = watch.look({}, 101 * SECOND)
        assert again.facts == seen.facts, "two looks at the same tables find the same"
    finally:
        receiver.close()
        for store in (kept.parked, kept.quarantine, kept.master):
            store.close()
