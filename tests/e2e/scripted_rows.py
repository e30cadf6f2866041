"""Rows that a scripted gateway shows, and what views do with them: filtered, sorted, grouped, spread across, summed.

The slow obvious way: a test asks the page for something and compares with this.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

MARKETS = ["US", "TW", "JP", "KR", "HK", "GB", "DE", "FR"]
TEMPERATURES = ["UNKNOWN", "GC", "WARM", "HTB", "RESTRICTED"]
KINDS = ["FIRM", "CLIENT_FREE", "SLAB_BORROW", "DEPOT"]
TEXT = ("name", "code", "ticker", "isin", "cusip", "sedol", "figi", "currency", "market", "temperature")
NUMBERS = ("fee", "rebate", "price", *(f"loan.{day}" for day in range(5)), "pool", "located", "remaining", "kept")
OTHERS = ("utilisation", "updated_ms", "at_least", "id")
UNITS = {"fee": "rate", "rebate": "rate", "price": "price", "utilisation": "basis_points", "updated_ms": "time"}
UNITS |= {"kept": "money", "market_value": "reporting"}
HIDDEN = ("code", "figi", "rebate", "at_least", "id", "kept")
POSITION_TEXT = ("security", "name", "ticker", "market", "book", "client", "depot", "kind")
POSITION_NUMBERS = ("td", *(f"sd{day}" for day in range(5)), "settled", "market_value", "price")


class Texts:
    """A column of texts made when they are looked at: two million of them cost nothing. Some may be put in by hand."""

    def __init__(self, make: Callable[[int], str]) -> None:
        self._make = make
        self._given: dict[int, str] = {}

    def __getitem__(self, i: int) -> str:
        return self._given.get(i) or self._make(i)

    def __setitem__(self, i: int, text: str) -> None:
        self._given[i] = text


@dataclass
class Rows:
    """A table: columns as the gateway tells them, and what is in them."""

    columns: list[dict[str, Any]]
    text: dict[str, Texts]
    number: dict[str, NDArray[np.float64]]
    count: int
    groups: dict[tuple[str, ...], int] = field(default_factory=dict)
    """Path -> the id of its row."""

    def summed(self, name: str) -> bool:
        return any(column["id"] == name and column.get("sum") for column in self.columns)

    def matching(self, wanted: dict[str, Any]) -> NDArray[np.int64]:
        """Rows that pass a filter, in the table's order."""
        tests = [self._test(each) for each in wanted.get("where", ())]
        words = wanted.get("text", "").lower()
        if words:
            tests.append(lambda i: words in self.text["name"][i].lower())
        for name, some in (("market", wanted.get("markets")), ("temperature", wanted.get("temperatures"))):
            if some:
                tests.append(lambda i, name=name, some=some: self.text[name][i] in some)  # type: ignore[misc]
        if not tests:
            return np.arange(self.count)
        return np.array([i for i in range(self.count) if all(test(i) for test in tests)], np.int64)

    def _test(self, condition: dict[str, Any]) -> Callable[[int], bool]:
        name, op, value = condition["column"], condition["op"], condition["value"]
        if name in self.text:
            texts = self.text[name]
            return {
                "in": lambda i: texts[i] in value,
                "not_in": lambda i: texts[i] not in value,
                "contains": lambda i: value.lower() in texts[i].lower(),
                "not_contains": lambda i: value.lower() not in texts[i].lower(),
            }[op]
        numbers = self.number[name]
        low, high = value if op == "between" else (value, value)
        return {
            "=": lambda i: numbers[i] == value,
            "<>": lambda i: bool(numbers[i] < value or numbers[i] > value),
            "<": lambda i: numbers[i] < value,
            "<=": lambda i: numbers[i] <= value,
            ">": lambda i: numbers[i] > value,
            ">=": lambda i: numbers[i] >= value,
            "between": lambda i: low <= numbers[i] <= high,
        }[op]

    def ordered(self, rows: NDArray[np.int64], sort: list[list[str]]) -> NDArray[np.int64]:
        for name, direction in reversed(sort):
            if name not in self.text and name not in self.number:
                continue
            of = self.text[name] if name in self.text else self.number[name]
            at = np.argsort(np.array([of[i] for i in rows]), kind="stable")
            rows = rows[at if direction == "asc" else at[::-1]]
        return rows

    def sums(self, rows: NDArray[np.int64], names: list[str]) -> list[float]:
        """NaN for what is not summed."""
        return [float(self.number[name][rows].sum()) if self.summed(name) else float("nan") for name in names]

    def values(self, name: str, wanted: dict[str, Any]) -> list[tuple[str, int]]:
        counted: dict[str, int] = {}
        for i in self.matching(wanted):
            counted[self.text[name][i]] = counted.get(self.text[name][i], 0) + 1
        return sorted(counted.items())

    def group_id(self, path: tuple[str, ...]) -> int:
        return self.groups.setdefault(path, -len(self.groups) - 1)


@dataclass
class Line:
    """A row of a tree."""

    id: int
    level: int
    state: int
    label: str
    path: tuple[str, ...]
    rows: NDArray[np.int64]


def tree(table: Rows, view: dict[str, Any], rows: NDArray[np.int64]) -> Iterator[Line]:
    """The visible rows of a grouped view."""
    groups: list[str] = view["groups"]
    opened = {tuple(path) for path in view.get("toggled", ())}

    def below(rows: NDArray[np.int64], path: tuple[str, ...]) -> Iterator[Line]:
        level = len(path)
        if level == len(groups):
            for i in table.ordered(rows, view.get("sort", [])):
                yield Line(int(i) + 1, level, 0, "", path, rows[rows == i])
            return
        labels = [table.text[groups[level]][i] for i in rows]
        parts = {label: rows[[each == label for each in labels]] for label in sorted(set(labels))}
        for label in _sorted(table, view, groups[level], parts):
            here = (*path, label)
            leaf = bool(view.get("pivot")) and level == len(groups) - 1
            is_open = (level < view.get("depth", 0)) != (here in opened)
            yield Line(table.group_id(here), level, 3 if leaf else 2 if is_open else 1, label, here, parts[label])
            if is_open and not leaf:
                yield from below(parts[label], here)

    return below(rows, ())


def _sorted(table: Rows, view: dict[str, Any], column: str, parts: dict[str, NDArray[np.int64]]) -> list[str]:
    for name, direction in view.get("sort", []):
        if name == column:
            return sorted(parts, reverse=direction == "desc")
        if table.summed(name):
            return sorted(parts, key=lambda label: table.sums(parts[label], [name])[0], reverse=direction == "desc")
    return list(parts)


def spread(table: Rows, view: dict[str, Any], rows: NDArray[np.int64]) -> list[dict[str, Any]]:
    """The columns of a pivot: what the view is grouped by, then the measures of every value, then of all of them."""
    infos = {column["id"]: column for column in table.columns}
    measures = [name for name in view["columns"] if name in table.number]
    made = [infos[name] for name in view["columns"] if name in table.text]
    values = sorted({table.text[view["pivot"]][i] for i in rows})
    for value in [*values, None]:
        for name in measures:
            title = infos[name]["title"] if len(measures) > 1 or value is None else value
            one = {"id": name if value is None else f"{name}|{value}", "kind": "number", "title": title}
            made.append(one | {"unit": infos[name]["unit"], "sum": True, "group": value or "All"})
    return made


def spread_value(table: Rows, view: dict[str, Any], line: Line, column: str) -> float:
    """A cell of a pivot."""
    name, bar, value = column.partition("|")
    texts = table.text[view["pivot"]]
    rows = np.array([i for i in line.rows if texts[i] == value], np.int64) if bar else line.rows
    return table.sums(rows, [name])[0]


def inventory_columns() -> list[dict[str, Any]]:
    """Five days of a loan, a pool and what is left of it, a number nobody sees at first."""
    made: list[dict[str, Any]] = [{"id": name, "kind": "text", "family": "Security"} for name in TEXT]
    made += [
        {"id": name, "kind": "number", "unit": UNITS.get(name, "shares"), "family": "Calculations"}
        for name in (*NUMBERS, *OTHERS)
    ]
    for column in made:
        name = column["id"]
        column |= {"title": name.title(), "tip": f"What {name} is", "shown": name not in HIDDEN}
        if name.startswith("loan."):
            column |= {"title": f"SD{name[-1]}", "group": "Loan", "day": int(name[-1])}
        if name in ("pool", "remaining"):
            column |= {"floor": True, "strong": name == "remaining", "sum": True}
        if name == "utilisation":
            column |= {"hot": 90.0}
    return made


def inventory(count: int) -> Rows:
    random = np.random.default_rng(1)
    text = {
        "name": Texts(lambda i: f"Security {i:06d} plc"),
        "code": Texts(lambda i: f"C{i:011d}"),
        "ticker": Texts(lambda i: f"T{i:05d}"),
        "isin": Texts(lambda i: f"US{i:010d}"),
        "cusip": Texts(lambda i: f"{i:09d}"),
        "sedol": Texts(lambda i: f"{i:07d}"),
        "figi": Texts(lambda i: f"BBG{i:09d}"),
        "currency": Texts(lambda _i: "USD"),
        "market": Texts(lambda i: MARKETS[i % 8]),
        "temperature": Texts(lambda i: TEMPERATURES[i % 5]),
    }
    number = {name: random.integers(-5_000, 2_000_000, count).astype(float) for name in NUMBERS}
    number["fee"] = random.integers(25, 3_000, count) / 100
    number["fee"][::7] = np.nan
    number["price"] = random.integers(100, 90_000, count) / 100
    number["utilisation"] = random.integers(0, 1_000, count) / 10
    number["updated_ms"] = np.full(count, time.time() * 1e3)
    number["at_least"] = (np.arange(count) % 11 == 0).astype(float)
    number["id"] = np.arange(1, count + 1, dtype=float)
    return Rows(inventory_columns(), text, number, count)


def position_columns() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [
        {"id": name, "kind": "text", "family": "Row", "title": name.title(), "shown": name != "security"}
        for name in POSITION_TEXT
    ]
    for name in POSITION_NUMBERS:
        unit = UNITS.get(name, "shares")
        column = {"id": name, "kind": "number", "unit": unit, "family": "Ladder", "title": name.upper(), "shown": True}
        made.append(column | {"sum": unit != "price"} | ({"group": "Projected"} if name.startswith("sd") else {}))
    return made


def positions(count: int) -> Rows:
    random = np.random.default_rng(3)
    text = {
        "security": Texts(lambda i: f"C{i // 4:011d}"),
        "name": Texts(lambda i: f"Security {i // 4:06d} plc"),
        "ticker": Texts(lambda i: f"T{i // 4:05d}"),
        "market": Texts(lambda i: MARKETS[i // 4 % 8]),
        "book": Texts(lambda i: f"BOOK{i % 17:02d}"),
        "client": Texts(lambda i: f"FUND{i % 5}" if i % 3 else ""),
        "depot": Texts(lambda i: f"DEPOT{i % 3}"),
        "kind": Texts(lambda i: KINDS[i % 4]),
    }
    number = {name: random.integers(-9_000, 90_000, count).astype(float) for name in POSITION_NUMBERS}
    return Rows(position_columns(), text, number, count)
