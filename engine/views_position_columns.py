"""The columns of the position table: what a row is, and what it holds (domain.md 2). Pages and the REST list have them here.

Nearly all that a row holds is a sum of words of its record, some of them taken off: a column says which. What is not (the rate
of a contract, the value at the last price) has a `Form` of its own.
"""

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.model import BUCKETS, DAYS, LATER, PRICE_UNIT, RATE_UNIT, Kind
from engine.records import POSITION
from engine.rule_model import Unit
from engine.views_columns import Column, Source

ROW_WORDS: Final = POSITION.itemsize // 8
_WORD: Final = {name: offset[1] // 8 for name, offset in (POSITION.fields or {}).items()}
_RECEIPT: Final = tuple(range(_WORD["receipt"], _WORD["receipt"] + BUCKETS))
_DELIVER: Final = tuple(range(_WORD["deliver"], _WORD["deliver"] + BUCKETS))
_CONTRACTS: Final = ("REPO_", "SLAB_", "SWAP_PLEDGE_", "PAY_TO_HOLD")
IS_CONTRACT: Final = np.array([kind.name.startswith(_CONTRACTS) for kind in Kind])
"""By `Kind`: whether a row has a rate where others have what is hypothecated."""


class Form(IntEnum):
    """How a number of a row is made."""

    WORDS = 0
    """The sum of its words."""
    NO_CONTRACT = 1
    """The same; no value for a contract."""
    CONTRACT = 2
    """The same; a value for a contract only."""
    VALUE = 3
    """The sum of its words in money of the reporting currency, at the last price; none while price or exchange rate is
    not known."""
    PRICE = 4
    """Of its security."""
    ROW = 5
    """Its number."""


class Part(IntEnum):
    """What the text columns of a row belong to."""

    SECURITY = 0
    BOOK = 1
    UNIT = 2
    """Of a book in a market: its aggregation unit."""
    DEPOT = 3
    KIND = 4


def _text(name: str, title: str, tip: str = "", *, shown: bool = True) -> Column:
    return Column(name, Source.TEXT, title=title, family=_WHAT, tip=tip or title, shown=shown)


def _held(
    name: str,
    title: str,
    tip: str,
    plus: tuple[int, ...],
    minus: tuple[int, ...] = (),
    *,
    form: Form = Form.WORDS,
    family: str = "",
    group: str = "",
    shown: bool = True,
    day: int | None = None,
) -> Column:
    unit, scale = (Unit.REPORTING, 100) if form is Form.VALUE else (Unit.SHARES, 1)
    return Column(
        name,
        Source.POSITION,
        form,
        day,
        scale,
        unit=unit,
        title=title,
        family=family or _HOLDS,
        group=group,
        tip=tip,
        shown=shown,
        plus=plus,
        minus=minus,
    )


def _word(name: str, title: str, tip: str, *, group: str = "", shown: bool = False, form: Form = Form.WORDS) -> Column:
    return _held(name, title, tip, (_WORD[name],), group=group, shown=shown, form=form)


def _expected(day: int) -> Column:
    plus, minus = (_WORD["sd"], *_RECEIPT[: day + 1]), _DELIVER[: day + 1]
    tip = f"Shares expected when the day of SD{day} is over"
    return _held(f"sd{day}", f"SD{day}", tip, plus, minus, group="Projected", day=day)


def _ladder(name: str, title: str, words: tuple[int, ...], what: str) -> tuple[Column, ...]:
    days = tuple(
        _held(f"{name}{day}", f"SD{day}", f"{what} on SD{day}", (words[day],), family=_LADDER, group=title, shown=False)
        for day in range(DAYS)
    )
    later = _held(
        f"{name}_later", "Later", f"{what} after SD4", (words[LATER],), family=_LADDER, group=title, shown=False
    )
    return *days, later


_WHAT, _HOLDS, _LADDER = "Row", "Holds", "Settlement ladder"
POSITION_COLUMNS: Final = (
    _text("security", "Code", "Our own code of the security"),
    _text("name", "Name"),
    _text("ticker", "Symbol"),
    _text("isin", "ISIN", shown=False),
    _text("sedol", "SEDOL", shown=False),
    _text("cusip", "CUSIP", shown=False),
    _text("figi", "FIGI", shown=False),
    _text("market", "Mkt", "Market"),
    _text("temperature", "Temp", "How hard it is to borrow"),
    _text("currency", "Ccy", "Currency", shown=False),
    _text("country", "Country", "Country of issue", shown=False),
    _text("classification", "Class", "What sort of instrument it is", shown=False),
    _text("book", "Book"),
    _text("client", "Client"),
    _text("entity", "Entity", "Legal entity", shown=False),
    _text("aggregation_unit", "AU", "Aggregation unit of the book in the security's market"),
    _text("depot", "Depot"),
    _text("kind", "Kind"),
    _word("td", "TD", "Contractual shares: all that was traded", shown=True),
    *map(_expected, range(DAYS)),
    _held("settled", "Settled", "Shares that have settled", (_WORD["sd"],)),
    _held("later", "Later", "What comes or, below 0, goes after SD4", (_RECEIPT[LATER],), (_DELIVER[LATER],)),
    *_ladder("receipt", "Receipts", _RECEIPT, "Shares to be received"),
    *_ladder("deliver", "Deliveries", _DELIVER, "Shares to be delivered"),
    _held(
        "ladder_break",
        "TD/SD break",
        "What is contractual beyond what is settled and expected; 0 where the row agrees with itself",
        (_WORD["td"], *_DELIVER),
        (_WORD["sd"], *_RECEIPT),
    ),
    _word("intraday_buy", "Bought", "Bought today", group="Today"),
    _word("intraday_sell", "Sold", "Sold today", group="Today"),
    _word("intraday_short", "Short", "Sold short today", group="Today"),
    _word("hypothecatable", "Free", "Shares of a client that may be hypothecated", group="Hypothecation"),
    _word(
        "hypothecated", "Used", "Shares of a client that are hypothecated", group="Hypothecation", form=Form.NO_CONTRACT
    ),
    _word("segregated", "Segregated", "Shares of a client that are kept apart"),
    _word("reserved", "Reserved", "Shares that are reserved for the client"),
    _word("ca_pending", "CA pending", "Shares of a corporate action that is not settled yet"),
    Column(
        "rate",
        Source.POSITION,
        Form.CONTRACT,
        scale=RATE_UNIT,
        unit="rate",
        title="Rate %",
        family=_HOLDS,
        tip="What a contract costs, percent a year",
        plus=(_WORD["hypothecated"],),
    ),
    Column(
        "price",
        Source.POSITION,
        Form.PRICE,
        scale=PRICE_UNIT,
        unit="price",
        title="Price",
        family=_HOLDS,
        tip="Price in the security's currency",
    ),
    _held(
        "value",
        "Market value",
        "Contractual shares at the last price, in the reporting currency",
        (_WORD["td"],),
        form=Form.VALUE,
    ),
    Column(
        "id",
        Source.POSITION,
        Form.ROW,
        unit="count",
        title="Row",
        family=_WHAT,
        tip="Number of the row in this machine",
    ),
)
QUANTITIES: Final = tuple(column.name for column in POSITION_COLUMNS if column.unit == Unit.SHARES)
"""Columns of shares: what a row holds."""
PARTS: Final = {column.name: Part.SECURITY for column in POSITION_COLUMNS if column.is_text} | {
    "book": Part.BOOK,
    "client": Part.BOOK,
    "entity": Part.BOOK,
    "aggregation_unit": Part.UNIT,
    "depot": Part.DEPOT,
    "kind": Part.KIND,
}
"""By text column what it belongs to."""
_BY_NAME: Final = {column.name: column for column in POSITION_COLUMNS}


def held(
    name: str, words: NDArray[np.int64], kinds: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """A column of rows from their records: its numbers, and where there is one. Only what a row alone says (not its value).

    Shapes: words (n, ROW_WORDS), kinds (n,).
    """
    column = _BY_NAME[name]
    assert column.item in (Form.WORDS, Form.NO_CONTRACT, Form.CONTRACT), name
    numbers = words[:, list(column.plus)].sum(axis=1) - words[:, list(column.minus)].sum(axis=1)
    there = np.ones(len(words), bool)
    if column.item != Form.WORDS:
        there = IS_CONTRACT[kinds] == (column.item == Form.CONTRACT)
    return numbers, there
