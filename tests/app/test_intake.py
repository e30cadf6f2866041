"""From the rings into the machine."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from app.intake import Intake
from engine.graph import build
from engine.registry import CapacityError
from engine.ring import PROGRESS, Message, Ring
from engine.state import Machine
from engine.tables import Word
from feeds.quarantine import Decoded, Unreadable, encode
from tests.engine.machines import SMALL, events, machine, security_records


@contextmanager
def _intake(instance: str, rings: int = 1) -> Iterator[tuple[Machine, list[Ring], Intake, list[Unreadable], list[int]]]:
    kept: list[Unreadable] = []
    refused: list[int] = []
    with machine(instance) as made:
        graph = build(made, None, lambda _, outcomes: refused.extend(outcomes.tolist()))
        own = [Ring.create(f"{instance}.ring{i}") for i in range(rings)]
        yield made, own, Intake(made, graph, own, kept.extend), kept, refused
        for ring in own:
            ring.close()


def test_reference_is_known_before_the_events_behind_it_and_events_before_the_reference_behind_them(
    instance: str,
) -> None:
    with _intake(instance) as (made, (ring,), intake, _, refused):
        ring.push(Message.EVENTS, events({"quantity": 5, "security": 2}))
        ring.push(Message.SECURITIES, security_records(12))
        ring.push(Message.EVENTS, events({"quantity": 7, "security": 12}, first_seq=2))
        while intake.drain():
            pass
        assert made.tables.count(Word.SECURITIES) == 12
        assert made.tables.count(Word.EVENTS) == 2
        assert refused == []
        assert ring.drained


def test_what_cannot_be_decoded_is_kept(instance: str) -> None:
    with _intake(instance) as (_made, (ring,), intake, kept, _):
        bad = [
            Unreadable("t", 1, 9, "malformed", "not JSON", b"{"),
            Unreadable("t", 1, 10, "invalid_field", "", b"x", 3),
        ]
        ring.push(Message.QUARANTINE, np.frombuffer(encode(bad), np.uint8))
        intake.drain()
        assert kept == bad


def test_ready_waits_for_every_feed(instance: str) -> None:
    with _intake(instance, rings=2) as (made, rings, intake, _, _refused):
        rings[0].ready = True
        rings[1].push(Message.EVENTS, events({"quantity": 5}))
        intake.drain()
        assert made.tables.count(Word.READY) == 0
        rings[1].ready = True
        intake.drain()
        assert made.tables.count(Word.READY) == 1


def test_one_silent_feed_makes_the_inputs_stale(instance: str) -> None:
    with _intake(instance, rings=2) as (made, rings, intake, _, _refused):
        now = time.time_ns()
        for ring in rings:
            ring.ready, ring.alive_ns = True, now
        intake.drain()
        made.tick(now)
        assert not made.inventory.stale
        rings[0].alive_ns = now + 20_000_000_000
        intake.drain()
        made.tick(now + 20_000_000_000)
        assert made.inventory.stale


def test_a_refused_event_comes_out_with_its_outcome(instance: str) -> None:
    with _intake(instance) as (made, (ring,), intake, _, refused):
        ring.push(Message.EVENTS, events({"quantity": -5, "op": 0}))
        intake.drain()
        assert made.tables.count(Word.REJECTED) == 1
        assert refused == [5]


def test_a_full_table_stops_whoever_feeds(instance: str) -> None:
    rows = [
        {"quantity": 1, "security": 1 + i % 8, "book": 1 + i // 8 % 4, "depot": i // 32} for i in range(SMALL.rows + 1)
    ]
    with _intake(instance) as (_, (ring,), intake, _kept, _refused):
        ring.push(Message.EVENTS, events(*rows))
        with pytest.raises(CapacityError):
            intake.drain()


def test_progress_is_true_only_when_the_events_before_it_are_applied_and_breaks_no_batch(instance: str) -> None:
    with _intake(instance) as (made, (ring,), intake, _, _refused):
        for first in (1, 2, 3):
            ring.push(Message.EVENTS, events({"quantity": 5}, first_seq=first))
            ring.push(Message.PROGRESS, np.array([(3, 1, 0, 10 * first)], PROGRESS))
        intake.drain()
        assert made.tables.count(Word.EVENTS) == 3
        assert made.tables.count(Word.BATCHES) == 1
        assert made.tables.array["applied"][3, 1] == 30


def test_what_is_decoded_again_later_is_used_in_its_order_and_reference_data_is_told_of_at_once(instance: str) -> None:
    with machine(instance) as made:
        graph = build(made, None, lambda _events, _outcomes: None)
        told: list[tuple[Message, int]] = []
        intake = Intake(made, graph, [], lambda _: None, lambda kind, rows: told.append((kind, rows.size)))
        records = security_records(12)
        intake.use(Decoded(events({"quantity": 7, "security": 12}), messages=[(Message.SECURITIES, records)]))
        assert told == [(Message.SECURITIES, records.size)]
        assert (made.tables.count(Word.EVENTS), made.tables.count(Word.REJECTED)) == (1, 0)
