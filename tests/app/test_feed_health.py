"""How late a feed is, what is in doubt then, and which rules of it are refused."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from app import feed_rules
from app.feed_health import FeedHealth, judged
from app.feed_rules import FeedRule, FeedRulesError, FeedState, HealthWord
from app.trading_hours import trading
from engine.model import Concern, Market, Op
from engine.ring import FeedWord, Ring
from engine.state import Machine
from engine.tables import Word
from feeds.registry import FEEDS
from tests.engine.machines import events, machine

S = 1_000_000_000
NOW = 1_000_000 * S
RULES = feed_rules.read(
    """
- {feed: trades, title: Trades, limit_s: 10, concern: [SHARES]}
- {feed: prices, title: Prices, limit_s: 30, quiet_s: 60, concern: [MONEY]}
- {feed: reference, title: Reference, limit_s: 60, concern: [REFERENCE], required: true}
- {feed: swaps, title: Swaps, limit_s: 60, concern: [SHARES]}
"""
)
TRADES, PRICES, REFERENCE, SWAPS = range(4)


class Watched:
    """Two workers' rings and the health made of them."""

    def __init__(self, made: Machine, rings: list[Ring]) -> None:
        self.machine, self.rings = made, rings
        self.health = FeedHealth(made.tables, rings, RULES)
        self.machine.tables.state[Word.READY] = 1
        for feed in (TRADES, PRICES, REFERENCE):
            self.tell(0, feed)

    def tell(self, ring: int, feed: int, alive: int = NOW, received: int = NOW, **more: int) -> None:
        words = {"PARTITIONS": 3, "ALIVE_NS": alive, "RECEIVED_NS": received} | more
        for name, value in words.items():
            self.rings[ring].feeds[feed, FeedWord[name]] = value

    def at(self, now: int) -> tuple[FeedState, int]:
        """The state of trades, and what is in doubt."""
        self.health.tick(now)
        return self.state(TRADES), self.machine.tables.count(Word.STALE)

    def state(self, feed: int) -> FeedState:
        return FeedState(int(self.machine.tables.array["feed"][feed, HealthWord.STATE]))


@pytest.fixture
def watched(instance: str) -> Iterator[Watched]:
    with machine(instance) as made:
        rings = [Ring.create(f"{instance}.ring{i}", 1 << 16) for i in range(2)]
        yield Watched(made, rings)
        for ring in rings:
            ring.close()


def test_a_feed_is_stale_once_it_is_older_than_its_limit(watched: Watched) -> None:
    assert watched.at(NOW + S) == (FeedState.LIVE, 0)
    assert watched.at(NOW + 9 * S) == (FeedState.BEHIND, 0)
    assert watched.at(NOW + 10 * S + 1) == (FeedState.STALE, Concern.SHARES)
    watched.tell(0, TRADES, alive=NOW + 11 * S)
    assert watched.at(NOW + 11 * S) == (FeedState.LIVE, 0)


def test_each_feed_puts_in_doubt_what_depends_on_it(watched: Watched) -> None:
    watched.tell(0, TRADES, alive=NOW + 40 * S)
    watched.tell(0, REFERENCE, alive=NOW + 40 * S)
    assert watched.at(NOW + 40 * S)[1] == Concern.MONEY
    assert not watched.machine.inventory.stale


def test_late_positions_stop_decisions_and_late_prices_do_not(watched: Watched) -> None:
    watched.machine.tables.state[Word.HEARTBEAT_NS] = watched.machine.tables.state[Word.FEED_NS] = NOW
    watched.at(NOW + 11 * S)
    assert watched.machine.inventory.stale


def test_the_slowest_worker_says_how_old_a_feed_is_and_all_say_how_much_came(watched: Watched) -> None:
    watched.tell(0, TRADES, RECORDS=70, LAG=1, EVENT_NS=5)
    watched.tell(1, TRADES, alive=NOW - 20 * S, received=NOW - 3 * S, RECORDS=30, LAG=2, EVENT_NS=9)
    assert watched.at(NOW)[0] == FeedState.STALE
    words = watched.machine.tables.array["feed"][TRADES]
    assert [int(words[word]) for word in (FeedWord.RECORDS, FeedWord.LAG, FeedWord.PARTITIONS)] == [100, 3, 6]
    assert (int(words[FeedWord.EVENT_NS]), int(words[FeedWord.RECEIVED_NS])) == (9, NOW)


def test_a_worker_without_a_partition_of_a_feed_says_nothing_of_its_life(watched: Watched) -> None:
    watched.rings[1].feeds[TRADES, FeedWord.ALIVE_NS] = 1
    assert watched.at(NOW)[0] == FeedState.LIVE


def test_a_feed_that_must_not_rest_is_stale_when_nothing_comes(watched: Watched) -> None:
    watched.tell(0, PRICES, alive=NOW + 61 * S)
    watched.at(NOW + 61 * S)
    assert watched.state(PRICES) == FeedState.STALE
    assert watched.state(REFERENCE) == FeedState.STALE
    assert watched.state(SWAPS) == FeedState.OFF


def test_of_a_feed_that_never_rests_and_never_spoke_silence_counts_from_the_start(watched: Watched) -> None:
    watched.tell(0, PRICES, received=0)
    watched.machine.tables.state[Word.READY] = 0
    watched.at(NOW - 100 * S)
    assert watched.state(PRICES) != FeedState.STALE, "what was there at the start is still being read"
    watched.machine.tables.state[Word.READY] = 1
    for second, state in ((0, FeedState.LIVE), (60, FeedState.LIVE), (61, FeedState.STALE)):
        for feed in (TRADES, PRICES, REFERENCE):
            watched.tell(0, feed, alive=NOW + second * S, received=0)
        assert watched.at(NOW + second * S)[1] == (Concern.MONEY if state == FeedState.STALE else 0)
        assert watched.state(PRICES) == state
        assert watched.state(TRADES) == FeedState.LIVE, "one that may rest may have nothing to say all day"
    watched.tell(0, PRICES, alive=NOW + 62 * S, received=NOW + 62 * S)
    watched.at(NOW + 62 * S)
    assert watched.state(PRICES) == FeedState.LIVE


def test_whatever_is_made_of_a_feed_is_in_doubt_when_it_is_late() -> None:
    concerns = {rule.feed: rule.concerns for rule in feed_rules.shipped()}
    pools = {
        "availability",
        "external",
        "trades",
        "positions",
        "settlements",
        "contracts",
        "swaps",
        "orders",
        "attributes",
    }
    assert all(concerns[feed] & Concern.SHARES for feed in pools), (
        "pools are made of them: nothing is approved by itself"
    )
    assert {feed for feed, bits in concerns.items() if not bits} == {"locates", "order_requests"}
    assert concerns["depots"] == Concern.STATEMENTS
    assert [feed.name for feed in FEEDS if feed.concern & ~concerns[feed.name]] == [], "the schemas promise no more"


def test_a_late_availability_stops_decisions_and_a_late_statement_does_not(instance: str) -> None:
    rules = feed_rules.shipped()
    numbers = {rule.feed: number for number, rule in enumerate(rules)}
    with machine(instance) as made:
        ring = Ring.create(f"{instance}.ring0", 1 << 16)
        health = FeedHealth(made.tables, [ring], rules, lambda _: False)
        made.tables.state[Word.READY] = 1
        made.tables.state[Word.HEARTBEAT_NS] = made.tables.state[Word.FEED_NS] = NOW
        for late, stale in (("depots", False), ("availability", True)):
            for feed in ("events", "reference", "depots", "availability"):
                alive = NOW - 301 * S if feed == late else NOW
                ring.feeds[numbers[feed], [FeedWord.PARTITIONS, FeedWord.ALIVE_NS]] = 3, alive
            health.tick(NOW)
            assert made.tables.array["feed"][numbers[late], HealthWord.STATE] == FeedState.STALE
            assert made.inventory.stale == stale
        ring.close()


def test_a_feed_may_rest_while_no_market_trades() -> None:
    rule = FeedRule(feed="prices", title="Prices", limit_s=900, concern=("MONEY",), quiet_s=60)
    words = np.zeros(16, np.int64)
    words[[FeedWord.PARTITIONS, FeedWord.ALIVE_NS, FeedWord.RECEIVED_NS]] = 1, NOW, NOW
    assert judged(rule, words, NOW + 61 * S, ready=True) == FeedState.STALE
    assert judged(rule, words, NOW + 61 * S, ready=True, trading=False) == FeedState.BEHIND


def test_a_market_trades_in_the_hours_before_its_close_half_days_and_all() -> None:
    market = Market("AA", "XNYS", "America/New_York", "USD", "16:00", 1)
    closes = np.array([[960, 780, 0]], np.int32)  # a whole day, a half day, no session
    is_trading = trading([market], closes, 20_787)
    utc_h = [15, 20.9, 21, 24 + 15, 24 + 18, 48 + 16, 99]  # New York is five hours behind
    times = [round((20_787 * 24 + hours) * 3_600) * 10**9 for hours in utc_h]
    assert [is_trading(at) for at in times] == [True, True, False, True, False, False, False]


def test_a_required_feed_that_nobody_reads_is_missing_once_the_service_is_ready(watched: Watched) -> None:
    watched.tell(0, REFERENCE, PARTITIONS=0)
    assert watched.at(NOW)[1] == Concern.REFERENCE
    assert watched.state(REFERENCE) == FeedState.MISSING
    watched.machine.tables.state[Word.READY] = 0
    assert watched.at(NOW)[1] == 0


def test_a_service_that_reads_no_positions_at_all_is_stale(watched: Watched) -> None:
    watched.tell(0, TRADES, PARTITIONS=0)
    assert watched.at(NOW)[1] & Concern.SHARES


def test_workers_that_say_nothing_at_all_make_everything_doubtful(watched: Watched) -> None:
    watched.machine.tables.state[Word.FEED_NS] = NOW
    watched.tell(0, TRADES, alive=NOW + 11 * S)
    assert watched.at(NOW + 11 * S)[1] == Concern.SHARES | Concern.MONEY


def test_rates_are_kept_and_a_worker_that_begins_anew_makes_none_negative(watched: Watched) -> None:
    for second, records in enumerate((100, 300, 500, 20, 60)):
        watched.tell(0, TRADES, RECORDS=records)
        watched.at(NOW + 2 * second * S)
    assert watched.health.rates(TRADES) == [100.0, 100.0, 20.0]


def test_gaps_belong_to_the_feed_that_their_source_comes_through(watched: Watched) -> None:
    rows: list[dict[str, Any]] = [
        {"quantity": 5, "topic": PRICES, "seq": 1},
        {"quantity": 5, "topic": PRICES, "seq": 9},
    ]
    watched.machine.apply(events(*(row | {"op": Op.SET} for row in rows)))
    watched.at(NOW)
    assert (watched.health.gaps(PRICES), watched.health.gaps(TRADES)) == (7, 0)
    assert watched.machine.gaps(1) == [(2, 8)]


def test_the_rules_that_are_shipped_are_those_of_the_feeds_there_are() -> None:
    names = tuple(feed.name for feed in FEEDS)
    assert [rule.feed for rule in feed_rules.shipped(names)] == list(names)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {feed: a, title: A, limit_s: 0, concern: []}", "limit_s"),
        ("- {feed: a, title: A, limit_s: 5, concern: [LUNCH]}", "LUNCH"),
        ("- {feed: a, title: A, limit_s: 5, concern: [], colour: red}", "colour"),
        ("- {feed: a, title: A, limit_s: 5, concern: []}\n" * 2, "twice"),
        ("- {feed: c, title: C, limit_s: 5, concern: []}", "a, b, c"),
        ("- {feed: b, title: B, limit_s: 5, concern: []}\n- {feed: a, title: A, limit_s: 5, concern: []}", "order"),
        ("- [", "feeds.yaml"),
    ],
)
def test_rules_that_cannot_be_used_are_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(FeedRulesError, match=said):
        feed_rules.read(text, ("a", "b"))
