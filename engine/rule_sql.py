"""The SQL of rules: conditions over the attributes of a row, and expressions of calculations.

Polars parses it; what polars understood is then walked node by node against the lists below, so nothing that is not named
here is ever run. Every problem is given with its place in the text.
"""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from engine.expression import CONVERT_UNIT, DEPTH, VALUE_UNIT, Code, Expression, depth
from engine.model import KIND_ATTRIBUTES, Classification, Temperature
from engine.rule_tokens import Language, SqlError, SqlProblem, Token, close_to, tokens_of

TEXT: Final = "a text"
NUMBER: Final = "a number"
FLAG: Final = "a condition"

ATTRIBUTES: Final[Mapping[str, str]] = {
    "position_type": TEXT,
    "external_kind": TEXT,
    "reusable": FLAG,
    "recall_days": NUMBER,
    "depot": TEXT,
    "book": TEXT,
    "client": TEXT,
    "entity": TEXT,
    "aggregation_unit": TEXT,
    "security": TEXT,
    "isin": TEXT,
    "country": TEXT,
    "currency": TEXT,
    "market": TEXT,
    "temperature": TEXT,
    "classification": TEXT,
    "designated": FLAG,
    "threshold": FLAG,
    "event_days": NUMBER,
    "day": NUMBER,
}
"""What a condition may ask of a row, its security, its book and the day, and of which type it is."""
VALUES: Final[Mapping[str, frozenset[str]]] = {
    "position_type": frozenset(kind.position_type for kind in KIND_ATTRIBUTES),
    "external_kind": frozenset(kind.external_kind for kind in KIND_ATTRIBUTES),
    "temperature": frozenset(Temperature.__members__),
    "classification": frozenset(Classification.__members__),
}
"""All that these attributes can be: anything else is a slip of the pen."""

_CONDITIONS: Final = Language(
    functions={"coalesce": (2, 9), "starts_with": (2, 2), "ends_with": (2, 2), "lower": (1, 1), "upper": (1, 1)},
    keywords=frozenset({"AND", "OR", "NOT", "IN", "BETWEEN", "LIKE", "IS", "NULL", "TRUE", "FALSE"}),
    binary=frozenset({"AND", "OR", "=", "<>", "!=", "<", "<=", ">", ">=", "+", "-", "*"}),
    texts=True,
    names=tuple(ATTRIBUTES),
)
_EXPRESSIONS: Final = Language(
    functions={"greatest": (2, 99), "least": (2, 99), "value": (2, 2), "convert": (2, 2)},
    keywords=frozenset(),
    binary=frozenset({"+", "-", "*", "/"}),
    texts=False,
)
RESERVED: Final = frozenset({"total", *_EXPRESSIONS.functions})
"""What no term and no calculation may be called."""

# what polars calls an operator, in this version and in others
_COMPARE: Final = frozenset({"Eq", "NotEq"})
_ORDER: Final = frozenset({"Lt", "LtEq", "Gt", "GtEq"})
_SUM: Final[Mapping[str, Code]] = {
    "Plus": Code.ADD,
    "Add": Code.ADD,
    "Minus": Code.SUBTRACT,
    "Sub": Code.SUBTRACT,
    "Multiply": Code.MULTIPLY,
    "Mul": Code.MULTIPLY,
    "Divide": Code.DIVIDE,
    "TrueDivide": Code.DIVIDE,
    "Div": Code.DIVIDE,
}
_DEPTH: Final = DEPTH - 4
"""What an expression may need of the stack: `total` needs the rest."""
_SCALARS: Final = frozenset({"String", "Boolean", "Int32", "Int64"})
_OWN: Final[Mapping[str, int]] = {"value": VALUE_UNIT, "convert": CONVERT_UNIT}


@dataclass(frozen=True, slots=True)
class Condition:
    """A checked condition: what it asks of, the markets that it names, and the polars expression that answers."""

    text: str
    columns: frozenset[str]
    markets: frozenset[str]
    filter: Any


@dataclass(frozen=True, slots=True)
class Formula:
    """A checked expression, its names unbound. `places`: each name with where it begins, in the order of the text."""

    code: Expression
    places: tuple[tuple[str, int], ...]


@lru_cache(maxsize=4096)
def read_condition(text: str) -> Condition:
    """A condition over `ATTRIBUTES`. Raises `SqlError` with every problem."""
    tokens = tokens_of(text, _CONDITIONS)
    expression, tree = _parse(text, tokens)
    walk = _Types(tokens, tree)
    kind = walk.over(tree)
    if kind != FLAG:
        walk.say(f"is {kind}, not a condition", tree)
    if walk.problems:
        raise SqlError(tuple(dict.fromkeys(walk.problems)))
    columns = frozenset(t.text for t in tokens if t.kind == "name")
    return Condition(text, columns, frozenset(walk.markets), expression)


@lru_cache(maxsize=4096)
def read_expression(text: str) -> Formula:
    """The expression of a calculation; whether its names exist is for the caller to say. Raises `SqlError`."""
    tokens = tokens_of(text, _EXPRESSIONS)
    tree = _parse(text, tokens)[1]
    try:
        code = tuple(_emit(tree))
    except _NotAllowedError as error:
        raise SqlError((SqlProblem(str(error), 0, len(text)),)) from None
    if depth(code) > _DEPTH:
        raise SqlError((SqlProblem(f"nested more than {_DEPTH} deep", 0, len(text)),))
    return Formula(code, tuple((t.text, t.begin) for t in tokens if t.kind == "name"))


@lru_cache(maxsize=4096)
def normal(text: str) -> str:
    """The condition `text` with its words spaced alike: two that differ in spaces and capitals of SQL are the same."""
    return " ".join(token.text for token in tokens_of(text, _CONDITIONS)) if text else ""


class _NotAllowedError(ValueError):
    pass


def _parse(text: str, tokens: list[Token]) -> tuple[Any, Any]:
    """The polars expression of checked words, and what polars understood, as plain data. Raises `SqlError`."""
    import polars as pl  # noqa: PLC0415  only who compiles rules needs polars

    try:
        expression = pl.sql_expr(" ".join(_quoted(tokens, i) for i in range(len(tokens))))
        return expression, json.loads(expression.meta.serialize(format="json"))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, RecursionError):
        raise SqlError((SqlProblem("cannot be read as SQL", 0, len(text)),)) from None


def _quoted(tokens: list[Token], index: int) -> str:
    """A word as polars is to read it: a name in quotes is never a keyword; a function of ours is an odd call of its own."""
    token, before = tokens[index], tokens[index - 1] if index else None
    if token.kind == "name":
        return f'"{token.text}"'
    if token.kind == "function" and token.text in _OWN:
        return "greatest"
    if token.text == "(" and before is not None and before.kind == "function" and before.text in _OWN:
        return f"('{before.text}',"
    return token.text


def _literal(node: Any) -> Any:
    """The value of a literal node; None for any other."""
    match node:
        case {"Literal": {"Dyn": {"Int": value}}}:
            return value
        case {"Literal": {"Scalar": {**scalar}}} if len(scalar) == 1 and scalar.keys() <= _SCALARS:
            return next(iter(scalar.values()))
    return None


def _emit(node: Any) -> list[tuple[int, int] | str]:
    """Postfix of an expression's tree."""
    match node:
        case {"Column": str(name)}:
            return [name]
        case {"BinaryExpr": {"left": left, "op": str(op), "right": right}} if op in _SUM:
            return [*_emit(left), *_emit(right), (_SUM[op], 0)]
        case {"Function": {"input": [left, right], "function": {"Sql": {"Binary": str(op)}}}} if op in _SUM:
            return [*_emit(left), *_emit(right), (_SUM[op], 0)]
        case {"Function": {"input": [tag, left, right], "function": "MaxHorizontal"}} if _literal(tag) in _OWN:
            return [*_emit(left), *_emit(right), (Code.VALUE, _OWN[_literal(tag)])]
        case {"Function": {"input": [first, *rest], "function": "MaxHorizontal" | "MinHorizontal" as function}}:
            code = _emit(first)
            for item in rest:
                code += [*_emit(item), (Code.GREATEST if function == "MaxHorizontal" else Code.LEAST, 0)]
            return code
    value = _literal(node)
    if isinstance(value, int) and not isinstance(value, bool):
        return [(Code.CONSTANT, value)]
    raise _NotAllowedError("only names, whole numbers, + - * /, greatest, least, value and convert")


@dataclass(slots=True)
class _Types:
    """Tells of each node whether it is a text, a number or a condition, and collects what does not fit."""

    tokens: list[Token]
    tree: Any
    problems: list[SqlProblem] = field(default_factory=list)
    markets: set[str] = field(default_factory=set)
    _places: dict[int, Token] = field(default_factory=dict)

    def say(self, message: str, node: Any) -> None:
        """A problem at the first name or value below `node`."""
        token = self._token(node)
        self.problems.append(SqlProblem(f"{token.text} {message}", token.begin, token.end))

    def over(self, node: Any) -> str:
        """The type of `node`."""
        match node:
            case {"Column": str(name)} if name in ATTRIBUTES:
                return ATTRIBUTES[name]
            case {"BinaryExpr": {"left": left, "op": str(op), "right": right}}:
                return self._binary(op, left, right)
            case {"Cast": {"expr": inner, "dtype": {"Literal": "Boolean"}}}:
                return self._all(FLAG, [inner], "NOT")
            case {"Function": {"input": list(inputs), "function": function}}:
                return self._function(function, inputs)
        value = _literal(node)
        if isinstance(value, bool):
            return FLAG
        if isinstance(value, int | str):
            return NUMBER if isinstance(value, int) else TEXT
        self.say("cannot be used like this", node)
        return FLAG

    def _binary(self, op: str, left: Any, right: Any) -> str:
        if op in ("And", "Or"):
            return self._all(FLAG, [left, right], op.upper())
        if op in _SUM and op not in ("Divide", "TrueDivide", "Div"):
            return self._all(NUMBER, [left, right], "a sum or product")
        a, b = self.over(left), self.over(right)
        if op not in _COMPARE | _ORDER:
            self.say(f"cannot be used with {op}", left)
        elif a != b:
            self.say(f"is {a}, and is compared with {b}", left)
        elif op in _ORDER and a == FLAG:
            self.say("is a condition: it is true or false, not less or more", left)
        elif op in _COMPARE:
            self._among(left, [_literal(right)], right)
            self._among(right, [_literal(left)], left)
        return FLAG

    def _function(self, function: Any, inputs: list[Any]) -> str:
        match function, inputs:
            case {"Boolean": "Not"}, [_]:
                return self._all(FLAG, inputs, "NOT")
            case {"Boolean": "IsNull" | "IsNotNull"}, [inner]:
                self.over(inner)
                return FLAG
            case {"Sql": {"IsIn": _}}, [left, {"Literal": {"Series": list(series)}}]:
                return self._is_in(left, series)
            case {"Sql": {"Binary": str(op)}}, [left, right]:
                return self._binary(op, left, right)
            case {"StringExpr": "StartsWith" | "EndsWith" | {"Contains": _}}, [_, _]:
                return self._all(TEXT, inputs, "LIKE", FLAG)
            case {"StringExpr": "Lowercase" | "Uppercase"}, [_]:
                return self._all(TEXT, inputs, "lower and upper")
            case "Coalesce", [first, *rest]:
                return self._all(self.over(first), rest, "coalesce")
        self.say("cannot be used like this", inputs[0] if inputs else None)
        return FLAG

    def _all(self, kind: str, nodes: list[Any], where: str, result: str = "") -> str:
        """Each of `nodes` must be of `kind`; then the whole is, or is `result`."""
        for node in nodes:
            found = self.over(node)
            if found != kind:
                self.say(f"is {found}, where {where} needs {kind}", node)
        return result or kind

    def _is_in(self, left: Any, series: list[int]) -> str:
        import polars as pl  # noqa: PLC0415  see above

        kind, values = self.over(left), pl.read_ipc_stream(io.BytesIO(bytes(series))).to_series().to_list()[0]
        other = TEXT if isinstance(values[0], str) else NUMBER
        if kind != other:
            self.say(f"is {kind}, and is compared with {other}", left)
        else:
            self._among(left, values, left)
        return FLAG

    def _among(self, column: Any, values: list[Any], node: Any) -> None:
        """Whether the attribute can have these values at all."""
        name = column.get("Column") if isinstance(column, dict) else None
        known = VALUES.get(str(name), frozenset())
        if name == "market":
            self.markets |= {value for value in values if isinstance(value, str)}
        for value in values:
            if known and isinstance(value, str) and value not in known:
                wanted = [t for t in self.tokens if t.text == _sql_text(value)]
                token = wanted[0] if wanted else self._token(node)
                hint = close_to(value, sorted(known)) or f": {', '.join(sorted(filter(None, known)))}"
                self.problems.append(SqlProblem(f"no {name} {value!r}{hint}", token.begin, token.end))

    def _token(self, node: Any) -> Token:
        """The first word that `node` came from."""
        if not self._places:
            self._place_all()
        return next((self._places[id(leaf)] for leaf in _leaves(node) if id(leaf) in self._places), self.tokens[0])

    def _place_all(self) -> None:
        """Leaves come in the order of the text; what BETWEEN doubles comes once too often, and is the last of its sort then."""
        seen: dict[str, int] = {}
        for leaf in _leaves(self.tree):
            text = _leaf_text(leaf)
            alike = [token for token in self.tokens if token.text == text]
            if alike:
                self._places[id(leaf)] = alike[min(seen.get(text, 0), len(alike) - 1)]
                seen[text] = seen.get(text, 0) + 1


def _sql_text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _leaves(node: Any) -> Iterator[Any]:
    """Names and literals below `node`, in the order of the text."""
    if isinstance(node, dict) and (isinstance(node.get("Column"), str) or _literal(node) is not None):
        yield node
    elif isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _leaves(child)


def _leaf_text(leaf: Any) -> str:
    """A leaf as it is written."""
    value = leaf.get("Column") or _literal(leaf)
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int):
        return str(abs(value))
    return str(value) if "Column" in leaf else _sql_text(str(value))
