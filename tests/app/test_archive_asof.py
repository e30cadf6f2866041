import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app import world
from app.archive_asof import asof
from engine.events import CORRECTION, DEAL_STEP
from engine.model import NO_DATE, RATE_UNKNOWN, Clock, DealAction, Decided, Flag, Kind, Op
from engine.ring import MOVE, Message
from tests.app.archived import archived, now, seen
from tests.engine.machines import MARKETS, TODAY, events, security_records

_EVENT = st.fixed_dictionaries(
    {
        "source": st.integers(1, 2),
        "seq": st.integers(1, 60),
        "security": st.integers(1, 3),
        "book": st.integers(1, 2),
        "depot": st.integers(0, 1),
        "kind": st.sampled_from([Kind.FIRM, Kind.CLIENT_FREE, Kind.SLAB_BORROW, Kind.EXTERNAL_FIRM]),
        "op": st.one_of(st.sampled_from([Op.SET, Op.BUY, Op.PRICE, Op.RESET_BOOK]), st.sampled_from(list(Op))),
        "quantity": st.integers(-5, 10_000),
        "settle_date": st.sampled_from([NO_DATE, *range(TODAY - 1, TODAY + 12)]),
        "flags": st.sampled_from([0, 0, 0, Flag.CANCEL, Flag.START_OF_DAY, Flag.QUANTO]),
    }
)
_DEAL = st.fixed_dictionaries(
    {
        "seq": st.integers(1, 60),
        "code": st.sampled_from([b"c1", b"c2", b"c3"]),
        "action": st.sampled_from(list(DealAction)),
        "security": st.integers(1, 3),
        "kind": st.sampled_from([Kind.SLAB_BORROW, Kind.OPEN_ORDER]),
        "op": st.sampled_from([Op.INCREASE, Op.DECREASE]),
        "quantity": st.integers(1, 5_000),
        "settle_date": st.integers(TODAY, TODAY + 9),
        "due_date": st.integers(TODAY, TODAY + 9),
        "rate": st.sampled_from([RATE_UNKNOWN, 4_200]),
    }
)
_STEP = st.one_of(
    st.lists(_EVENT, min_size=1, max_size=12),
    st.lists(_EVENT, min_size=1, max_size=12),
    st.tuples(st.just("decided"), st.integers(1, 3), st.sampled_from(list(Decided)), st.integers(0, 500)),
    st.tuples(st.just("clock"), st.integers(0, len(MARKETS) - 1), st.integers(0, 4), st.booleans()),
    st.tuples(st.just("fee"), st.integers(1, 3), st.integers(0, 90_000), st.just(0)),
    st.tuples(st.just("roll"), st.integers(1, 3), st.just(0), st.just(0)),
    st.tuples(st.just("rules"), st.integers(0, 1), st.just(0), st.just(0)),
    st.tuples(
        st.just("correct"),
        st.lists(_EVENT, min_size=1, max_size=6),
        st.lists(st.integers(1, 60), min_size=6, max_size=6),
        st.just(0),
    ),
    st.tuples(st.just("deal"), st.lists(_DEAL, min_size=1, max_size=6), st.just(0), st.just(0)),
    st.tuples(st.just("move"), st.integers(1, 3), st.integers(1, 3), st.integers(-1, 1)),
    st.tuples(st.just("snapshot"), st.just(0), st.just(0), st.just(0)),
    st.tuples(st.just("write"), st.integers(0, 1), st.just(0), st.just(0)),
)
_OTHER = tuple(
    dataclasses.replace(document, version=2, text=document.text.replace("weight: 0.5", "weight: 0.25"))
    for document in world.shipped_documents()
)
_BOOKS = (world.rule_book(), world.rule_book(_OTHER))


def _deals(rows: list[dict[str, Any]]) -> Any:
    steps = np.zeros(len(rows), DEAL_STEP)
    own = ("code", "action", "due_date", "rate")
    steps["event"] = events(*({name: value for name, value in row.items() if name not in own} for row in rows))
    for i, row in enumerate(rows):
        steps["end_date"][i] = NO_DATE
        for name in own:
            steps[name][i] = row[name]
    return steps


def _corrections(rows: list[dict[str, Any]], numbers: list[int]) -> Any:
    records = np.zeros(len(rows), CORRECTION)
    records["event"] = events(*rows)
    records["corrects"] = numbers[: len(rows)]
    return records


def _do(step: Any, of: Any) -> None:
    made = of.machine
    match step:
        case [dict(), *_]:
            made.apply(events(*step))
        case ("decided", security, what, quantity):
            made.set_decided(security, what, quantity)
        case ("clock", market, day, is_open):
            made.set_clock(market, Clock.LENDING_OPEN, day, is_open=is_open)
        case ("fee", security, fee, _):
            record = security_records(3)[security - 1 : security]
            record["fee"] = fee
            made.register(Message.SECURITIES, record)
        case ("roll", days, _, _):
            made.roll((made.tables.array["today"] + days).astype(np.int32))
        case ("rules", which, _, _):
            made.publish(_BOOKS[which])
        case ("correct", rows, numbers, _):
            made.correct(_corrections(rows, numbers))
        case ("deal", rows, _, _):
            made.step(_deals(rows))
        case ("move", source, target, back):
            move = (f"S{source}", f"S{target}", "", "", of.now_ns // 1_000 * back if back else 7)
            made.move(np.array([move], MOVE))
        case ("snapshot", _, _, _):
            of.snapshot()
        case ("write", killed, _, _):
            of.drain.step(at_once=True)
            if killed:
                of.restart_archive()


@settings(
    max_examples=6,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    steps=st.lists(_STEP, min_size=6, max_size=18),
    asked=st.lists(st.tuples(st.integers(0, 24), st.integers(1, 3)), min_size=2, max_size=2),
)
def test_what_the_archive_says_of_a_moment_is_what_the_machine_had(steps: Any, asked: Any) -> None:
    with tempfile.TemporaryDirectory() as folder, archived(Path(folder), "asof-live") as of:
        made = of.machine
        had = []
        for step in steps:
            _do(step, of)
            had.append((of.now_ns, {security: now(made, security) for security in (1, 2, 3)}))
        of.drain.step(at_once=True)
        for number, security in asked:
            at_ns, of_all = had[number % len(had)]
            from_beginning = asof(Path(folder), at_ns, f"S{security}")
            assert seen(from_beginning.copy) == of_all[security]
            from_snapshot = asof(Path(folder), at_ns, f"S{security}", of.snapshots)
            assert seen(from_snapshot.copy) == of_all[security]
