"""Documents of rules that cannot be used are refused whole, every problem listed at once, each with its place."""

import datetime as dt

import pytest

from engine.rule_model import Document, Measure, RulesError
from engine.rule_reader import LONGEST
from engine.rule_text import read_documents
from tests.engine.rule_books import problems_of, read, shipped, small

ANY_ROW = 'rows: "TRUE", measure: ca_pending'
COST = "expression: value(position * 100, price)"

# document, a text that is there once, what stands there instead («: where the problem is), what is said
BAD: list[tuple[str, str, str, str]] = [
    # weights
    (
        "tw",
        "input: borrowed\n    weight: 0\n    note: Borrowed stock may not be lent on.\n  - calculation: for_loan_with",
        "input: borrowed\n    weight: «lots\n    note: Borrowed stock may not be lent on.\n  - calculation: for_loan_with",
        "weight: a number of at most four places between -1,000 and 1,000 is needed, not 'lots'",
    ),
    ("tw", "weight: 0.25", "weight: «0.00001", "at most four places"),
    ("tw", "weight: 0.25", "weight: «1e3", "at most four places"),
    ("tw", "weight: 0.25", "weight: «.nan", "at most four places"),
    ("tw", "weight: 0.25", "weight: «true", "at most four places"),
    ("tw", "weight: 0.25", "weight: «1001", "at most four places"),
    ("tw", "weight: 0.25", "weight: «[1]", "weight: a number of"),
    ("tw", "weight: 0.25", "weight: ", "weight: a number of"),
    (
        "default",
        "«{calculation: for_loan, input: firm_long, weight: 1}",
        "«{calculation: for_loan, input: firm_long}",
        "a rule needs weight",
    ),
    # dates and priorities
    (
        "tw",
        "weight: 0.1\n    effective_from: 2020-01-01",
        "weight: 0.1\n    effective_from: «soon",
        "effective_from: a date like 2026-01-31 is needed, not 'soon'",
    ),
    (
        "tw",
        "weight: 0.1\n    effective_from: 2020-01-01",
        "weight: 0.1\n    effective_from: «2021-02-29",
        "a date like",
    ),
    (
        "tw",
        "weight: 0.1\n    effective_from: 2020-01-01",
        "weight: 0.1\n    effective_from: 2020-01-01\n    effective_to: «2019-12-31",
        "ends on 2019-12-31, before it begins on 2020-01-01",
    ),
    ("tw", "weight: 0.25", "weight: 0.25\n    priority: «high", "priority: a whole number is needed, not 'high'"),
    ("tw", "weight: 0.25", "weight: 0.25\n    priority: «1.5", "priority: a whole number is needed, not '1.5'"),
    # names
    ("kr", "- calculation: au_short", "- calculation: «au_shorts", "no calculation 'au_shorts': au_short?"),
    ("kr", "input: au_external", "input: «au_externals", "no term and no calculation 'au_externals': au_external?"),
    ("kr", "- calculation: au_short", "- calculation: «au_net", "no calculation 'au_net'"),
    ("default", "  borrow_cost:\n", "  «BorrowCost:\n", "'BorrowCost' is no name"),
    ("default", "  borrow_cost:\n", "  «greatest:\n", "'greatest' is a word of expressions"),
    ("default", "  borrow_cost:\n", "  «fee:\n", "'fee' is already a term"),
    ("hk", "  undesignated:\n", "  «borrowed:\n", "'borrowed' is already a term"),
    ("default", "  borrow_cost:\n", "  «for_loan:\n", "'for_loan' is there twice"),
    ("kr", "- calculation: au_short\n", "- id: «tw.only one\n    calculation: au_short\n", "is no id"),
    (
        "kr",
        "- calculation: au_short\n",
        "- id: «for_loan.borrowed\n    calculation: au_short\n",
        "there is another rule",
    ),
    # fields
    ("tw", "weight: 0.25", "«wieght: 0.25\n    weight: 0.25", "a rule has no 'wieght': weight?"),
    ("tw", "weight: 0.25", "weight: 0.25\n    «weight: 0.5", "'weight' is there twice"),
    ("tw", "title: Taiwan", "«titel: Taiwan", "a document has no 'titel': title?"),
    ("tw", "markets: [TW]", "markets: «[]", "markets: at least one is needed"),
    ("tw", "markets: [TW]", "markets: [TW, «TW]", "markets: 'TW' is there twice"),
    ("tw", "weight: 0.25", "weight: 0.25\n    markets: [«JP]", "market 'JP' is not one of the document's"),
    ("us", "rules: []", "rules: «{}", "rules is a list"),
    ("us", "rules: []", "rules: [«hello]", "a rule is a mapping of names to values"),
    ("us", "rules: []", "rules: []\nterms: «[x]", "terms is a mapping of names to values"),
    ("us", "document: us", "document: «usa", "is named 'usa', not 'us'"),
    # terms
    ("default", "measure: free,\n", "measure: «fre,\n", "measure: one of long, short, free"),
    ("default", "source: volume_30d", "source: «volume", "source: one of price, fx"),
    (
        "default",
        "«fx: {title: FX, measure: fact, source: fx}",
        "«fx: {title: FX, measure: fact}",
        "'fx' says no source",
    ),
    (
        "default",
        "measure: fact, source: fx}",
        "measure: fact, source: fx, rows: «'TRUE'}",
        "a term of fact has no rows",
    ),
    ("default", ANY_ROW, "source: «fx, rows: 'TRUE', measure: ca_pending", "no source"),
    (
        "default",
        "«pledged:\n    {title: Pledged, rows: \"position_type IN ('REPO_PLEDGE', 'SWAP_PLEDGE')\", measure: long,",
        "«pledged:\n    {title: Pledged, rows: \"position_type IN ('REPO_PLEDGE', 'SWAP_PLEDGE')\",",
        "says no measure",
    ),
    # conditions
    (
        "default",
        "«position_type = 'FIRM'\", measure: long, category: firm",
        "«postion_type = 'FIRM'\", measure: long, category: firm",
        "unknown column 'postion_type': position_type?",
    ),
    (
        "default",
        "AND event_days BETWEEN day AND day + 5",
        "AND «even_days BETWEEN day AND day + 5",
        "unknown column 'even_days': event_days?",
    ),
    (
        "default",
        "AND event_days BETWEEN day AND day + 5",
        "AND «greatest(event_days, day) > 1",
        "unknown function 'greatest'",
    ),
    (
        "default",
        "AND event_days BETWEEN day AND day + 5",
        "AND («event_days BETWEEN day AND country)",
        "is a number, and is compared with a text",
    ),
    ("default", ANY_ROW, 'rows: "«recall_days + 1", measure: ca_pending', "is a number, not a condition"),
    (
        "default",
        ANY_ROW,
        'rows: "day > 1 AND «recall_days", measure: ca_pending',
        "recall_days is a number, where AND needs a condition",
    ),
    (
        "default",
        ANY_ROW,
        'rows: "«position_type > 3", measure: ca_pending',
        "position_type is a text, and is compared with a number",
    ),
    ("default", ANY_ROW, "rows: \"position_type = «'FRIM'\", measure: ca_pending", "no position_type 'FRIM': FIRM?"),
    ("default", ANY_ROW, "rows: \"temperature IN ('GC', «'HOT')\", measure: ca_pending", "no temperature 'HOT'"),
    ("default", ANY_ROW, 'rows: "day = «1.5", measure: ca_pending', "whole numbers only"),
    ("default", ANY_ROW, 'rows: "reusable AND «(day = 1", measure: ca_pending', "not closed"),
    ("default", ANY_ROW, 'rows: "«day BETWEEN 1", measure: ca_pending', "cannot be read as SQL"),
    (
        "hk",
        "condition: market = 'HK' AND NOT designated",
        "condition: market = 'HK' AND NOT «desginated",
        "unknown column 'desginated': designated?",
    ),
    (
        "hk",
        "condition: market = 'HK' AND NOT designated",
        "condition: designated AND NOT designated AND «day = 'x'",
        "is a number, and is compared with a text",
    ),
    (
        "kr",
        "input: au_external\n    weight: 0",
        "input: short_sells\n    priority: 3\n    condition: «designated\n    weight: 0",
        "is not made from rows",
    ),
    (
        "kr",
        "input: au_external\n    weight: 0",
        "input: au_external\n    measure: «decided\n    weight: 0",
        "cannot measure decided",
    ),
    # expressions
    (
        "default",
        COST,
        "expression: value(position * 100, «prise)",
        "unknown name 'prise': price?",
    ),
    ("default", COST, "expression: value(«round(position * 100, price), 1)", "unknown function 'round'"),
    ("default", COST, "expression: «value(borrowed)", "takes 2 values"),
    ("default", COST, "expression: borrowed «> 1", "an operator is expected before '>'"),
    ("default", COST, "expression: borrowed + «'x'", "no text here"),
    ("default", COST, "expression: borrowed «%", "cannot be read: '%'"),
    (
        "default",
        "/ greatest(1, firm_long + client_free + borrowed +",
        "/ greatest(1, firm_long + client_free + «borowed +",
        "unknown name 'borowed': borrowed?",
    ),
    (
        "default",
        "expression: greatest(0, au_net) - long_sells",
        "expression: greatest(0, «for_loan) - long_sells",
        "'for_loan' is of a security, 'au_long' of an aggregation unit",
    ),
    (
        "default",
        "expression: convert(market_value, fx)",
        "expression: «convert(market_value, market_value_reporting)",
        "goes round: market_value_reporting -> market_value_reporting",
    ),
    (
        "default",
        "    expression: for_loan * lending_open",
        "    expression: «past_cutoff * lending_open",
        "goes round: lendable -> past_cutoff -> lendable",
    ),
    (
        "kr",
        "rules:\n",
        "rules:\n  - {calculation: borrow_cost, input: borrowed, weight: 1}\n",
        "has rules, but does not use their total",
    ),
    # roles
    ("default", "show: days\n    role: lend", "show: days\n    role: «lent", "role: one of lend"),
    # forms
    ("tw", "format: 1", "format: «2", "format 2 is newer than this program reads (up to 1)"),
    ("tw", "format: 1", "format: «one", "format: a whole number is needed"),
    ("tw", "rules:\n", "rules: [\n", "not YAML"),
]


def _placed(text: str) -> tuple[str, tuple[int, int] | None]:
    """The text without its mark, and the line and column of the mark."""
    at = text.find("«")
    if at < 0:
        return text, None
    return text.replace("«", ""), (text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))


@pytest.mark.parametrize(("document", "there", "instead", "said"), BAD, ids=[bad[3][:50] for bad in BAD])
def test_a_problem_says_what_is_wrong_and_where(document: str, there: str, instead: str, said: str) -> None:
    texts = shipped()
    there = there.replace("«", "")
    assert texts[document].count(there) == 1
    texts[document], place = _placed(texts[document].replace(there, instead))
    found = problems_of(texts)
    matching = [problem for problem in found if said in problem.message]
    assert matching, found
    if place:
        assert (document, *place) in [(p.document, p.line, p.column) for p in matching]


def test_the_shipped_documents_are_good() -> None:
    assert problems_of(shipped()) == ()


def test_every_problem_of_every_document_is_listed_at_once_in_their_order() -> None:
    texts = shipped()
    texts["hk"] = texts["hk"].replace("weight: -1", "weight: x", 1)
    texts["tw"] = texts["tw"].replace("weight: 0.25", "weight: y").replace("input: volume_30d", "input: volumes")
    texts["default"] = (
        texts["default"].replace("role: lend", "role: lender").replace("'SLAB_BORROW'\"", "'BORROW'\"", 1)
    )
    found = problems_of(texts)
    assert [(p.document, p.message.split(":")[0]) for p in found] == [
        ("default", "no position_type 'BORROW'"),
        ("default", "role"),
        ("tw", "no term and no calculation 'volumes'"),
        ("tw", "weight"),
        ("hk", "weight"),
    ]
    assert [str(p) for p in found] == str(RulesError(found)).split("\n")
    assert all(str(p).startswith(f"{p.document}:{p.line}:{p.column}: ") for p in found)


def test_a_document_of_a_newer_form_is_refused_whole_and_says_only_that() -> None:
    texts = shipped() | {"tw": "format: 7\ndocument: tw\nwords_of_2030: [x]\n"}
    newer = [p for p in problems_of(texts) if p.document == "tw" and "words_of_2030" not in p.message]
    assert [(p.line, p.column, p.message) for p in newer] == [
        (1, 9, "format 7 is newer than this program reads (up to 1)")
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("# only words\n", "is empty"),
        ("- 1\n", "a document is a mapping"),
        ("hello", "a document is a mapping"),
        ("format: 1\ndocument: tw\n---\nformat: 1\n", "not YAML"),
        ("format: 1\n\tdocument: tw", "not YAML"),
        ("a: &a [*a]", "a document has no 'a'"),
        ("document: tw\n", "says no format"),
        ("format: 1\n", "document: a name"),
        ("\x00", "not YAML"),
        ("[" * 5_000, "not YAML"),
        ("x" * (LONGEST + 1), "longer than 200,000 characters"),
    ],
    ids=["empty", "comment", "list", "scalar", "two", "tab", "anchor", "no format", "no name", "zero", "deep", "long"],
)
def test_what_is_no_document_is_refused(text: str, said: str) -> None:
    assert any(p.document == "tw" and said in p.message for p in problems_of(shipped() | {"tw": text}))


def test_two_documents_cannot_have_one_name() -> None:
    text = shipped()["tw"]
    with pytest.raises(RulesError, match="two documents of this name"):
        read_documents([Document("tw", 1, text), Document("tw", 2, text)])


def test_more_rules_than_anybody_can_read_are_refused() -> None:
    rules = "".join(f"  - {{id: r{i}, calculation: c, input: a, weight: 1}}\n" for i in range(501))
    assert [str(p) for p in problems_of(small(rules=rules))] == ["default: 501 rules are too many: at most 500"]


# roles


def test_a_role_that_nobody_plays_is_missed() -> None:
    texts = shipped()
    texts["default"] = texts["default"].replace("    role: left_long\n", "")
    assert [str(p) for p in problems_of(texts)] == ["default: nobody plays left_long"]


def test_a_role_cannot_be_played_twice() -> None:
    texts = shipped()
    texts["default"] = texts["default"].replace(
        "expression: for_loan - lendable", "expression: for_loan - lendable\n    role: lend"
    )
    assert [p.message for p in problems_of(texts)] == ["'for_loan' already plays lend"]


def test_a_role_of_a_client_is_played_by_a_calculation_of_clients() -> None:
    texts = small()
    texts["default"] = texts["default"].replace("role: client_long, scope: client", "role: client_long")
    assert [p.message for p in problems_of(texts)] == ["client_long is played by a calculation of a client"]


# dates that overlap


def _rule(more: str, weight: str = "1") -> str:
    return f"  - {{calculation: c, input: a, weight: {weight}, {more}}}\n"


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("id: x", "id: y", True),
        ("id: x, effective_to: 2026-01-31", "id: y, effective_from: 2026-01-31", True),
        ("id: x, effective_to: 2026-01-31", "id: y, effective_from: 2026-02-01", False),
        ("id: x, effective_from: 2026-01-01, effective_to: 2026-12-31", "id: y, effective_from: 2026-03-01", True),
        ("id: x, priority: 1", "id: y", False),
        ("id: x, markets: [TW]", "id: y, markets: [KR]", False),
        ("id: x, markets: [TW, HK]", "id: y, markets: [KR, HK]", True),
        ("id: x, markets: [TW]", "id: y", True),
        ("id: x, condition: designated", "id: y", False),
        ("id: x, condition: designated", "id: y, condition: threshold", False),
        ("id: x, condition: NOT designated", 'id: y, condition: "not  designated"', True),
        ("id: x, condition: designated", "id: y, condition: designated, measure: short", True),
    ],
)
def test_rules_between_which_nobody_could_choose_are_refused(one: str, other: str, overlap: bool) -> None:
    found = problems_of(small(rules=_rule(one) + _rule(other)))
    assert [p.message.split(" (")[0] for p in found] == (["overlaps 'x'"] if overlap else [])


def test_a_rule_of_a_market_overlaps_one_of_the_same_market_in_another_document() -> None:
    texts = shipped()
    texts["eu"] = (
        texts["eu"]
        .replace("[DE, FR, GB]", "[DE, FR, GB, TW]")
        .replace("rules: []", "rules:\n  - {calculation: for_loan, input: borrowed, weight: 0.5}")
    )
    (problem,) = problems_of(texts)
    assert problem.document == "eu"
    assert problem.message.startswith("overlaps 'for_loan.borrowed.tw' (tw) from the first day")


# calculations that cannot be above zero


@pytest.mark.parametrize(
    ("expression", "rules", "refused"),
    [
        ("total", _rule("id: x", "-1"), True),
        ("greatest(0, total)", _rule("id: x", "-1"), True),
        ("greatest(1, total)", _rule("id: x", "-1"), False),
        ("total", _rule("id: x", "0"), False),
        ("total", "  - {calculation: c, input: net, weight: -1}\n", False),
        ("total", "  - {calculation: c, input: a, measure: net, weight: -1}\n", False),
        ("a + total", _rule("id: x", "-1"), False),
        ("total - 1", "  - {calculation: c, input: clock, weight: 1}\n", True),
        ("total - 1", "  - {calculation: c, input: clock, weight: 2}\n", False),
        ("-total", _rule("id: x"), True),
        ("-total * 2 / 3", _rule("id: x"), True),
        ("value(total, 5)", _rule("id: x", "-1"), True),
        ("least(total, -1)", _rule("id: x"), True),
        ("total", _rule("id: x") + _rule("id: y, effective_from: 2030-01-01, priority: 1", "-1"), True),
        ("total", _rule("id: x") + _rule("id: y, markets: [TW], priority: 1", "-0.5"), True),
        ("total", _rule("id: x") + _rule("id: y, condition: designated", "-1"), False),
        ("total", _rule("id: x", "-1") + "  - {calculation: c, input: b, weight: 0.0001}\n", False),
    ],
)
def test_rules_that_leave_a_calculation_never_above_zero_are_refused(
    expression: str, rules: str, refused: bool
) -> None:
    terms = "  net: {rows: 'TRUE', measure: net}\n  clock: {measure: clock, source: lending_open}"
    texts = small(terms=terms, rules=rules)
    texts["default"] = texts["default"].replace("c: {expression: total}", f"c: {{expression: '{expression}'}}")
    assert [p.message.split(" above")[0] for p in problems_of(texts)] == (["c would never be"] if refused else [])


def test_the_rule_that_did_it_is_pointed_at_with_its_market_and_date() -> None:
    texts = shipped()
    rule = "rules:\n  - {id: mine, calculation: locate_pool_long, input: %s, effective_from: 2031-05-01, weight: -1}\n"
    texts["tw"] = texts["tw"].replace("rules:\n", rule % "firm_long")
    texts["tw"] += "  - {calculation: locate_pool_long, input: client_free, weight: 0}\n"
    found = problems_of(texts)
    line = texts["tw"][: texts["tw"].index("weight: -1}")].count("\n") + 1
    assert (found[0].document, found[0].line) == ("tw", line)
    assert found[0].message == "locate_pool_long would never be above zero in TW on 2031-05-01"


# what a good document says


def test_a_rule_says_only_what_differs_from_its_document() -> None:
    texts = small(rules=_rule("id: mine, priority: 7, effective_to: 2026-03-31, measure: short, condition: designated"))
    texts["asia"] = (
        "format: 1\ndocument: asia\ntitle: Asia\nmarkets: [TW, KR]\neffective_from: 2026-01-05\nrules:\n"
        "  - {calculation: c, input: b, weight: .5, note: why not}\n"
        "  - {calculation: c, input: a, weight: -0.25, markets: [KR]}\n"
    )
    book = read(texts)
    mine, b, a = book.rules
    assert (mine.id, mine.priority, mine.measure, mine.effective_to) == ("mine", 7, Measure.SHORT, dt.date(2026, 3, 31))
    assert (mine.condition, mine.markets, mine.weight) == ("designated", (), 10_000)
    assert (b.id, b.priority, b.markets, b.weight, b.note) == ("c.b.asia", 100, ("TW", "KR"), 5_000, "why not")
    assert (a.id, a.priority, a.markets, a.weight) == ("c.a.asia", 100, ("KR",), -2_500)
    assert [(h.document, h.title, h.markets, h.effective_from) for h in book.headings] == [
        ("default", "default", (), None),
        ("asia", "Asia", ("TW", "KR"), dt.date(2026, 1, 5)),
    ]


def test_a_rule_has_the_version_in_which_it_last_changed() -> None:
    text = small(rules=_rule("id: x") + "  - {calculation: c, input: b, weight: 1}\n")["default"]
    book = read_documents([Document("default", 9, text, {"x": 4})])
    assert [(rule.id, rule.version) for rule in book.rules] == [("x", 4), ("c.b", 9)]


def test_codes_that_yaml_takes_for_something_else_are_codes() -> None:
    texts = small()
    texts["north"] = "format: 1\ndocument: north\nmarkets: [NO, 'ON']\nrules: [{calculation: c, input: a, weight: 1}]\n"
    assert read(texts).rules[-1].markets == ("NO", "ON")
