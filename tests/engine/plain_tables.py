"""The position table and its views in the plainest Python: every cell by the words of domain.md, every view by a loop."""

from functools import cmp_to_key
from typing import Any

from engine.model import Classification, Kind, Temperature
from engine.tables import Tables, Word
from engine.views import POSITION_COLUMNS, Query

COLUMNS = {column.name: column for column in POSITION_COLUMNS}
TEXTS = tuple(name for name in COLUMNS if COLUMNS[name].is_text)
NUMBERS = tuple(name for name in COLUMNS if not COLUMNS[name].is_text)
Row = dict[str, Any]


def plain_rows(tables: Tables) -> list[Row]:
    """All rows: text as str, numbers raw, None for no value; `id` is the row's number + 1."""
    return [_row(tables, number) for number in range(tables.count(Word.ROWS))]


def _row(tables: Tables, number: int) -> Row:
    array = tables.array
    record = array["position"][number]
    key = int(record["key"])
    security, book, depot, kind = key >> 40, key >> 24 & 0xFFFF, key >> 8 & 0xFFFF, Kind(key & 0xFF)
    of, owner, head = array["security"][security], array["book"][book], array["head"][security]
    unit = int(array["book_unit"][book, of["market"]])
    receipt, deliver = record["receipt"].tolist(), record["deliver"].tolist()
    td, sd = int(record["td"]), int(record["sd"])
    contract = kind.name.startswith(("REPO_", "SLAB_", "SWAP_PLEDGE_", "PAY_TO_HOLD"))
    price, fx = int(head[3]), int(head[4])
    row: Row = {
        "security": _text(of["code"]),
        **{name: _text(of[name]) for name in ("name", "ticker", "isin", "sedol", "cusip", "figi", "currency")},
        "country": _text(of["country"]),
        "market": tables.markets[of["market"]].code,
        "temperature": Temperature(of["temperature"]).name,
        "classification": Classification(of["classification"]).name,
        "book": _text(owner["code"]),
        "client": _text(owner["client"]),
        "entity": _text(owner["entity"]),
        "aggregation_unit": _text(array["unit"][unit]["code"] if unit else owner["aggregation_unit"]),
        "depot": _text(array["depot"][depot]["code"]),
        "kind": kind.name,
        "td": td,
        **{f"sd{day}": sd + sum(receipt[: day + 1]) - sum(deliver[: day + 1]) for day in range(5)},
        "settled": sd,
        "later": receipt[5] - deliver[5],
        **{f"receipt{day}": receipt[day] for day in range(5)},
        "receipt_later": receipt[5],
        **{f"deliver{day}": deliver[day] for day in range(5)},
        "deliver_later": deliver[5],
        "ladder_break": td - sd - sum(receipt) + sum(deliver),
        "hypothecated": None if contract else int(record["hypothecated"]),
        "rate": int(record["hypothecated"]) if contract else None,
        "price": price or None,
        "value": (td * 100 * price // 10**6) * fx // 10**9 if price and fx else None,
        "id": number + 1,
    }
    plain = (
        "intraday_buy",
        "intraday_sell",
        "intraday_short",
        "hypothecatable",
        "segregated",
        "reserved",
        "ca_pending",
    )
    return row | {name: int(record[name]) for name in plain}


def _text(raw: Any) -> str:
    return bytes(raw).decode()


def plain_view(rows: list[Row], query: Query) -> list[Row]:
    """The rows that pass, in order."""
    return sort_rows([row for row in rows if passes(row, query)], query.sort)


def passes(row: Row, query: Query) -> bool:
    searched = [row[name].casefold() for name in ("name", "ticker", "security", "isin", "cusip", "sedol", "figi")]
    return (
        all(any(word.casefold() in text for text in searched) for word in query.text.split())
        and (not query.markets or row["market"] in query.markets)
        and (not query.temperatures or row["temperature"] in query.temperatures)
        and (query.clients is None or (row["client"] != "" and row["client"] in query.clients))
        and all(_holds(row, condition.column, condition.op, condition.value) for condition in query.where)
    )


def _holds(row: Row, column: str, op: str, value: Any) -> bool:
    cell = row[column]
    if COLUMNS[column].is_text:
        found = value.casefold() in cell.casefold() if "contains" in op else cell in value
        return not found if op.startswith("not_") else found
    if cell is None:
        return False
    shown = cell / COLUMNS[column].scale
    if op == "between":
        return bool(value[0] <= shown <= value[1])
    holds: dict[str, bool] = {
        "=": shown == value,
        "<>": shown != value,
        "<": shown < value,
        "<=": shown <= value,
        ">": shown > value,
        ">=": shown >= value,
    }
    return holds[op]


def place(column: str, cell: Any) -> Any:
    """What a cell is sorted by; None: no value."""
    if column in ("temperature", "classification") and cell == "UNKNOWN":
        return None if column == "temperature" else "unknown"
    if column == "temperature":
        return Temperature[cell].value
    return (cell.lower() or None) if isinstance(cell, str) else cell


def sort_rows(rows: list[Row], sort: tuple[tuple[str, str], ...]) -> list[Row]:
    def compare(one: Row, other: Row) -> int:
        for column, direction in sort:
            a, b = place(column, one[column]), place(column, other[column])
            if a != b:
                if a is None or b is None:
                    return 1 if a is None else -1
                return (1 if a > b else -1) * (1 if direction == "asc" else -1)
        return 0

    return sorted(rows, key=cmp_to_key(compare))


def plain_tree(rows: list[Row], query: Query, is_open: Any) -> list[Row]:
    """The flattened tree of the rows that pass: groups {path, rows, sums, values} and, in open innermost ones, data rows.

    `is_open(level, path)`; `sums`: by column raw, None where no row has a value.
    """
    found = [row for row in rows if passes(row, query)]
    return _tree(found, query, is_open, ())


def _tree(rows: list[Row], query: Query, is_open: Any, path: tuple[str, ...]) -> list[Row]:
    level = len(path)
    if level == len(query.groups):
        own = tuple(each for each in query.sort if each[0] != "rows" and "|" not in each[0])
        return [{"path": path, "row": row} for row in sort_rows(rows, own)]
    column = query.groups[level]
    members: dict[str, list[Row]] = {}
    for row in rows:
        members.setdefault(row[column], []).append(row)
    groups = [_group(column, text, of, query, (*path, text)) for text, of in members.items()]
    told: list[Row] = []
    for group in _ordered(groups, column, query):
        told.append(group)
        innermost = level + 1 == len(query.groups)
        if is_open(level, group["path"]) and not (innermost and query.pivot):
            told += _tree(members[group["text"]], query, is_open, group["path"])
    return told


def _group(column: str, text: str, rows: list[Row], query: Query, path: tuple[str, ...]) -> Row:
    summed = [name for name in NUMBERS if COLUMNS[name].summed]
    sums = {name: plain_sum(rows, name) for name in summed}
    if query.pivot:
        values = {row[query.pivot] for row in rows}
        sums |= {
            f"{name}|{value}": plain_sum([row for row in rows if row[query.pivot] == value], name)
            for name in summed
            for value in values
        }
    return {"path": path, "text": text, "column": column, "rows": len(rows), "sums": sums}


def plain_sum(rows: list[Row], name: str) -> int | None:
    known = [row[name] for row in rows if row[name] is not None]
    return sum(known) if known else None


def _ordered(groups: list[Row], column: str, query: Query) -> list[Row]:
    def says(group: Row, name: str) -> Any:
        if name == "rows":
            return group["rows"]
        return place(column, group["text"]) if name == column else group["sums"].get(name)

    def compare(one: Row, other: Row) -> int:
        for name, direction in query.sort:
            if name not in ("rows", column) and not (name in COLUMNS and COLUMNS[name].summed) and "|" not in name:
                continue
            a, b = says(one, name), says(other, name)
            if a != b:
                if a is None or b is None:
                    return 1 if a is None else -1
                return (1 if a > b else -1) * (1 if direction == "asc" else -1)
        return 0

    def letters(group: Row) -> Any:
        by = place(column, group["text"])
        return (by is None, by if by is not None else 0, group["text"].encode())

    return sorted(sorted(groups, key=letters), key=cmp_to_key(compare))
