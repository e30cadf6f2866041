"""Expressions over terms, as SQL, compiled to a postfix program of integers that a kernel runs over many securities at once.

Allowed: names, whole numbers, + - * and / (whole-number division, rounded down; by zero gives 0), unary minus, parentheses,
`greatest(a, b, ...)` and `least(a, b, ...)`. This part of SQL is also Python's grammar, so Python's own parser reads it.
"""

import ast
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

WEIGHT_UNIT: Final = 10_000
"""Weights are kept as whole ten-thousandths."""
DEPTH: Final = 16
"""The deepest stack a program may need."""


class Code(IntEnum):
    """Instructions; a program is a list of (code, argument)."""

    CONSTANT = 0
    TERM = 1
    CALCULATION = 2
    WEIGH = 3
    """Multiply by argument / WEIGHT_UNIT, rounded down."""
    ADD = 4
    SUBTRACT = 5
    MULTIPLY = 6
    DIVIDE = 7
    GREATEST = 8
    LEAST = 9


Program = tuple[tuple[int, int], ...]
_OPERATORS: Final[dict[type[ast.operator], Code]] = {
    ast.Add: Code.ADD,
    ast.Sub: Code.SUBTRACT,
    ast.Mult: Code.MULTIPLY,
    ast.FloorDiv: Code.DIVIDE,
    ast.Div: Code.DIVIDE,
}
_FUNCTIONS: Final = {"greatest": Code.GREATEST, "least": Code.LEAST}


class ExpressionError(ValueError):
    """An expression that cannot be used; the message points at the place."""


def compile_expression(text: str, names: Mapping[str, Program]) -> Program:
    """The program of `text`; `names` gives the program that pushes each name's value. Raises `ExpressionError`."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise ExpressionError(f"{text!r}: cannot be read at column {error.offset}") from None
    program = tuple(_emit(tree.body, text, names))
    if depth(program) > DEPTH:
        raise ExpressionError(f"{text!r}: nested more than {DEPTH} deep")
    return program


def depth(program: Program) -> int:
    """The most values that are on the stack at once."""
    size = most = 0
    for code, _ in program:
        size += 1 if code <= Code.CALCULATION else -1 if code >= Code.ADD else 0
        most = max(most, size)
    return most


def _emit(node: ast.expr, text: str, names: Mapping[str, Program]) -> list[tuple[int, int]]:
    match node:
        case ast.Constant(value=int(value)) if not isinstance(value, bool) and abs(value) < 2**62:
            return [(Code.CONSTANT, value)]
        case ast.Name(id=name) if name in names:
            return list(names[name])
        case ast.Name(id=name):
            raise ExpressionError(f"{text!r}: unknown name {name!r} at column {node.col_offset + 1}")
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return [(Code.CONSTANT, 0), *_emit(operand, text, names), (Code.SUBTRACT, 0)]
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            return [*_emit(left, text, names), *_emit(right, text, names), (_OPERATORS[type(operator)], 0)]
        case ast.Call(func=ast.Name(id=function), args=[first, *rest], keywords=[]) if function.lower() in _FUNCTIONS:
            code = list(_emit(first, text, names))
            for argument in rest:
                code += [*_emit(argument, text, names), (_FUNCTIONS[function.lower()], 0)]
            return code
    raise ExpressionError(f"{text!r}: not allowed at column {node.col_offset + 1}: {ast.unparse(node)}")
