"""The query of a request, read and checked."""

import re
from collections.abc import Callable
from enum import Enum
from typing import Final, TypeVar

from tornado.web import RequestHandler

from app.api.problems import Fault, ProblemError
from engine.locates import sequence_of

T = TypeVar("T")
E = TypeVar("E", bound=Enum)
_WHOLE: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_DIGITS: Final = 19


class Parameters:
    """The query of a request: what is unknown or wrong is a fault."""

    def __init__(self, handler: RequestHandler, names: tuple[str, ...]) -> None:
        self._given = {name: handler.get_query_arguments(name)[-1] for name in handler.request.query_arguments}
        self._faults = [Fault("Unknown parameter", parameter=name) for name in self._given if name not in names]

    def read(self, name: str, convert: Callable[[str], T]) -> T | None:
        """None where it is not given or wrong."""
        if name not in self._given:
            return None
        try:
            return convert(self._given[name])
        except ValueError as error:
            self._faults.append(Fault(str(error), parameter=name))
            return None

    def check(self) -> None:
        """Raise `ProblemError` if anything was wrong."""
        if self._faults:
            raise ProblemError(422, "invalid", "the query cannot be used", tuple(self._faults))


def number(text: str, least: int, most: int) -> int:
    """Raises ValueError for anything but a whole number within the limits."""
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and least <= int(text) <= most):
        raise ValueError(f"Expected {least:,} to {most:,}")
    return int(text)


def signed(text: str) -> int:
    """Raises ValueError for anything but a whole number of at most 63 bits."""
    if not _WHOLE.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
        raise ValueError("Expected a whole number")
    return int(text)


def member(text: str, of: type[E]) -> E:
    """The one of that name. Raises ValueError."""
    if text not in of.__members__:
        raise ValueError(f"Expected one of {', '.join(of.__members__)}")
    return of[text]


def text_of(text: str) -> str:
    """Raises ValueError for what no name of ours can be."""
    if not text.isprintable() or not text:
        raise ValueError("Expected a text without control characters")
    return text


def sequence_or_missing(text: str) -> int:
    """The number of a locate's id. Raises a 404."""
    sequence = sequence_of(text)
    if sequence is None:
        raise ProblemError(404, "not-found", f"no locate {text}")
    return sequence
