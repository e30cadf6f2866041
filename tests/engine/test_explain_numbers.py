"""Every number of every machine explains itself to the share, whatever the events and the rules."""

import datetime as dt
import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from app import world
from engine.events import empty
from engine.explain import Explanation, InputKind, explain, share
from engine.explain_split import By, split
from engine.model import DAYS, NO_DATE, Decided, Flag, Kind, Op
from engine.parties import Parties
from engine.records import BOOK
from engine.ring import Message
from engine.rule_model import Document, Scope
from engine.state import Machine
from engine.tables import Tables
from tests.engine.machines import SMALL, TODAY, events, machine, named

CLIENTS, UNITS = ("C1", "C2"), ("A1", "A2")
DECIDED = dict(zip(Decided, (7, 11, 4_000, 3_000, 500, 1_000, 13), strict=True))

event = st.fixed_dictionaries(
    {
        "security": st.sampled_from([2, 3]),
        "book": st.integers(1, 4),
        "depot": st.integers(0, 3),
        "kind": st.sampled_from(list(Kind)),
        "op": st.sampled_from([op for op in Op if op != Op.RESET_BOOK]),
        "quantity": st.one_of(st.integers(0, 1_000), st.integers(-1_000, 10**10)),
        "settle_date": st.one_of(st.integers(TODAY, TODAY + 8), st.just(NO_DATE)),
        "trade_date": st.integers(TODAY - 1, TODAY),
        "flags": st.sampled_from([0, 0, Flag.CANCEL, Flag.START_OF_DAY]),
    }
)
weight = st.integers(-20_000, 20_000).map(lambda n: n / 10_000)
condition = st.sampled_from(
    [
        "depot = 'D1'",
        "client = 'C1' AND depot <> 'D2'",
        "day >= 3 OR book = 'B2'",
        "market = 'TW'",
        "entity = 'E1' AND position_type IN ('FIRM', 'SLAB_BORROW')",
        "NOT (aggregation_unit = 'A1')",
    ]
)
rule = st.fixed_dictionaries(
    {
        "calculation": st.sampled_from(["for_loan", "locate_pool", "for_pledge", "client_long", "au_short"]),
        "input": st.sampled_from(["firm_long", "client_free", "borrowed", "shorts", "external_firm"]),
        "weight": weight,
        "condition": st.one_of(st.just(""), condition),
        "measure": st.sampled_from(["", "", "td_long", "sd_net"]),
        "later": st.sampled_from([0, 0, 2]),
    }
)


@contextmanager
def busy(name: str, rows: Sequence[dict[str, Any]], rules: Sequence[dict[str, Any]] = ()) -> Iterator[Machine]:
    """A machine to which all of this happened, with books of clients and aggregation units."""
    documents = (*world.shipped_documents(), Document("desk", 1, _text(rules))) if rules else None
    with machine(name, replace(SMALL, components=60), book=world.rule_book(documents)) as made:
        books = named(BOOK, "B", 4)
        books["client"] = ["C1", "C2", "C1", ""]
        books["entity"] = ["E1", "E1", "E2", ""]
        books["aggregation_unit"] = ["A1", "A2", "A2", ""]
        made.register(Message.BOOKS, books)
        batch = empty(len(rows))
        for i, row in enumerate(rows):
            for column, content in ({"source": 1, "seq": i + 1, "time_ns": i} | row).items():
                batch[i][column] = content
        made.apply(batch)
        for what, quantity in DECIDED.items():
            made.set_decided(2, what, quantity)
        yield made


def _text(rules: Sequence[dict[str, Any]]) -> str:
    """A document of these rules, each with a priority of its own."""
    lines = ["format: 1", "document: desk", "title: Desk", "effective_from: 2020-01-01", "rules:"]
    for number, each in enumerate(rules):
        fields = {name: each[name] for name in ("calculation", "input", "weight")}
        fields |= {"id": f"desk.{number}", "priority": 200 + number, "note": f'"the {number}th"'}
        fields |= {name: f'"{each[name]}"' for name in ("condition", "measure") if each[name]}
        if each["later"]:
            fields["effective_from"] = dt.date(1970, 1, 1) + dt.timedelta(days=TODAY + each["later"])
        lines.append("  - {" + ", ".join(f"{name}: {content}" for name, content in fields.items()) + "}")
    return "\n".join(lines)


def explained(made: Machine) -> Iterator[Explanation]:
    """Every number there is, explained."""
    for security, info, day in itertools.product((2, 3), made.tables.catalogue.calculations, range(DAYS)):
        match info.scope:
            case Scope.CLIENT:
                for client in CLIENTS:
                    yield explain(made.tables, security, info.name, day, client=client, decided=DECIDED)
            case Scope.AU:
                for unit in UNITS:
                    yield explain(made.tables, security, info.name, day, aggregation_unit=unit, decided=DECIDED)
            case _:
                yield explain(made.tables, security, info.name, day)


def assert_exact(made: Machine, whole: Explanation) -> None:
    """Inputs, rules and rows of a number add up to it."""
    assert whole.evaluated() == whole.value
    assert sum(each.share for each in whole.inputs) == whole.total
    for each in whole.inputs:
        assert each.share == (0 if each.weight is None else share(each.quantity, each.weight))
        assert (each.weight is None) == (not each.rule)
        if each.kind == InputKind.ROWS:
            assert int(each.given.sum()) == each.quantity
            assert each.condition
            assert (each.given != 0).all()
        if each.nested is not None:
            assert each.nested.value == each.quantity
            assert_exact(made, each.nested)


@settings(max_examples=30)
@given(st.lists(event, min_size=1, max_size=40))
def test_every_number_on_every_day_explains_itself(rows: list[dict[str, Any]]) -> None:
    with busy("explain", rows) as made:
        tables = made.tables
        for whole in explained(made):
            assert_exact(made, whole)
            if whole.calculation.scope == Scope.SECURITY:
                at = tables.catalogue.calculation(whole.calculation.name)
                assert whole.value == tables.array["values"][whole.copy.security, at, whole.day]
            for by in By:
                assert sum(split(whole, by).values()) == whole.value


@settings(max_examples=20)
@given(st.lists(event, min_size=1, max_size=40), st.lists(rule, min_size=1, max_size=6))
def test_rules_that_divide_terms_by_rows_and_dates_explain_themselves(
    rows: list[dict[str, Any]], rules: list[dict[str, Any]]
) -> None:
    with busy("explain-rules", rows, rules) as made:
        for whole in explained(made):
            assert_exact(made, whole)
            for by in By:
                assert sum(split(whole, by).values()) == whole.value


@settings(max_examples=20)
@given(st.lists(event, min_size=1, max_size=40), st.lists(rule, max_size=4))
def test_numbers_of_clients_and_units_are_the_same_asked_fast_and_explained(
    rows: list[dict[str, Any]], rules: list[dict[str, Any]]
) -> None:
    with busy("explain-parties", rows, rules) as made:
        parties = Parties(made.tables)
        owners = [(Scope.CLIENT, name) for name in CLIENTS] + [(Scope.AU, name) for name in UNITS]
        for security, (scope, owner) in itertools.product((2, 3), owners):
            numbers = parties.numbers(made.compiled, scope, security, owner, DECIDED)
            assert numbers
            client, unit = (owner, None) if scope == Scope.CLIENT else (None, owner)
            for (name, days), day in itertools.product(numbers.items(), range(DAYS)):
                told = explain(made.tables, security, name, day, client=client, aggregation_unit=unit, decided=DECIDED)
                assert told.value == days[day]


@settings(max_examples=40)
@given(st.lists(event, min_size=1, max_size=40))
def test_a_group_of_a_split_holds_just_its_rows(rows: list[dict[str, Any]]) -> None:
    with busy("explain-groups", rows) as made:
        whole = explain(made.tables, 2, "projected_position", 1)
        held = [np.array(names) for names in (whole.copy.rows.depot, whole.copy.rows.client)]
        for by, names in zip((By.DEPOT, By.CLIENT), held, strict=True):
            groups = split(whole, by)
            assert set(groups) <= set(names.tolist())
            exact = dict.fromkeys(groups, 0)
            for each in whole.inputs:
                for place, quantity in zip(each.rows.tolist(), each.given.tolist(), strict=True):
                    if names[place] in exact:
                        exact[names[place]] += quantity * (each.weight or 0)
            # a share that rounding takes goes to one of the groups of its input
            assert all(abs(groups[name] * 10_000 - exact[name]) < 10_000 * len(whole.inputs) for name in groups)


def test_explanations_are_of_one_moment_while_the_writer_writes(instance: str) -> None:
    rows = [{"op": Op.BUY, "security": 2, "book": book, "kind": Kind.FIRM, "quantity": book} for book in (1, 2, 3)]
    rows = [row | {"depot": 1, "trade_date": TODAY, "settle_date": TODAY, "flags": 0} for row in rows]
    with busy(instance, rows) as made:
        go, done = threading.Semaphore(0), threading.Event()

        def write() -> None:
            numbers = itertools.count(100)
            while go.acquire() and not done.is_set():
                for _ in range(5):
                    made.apply(events(*rows, first_seq=next(numbers) * 3))

        tables = Tables.attach(f"{instance}.tables")
        writer = threading.Thread(target=write)
        writer.start()
        try:
            seen: set[int] = set()
            while len(seen) < 50:
                go.release()
                whole = explain(tables, 2, "remaining", 1)
                assert_exact(made, whole)
                seen.add(next(each.nested.value for each in whole.inputs if each.nested is not None))
        finally:
            done.set()
            go.release()
            writer.join()
            tables.close()
