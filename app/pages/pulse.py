"""/pulse: how old the data is, and what makes it doubtful. Every page's frame asks."""

import time
from typing import Any, Final

import msgspec
from msgspec import Struct

from app import feed_rules
from app.feed_rules import DOUBTFUL, FeedState, HealthWord
from app.gateway import writer
from app.pages.login import Desk, Guarded
from engine.model import Concern
from engine.ring import FeedWord
from engine.views import Reader, SegmentMissingError, Tables, totals

_MS: Final = 1_000_000
_STATES: Final = {
    FeedState.STALE: "later than its limit",
    FeedState.MISSING: "read by nobody",
}
_encoder: Final = msgspec.json.Encoder()


class Pulse(Struct, frozen=True, omit_defaults=True):
    """As `app.gateway.messages.Stats`, as far as every page needs it."""

    now_ms: int
    state: str
    heartbeat_age_ms: int | None = None
    event_age_ms: int | None = None
    doubtful: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    """Feeds that make it so, in words. Not for who is kept to clients: feeds are everybody's."""


class PulseHandler(Guarded):
    """/pulse."""

    def initialize(self, desk: Desk, **own: Any) -> None:
        super().initialize(desk)
        self._reader: Reader = own["reader"]

    def get(self) -> None:
        """200 without an engine, too: that is what there is to tell."""
        login, now_ns = self.who_or_refuse(), time.time_ns()
        try:
            pulse = of_tables(self._reader.tables(), now_ns, whole=login.identity.clients is None)
        except SegmentMissingError:
            pulse = Pulse(now_ns // _MS, "down")
        self.set_header("Content-Type", "application/json")
        self.finish(_encoder.encode(pulse))


def of_tables(tables: Tables, now_ns: int, *, whole: bool) -> Pulse:
    """How the writer of these tables fares. `whole`: with the feeds that make it doubtful."""
    now, state = totals(tables), writer.state_of(tables, now_ns)
    return Pulse(
        now_ms=now_ns // _MS,
        state=state,
        heartbeat_age_ms=_age_ms(now_ns, now.heartbeat_ns),
        event_age_ms=_age_ms(now_ns, now.last_event_ns),
        doubtful=tuple(concern.name for concern in Concern if now.stale & concern),
        reasons=tuple(reasons(tables, now_ns)) if whole and state != "down" else (),
    )


def reasons(tables: Tables, now_ns: int) -> list[str]:
    """Each feed that is in doubt, for how long, and what hangs on it."""
    words = tables.array["feed"]
    told = []
    for number, rule in enumerate(feed_rules.shipped()):
        state = FeedState(int(words[number, HealthWord.STATE]))
        if state in DOUBTFUL:
            alive_ns = int(words[number, FeedWord.ALIVE_NS])
            late = (
                f" by {(now_ns - alive_ns) // 1_000_000_000 - rule.limit_s:,} s"
                if alive_ns and state == FeedState.STALE
                else ""
            )
            told.append(f"{rule.title}: {_STATES[state]}{late} ({', '.join(rule.concern).lower()})")
    return told


def _age_ms(now_ns: int, then_ns: int) -> int | None:
    return max(0, now_ns - then_ns) // _MS if then_ns else None
