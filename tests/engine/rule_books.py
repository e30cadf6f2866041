"""Documents of rules for tests: the shipped ones, changed here and there, and small ones of a test's own."""

import datetime as dt
from collections.abc import Mapping, Sequence
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from engine.model import DAYS, Market
from engine.rule_model import Document, Problem, Role, RuleBook, RulesError
from engine.rule_text import read_documents
from engine.rules import Compiled, compile_rules

SHIPPED = ("default", "tw", "jp", "kr", "hk", "us", "eu")
CODES = ("US", "TW", "JP", "KR", "HK", "GB", "DE", "FR")
MONDAY = dt.date(2026, 1, 5)


def shipped() -> dict[str, str]:
    folder = files("assets").joinpath("rules")
    return {name: folder.joinpath(f"{name}.yaml").read_text() for name in SHIPPED}


def read(texts: Mapping[str, str]) -> RuleBook:
    return read_documents([Document(name, 1, text) for name, text in texts.items()])


def problems_of(texts: Mapping[str, str]) -> tuple[Problem, ...]:
    """What is said against these documents; nothing where they are good."""
    try:
        read(texts)
    except RulesError as error:
        return error.problems
    return ()


def market(code: str) -> Market:
    return Market(code, "XNYS", "UTC", "USD", "16:00", 2)


def days_from(first: dt.date, markets: int) -> NDArray[np.int32]:
    """The same five dates in a row for every market."""
    start = (first - dt.date(1970, 1, 1)).days
    return np.tile(np.arange(start, start + DAYS, dtype=np.int32), (markets, 1))


def compiled(book: RuleBook, codes: Sequence[str] = CODES, first: dt.date = MONDAY) -> Compiled:
    return compile_rules(book, [market(code) for code in codes], days_from(first, len(codes)), 1)


def small(*, terms: str = "", calculations: str = "", rules: str = "") -> dict[str, str]:
    """A document with terms a and b, a calculation c over `total`, whatever else is given, and somebody for every role."""
    players = "\n".join(
        f"  {role.value}: {{expression: '1', role: {role.value}, scope: {_scope(role)}}}" for role in Role
    )
    return {
        "default": f"""\
format: 1
document: default
terms:
  a: {{rows: "position_type = 'FIRM'", measure: long}}
  b: {{rows: "position_type = 'SLAB_BORROW'", measure: long}}
{terms}
calculations:
  c: {{expression: total}}
{calculations}
{players}
rules:
{rules or "  []"}
"""
    }


def _scope(role: Role) -> str:
    return role.value.split("_")[0] if role.value.startswith(("client", "au_")) else "security"
