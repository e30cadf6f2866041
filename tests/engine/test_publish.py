"""What cannot be published changes nothing."""

import dataclasses

import numpy as np
import pytest

from engine.model import Kind
from engine.rule_model import RuleBook, RulesError
from tests.engine.machines import SMALL, events, machine


def _talkative(book: RuleBook) -> RuleBook:
    return dataclasses.replace(book, rules=tuple(dataclasses.replace(rule, note="x" * 5_000) for rule in book.rules))


def test_rules_that_say_more_than_is_kept_are_refused_and_the_old_ones_stay(instance: str) -> None:
    with machine(instance) as made:
        made.apply(events({"quantity": 700, "kind": Kind.FIRM}))
        before, book, version = made.tables.array["values"].copy(), made.book, made.tables.catalogue.version
        with pytest.raises(RulesError, match="bytes, at most"):
            made.publish(_talkative(book))
        assert made.book is book
        assert made.tables.catalogue.version == version
        assert np.array_equal(made.tables.array["values"], before)
        made.apply(events({"quantity": 900, "kind": Kind.FIRM}, first_seq=2))
        assert made.tables.array["values"][2, made.tables.catalogue.playing("lend"), 0] == 900


def test_rules_that_need_more_sums_than_there_is_room_for_name_the_setting(instance: str) -> None:
    with (
        pytest.raises(RulesError, match="--capacity-components"),
        machine(instance, dataclasses.replace(SMALL, components=8)),
    ):
        pytest.fail("a machine without room for its rules has begun")
