"""Whatever is written, it is read or refused; whatever is read, compiles to what the rules say."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.expression import Code
from engine.model import DAYS
from engine.rule_model import Document, RulesError
from engine.rule_sql import read_condition, read_expression
from engine.rule_text import read_documents
from engine.rule_tokens import SqlError, SqlProblem
from tests.engine.program_runner import run
from tests.engine.rule_books import MONDAY, compiled, problems_of, read, shipped, small

Row = Mapping[str, Any]
TEXTS = shipped()
WORDS = (
    "position_type recall_days day designated total for_loan AND OR NOT IN BETWEEN LIKE IS NULL TRUE ( ) , + - * / = <> < "
    "'FIRM' 'x' 0 1 99999999999999999999 1.5 greatest least value convert coalesce lower starts_with ; -- \" ` % :: || é \x00"
).split(" ")


# anything may be written


@given(st.text(max_size=200))
def test_any_text_is_a_document_or_a_refusal(text: str) -> None:
    for problem in problems_of({"default": text}):
        assert problem.message
        assert problem.document == "default"


@settings(max_examples=80)
@given(st.data())
def test_a_document_changed_anywhere_is_a_document_or_a_refusal(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(TEXTS)))
    text = TEXTS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(text)))
        end = min(len(text), begin + data.draw(st.integers(0, 30)))
        new = data.draw(
            st.one_of(
                st.text(max_size=8), st.sampled_from([*WORDS, "\n", "  ", ": ", "- ", "{", "[", "&a", "*a", "!!"])
            )
        )
        text = text[:begin] + new + text[end:]
    for problem in problems_of({**TEXTS, name: text}):
        lines = {**TEXTS, name: text}[problem.document].split("\n")
        assert 0 <= problem.line <= len(lines) + 1
        assert problem.column >= 0


@given(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join) | st.text(max_size=40))
def test_any_words_are_sql_or_a_refusal_that_points_into_them(text: str) -> None:
    for reader in (read_condition, read_expression):
        for problem in _said(reader, text):
            assert 0 <= problem.begin <= problem.end <= max(1, len(text)), problem


def _said(reader: Callable[[str], object], text: str) -> tuple[SqlProblem, ...]:
    try:
        reader(text)
    except SqlError as error:
        return error.problems or (SqlProblem("refused without a word", -1, -1),)
    return ()


# what compiles is what the rules say


@dataclass(frozen=True)
class Asked:
    """A condition twice: for the machine and for the reader."""

    sql: str
    holds: Callable[[Row, int], bool]


def soon(row: Row, least: int, most: int) -> bool:
    """Whether the event is known and in so many days."""
    return row["event_days"] is not None and least <= row["event_days"] <= most


CONDITIONS = (
    Asked("designated", lambda row, _: row["designated"]),
    Asked("NOT designated AND country <> 'US'", lambda row, _: not row["designated"] and row["country"] != "US"),
    Asked("country IN ('US', 'DE')", lambda row, _: row["country"] in ("US", "DE")),
    Asked("recall_days > day", lambda row, day: row["recall_days"] > day),
    Asked("event_days BETWEEN day AND day + 1", lambda row, day: soon(row, day, day + 1)),
    Asked("NOT event_days = 2", lambda row, _: soon(row, 0, 1) or soon(row, 3, 9)),
    Asked("event_days IS NULL OR country LIKE 'D%'", lambda row, _: not soon(row, 0, 9) or row["country"] == "DE"),
    Asked("coalesce(event_days, 9) >= 2 + day", lambda row, day: not soon(row, 0, 1 + day)),
)
BY_SQL = {asked.sql: asked.holds for asked in CONDITIONS}
MEASURES = ("long", "short", "net", "reserved")
TERMS = {"a": ("position_type = 'FIRM'", "long"), "b": ("position_type <> 'FIRM'", "net"), "all": ("TRUE", "net")}
MARKETS = ("US", "TW", "KR")

dates = st.none() | st.integers(-1, 5).map(lambda n: MONDAY + dt.timedelta(days=n))
rows = st.fixed_dictionaries(
    {
        "position_type": st.sampled_from(["FIRM", "SLAB_BORROW"]),
        "designated": st.booleans(),
        "country": st.sampled_from(["US", "DE", "KR"]),
        "recall_days": st.integers(0, 5),
        "event_days": st.none() | st.integers(0, 6),
        "gives": st.fixed_dictionaries(
            {m: st.lists(st.integers(-50, 50), min_size=DAYS, max_size=DAYS) for m in MEASURES}
        ),
    }
)
rules = st.lists(
    st.fixed_dictionaries(
        {
            "calculation": st.sampled_from(["c", "d"]),
            "input": st.sampled_from(["a", "b", "all", "c"]),
            "weight": st.integers(-30_000, 30_000),
            "condition": st.just("") | st.sampled_from([asked.sql for asked in CONDITIONS]),
            "measure": st.none() | st.sampled_from(MEASURES),
            "markets": st.lists(st.sampled_from(MARKETS), unique=True, max_size=2),
            "effective_from": dates,
            "effective_to": dates,
        }
    ),
    max_size=9,
)


def written(chosen: list[dict[str, Any]]) -> str:
    """The rules as text; each has a priority of its own."""
    lines = []
    for i, rule in enumerate(chosen):
        told = {**rule, "weight": rule["weight"] / 10_000, "id": f"r{i}", "priority": i % 7 * 10 + i}
        given_ = {key: value for key, value in told.items() if value not in (None, "", [])}
        quoted = {key: f'"{value}"' if key == "condition" else value for key, value in given_.items()}
        lines.append("  - {" + ", ".join(f"{key}: {_yaml(value)}" for key, value in quoted.items()) + "}\n")
    return "".join(lines)


def _yaml(value: Any) -> str:
    return f"[{', '.join(value)}]" if isinstance(value, list) else str(value)


def usable(chosen: list[dict[str, Any]]) -> bool:
    return all(
        (not (rule["condition"] or rule["measure"]) or rule["input"] != "c")
        and not (rule["calculation"] == rule["input"] == "c")
        and not (rule["effective_from"] and rule["effective_to"] and rule["effective_from"] > rule["effective_to"])
        for rule in chosen
    )


def slow_total(
    chosen: list[dict[str, Any]], calculation: str, positions: list[Row], market: str, day: int, c: int
) -> int:
    """Row by row: the rule of the highest priority that is in force and holds takes it; rules round by themselves."""
    date = MONDAY + dt.timedelta(days=day)
    total = 0
    for name in ("a", "b", "all", "c"):
        asked = [
            (i % 7 * 10 + i, rule)
            for i, rule in enumerate(chosen)
            if (rule["calculation"], rule["input"]) == (calculation, name)
            and (not rule["markets"] or market in rule["markets"])
            and (rule["effective_from"] or date) <= date <= (rule["effective_to"] or date)
        ]
        asked.sort(key=lambda one: -one[0])
        given_ = [0] * len(asked)
        if name == "c":
            given_[:1] = [c] * len(given_[:1])
        for row in positions if name != "c" else []:
            if name == "all" or (row["position_type"] == "FIRM") == (name == "a"):
                for i, (_, rule) in enumerate(asked):
                    if not rule["condition"] or BY_SQL[rule["condition"]](row, day):
                        given_[i] += row["gives"][rule["measure"] or TERMS[name][1]][day]
                        break
        for quantity, (_, rule) in zip(given_, asked, strict=True):
            share = quantity * abs(rule["weight"]) // 10_000
            total += share if rule["weight"] >= 0 else -share
    return total


@settings(max_examples=200)
@given(rules, st.lists(rows, max_size=8))
def test_compiled_rules_make_what_a_slow_reader_of_them_makes(
    chosen: list[dict[str, Any]], positions: list[Row]
) -> None:
    assume(usable(chosen))
    terms = "\n".join(
        f'  {name}: {{rows: "{condition}", measure: {measure}}}'
        for name, (condition, measure) in TERMS.items()
        if name not in ("a", "b")
    )
    texts = small(terms=terms, calculations="  d: {expression: total + all + c * 2}", rules=written(chosen))
    texts["default"] = texts["default"].replace("c: {expression: total}", "c: {expression: total + b - all}")
    texts["default"] = texts["default"].replace("= 'SLAB_BORROW'\", measure: long", "<> 'FIRM'\", measure: net")
    machine = compiled(read(texts), MARKETS)
    members = machine.members({name: [row[name] for row in positions] for name in machine.attributes})
    measures = [info.measure for info in machine.catalogue.components]
    names = [info.name for info in machine.catalogue.calculations]
    for at, market in enumerate(MARKETS):
        for day in range(DAYS):
            kept = [
                sum(row["gives"][measure][day] for i, row in enumerate(positions) if members[component, i] >> day & 1)
                for component, measure in enumerate(measures)
            ]
            values: list[int] = []
            for program in machine.programs[at]:
                values.append(run(machine, program, day, lambda code, i: kept[i] if code == Code.TERM else values[i]))  # noqa: B023  run at once
            whole = {name: _whole(positions, name, day) for name in TERMS}
            c = slow_total(chosen, "c", positions, market, day, 0) + whole["b"] - whole["all"]
            d = slow_total(chosen, "d", positions, market, day, c) + whole["all"] + 2 * c
            assert (values[names.index("c")], values[names.index("d")]) == (c, d), (market, day)


def _whole(positions: list[Row], name: str, day: int) -> int:
    measure = TERMS[name][1]
    of = [row for row in positions if name == "all" or (row["position_type"] == "FIRM") == (name == "a")]
    return sum(row["gives"][measure][day] for row in of)


@settings(max_examples=12)
@given(st.permutations(sorted(TEXTS)))
def test_the_order_of_documents_changes_no_number(order: list[str]) -> None:
    one = compiled(read(TEXTS))
    other = compiled(read({name: TEXTS[name] for name in order}))
    names = [info.name for info in one.catalogue.calculations]
    assert sorted(names) == sorted(info.name for info in other.catalogue.calculations)
    for market in range(len(one.programs)):
        for name in names:
            of = [
                sorted(
                    (i.name, i.weights, i.rule)
                    for i in machine.catalogue.inputs[market][machine.catalogue.calculation(name)]
                )
                for machine in (one, other)
            ]
            assert of[0] == of[1]


def test_reading_says_nothing_but_its_own_error() -> None:
    for text in (
        "!!python/object/apply:os.system [ls]",
        "? [a]\n: b",
        "a: !!binary x",
        "%YAML 9.9\n---\na",
        "<<: *a",
        "\ud800",
    ):
        try:
            read_documents([Document("x", 1, text)])
        except RulesError:
            continue
        raise AssertionError(text)
