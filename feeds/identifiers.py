"""Industry identifiers made in bulk: bodies written from numbers, check digits added. Texts are S arrays, ASCII."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

DIGITS: Final = "0123456789"
LETTERS_AND_DIGITS: Final = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without I and O, which nobody can tell from 1 and 0."""
CONSONANTS_AND_DIGITS: Final = "0123456789BCDFGHJKLMNPQRSTVWXYZ"
_LETTER: Final = 10
"""The value of A; letters have two digits."""
_STRIDE: Final = 2**31 - 1
"""A prime: steps of it visit every number below any smaller modulus that it does not divide."""

Text = NDArray[np.bytes_]


def scattered(count: int, space: int, start: int) -> NDArray[np.int64]:
    """`count` different numbers below `space` that look unrelated. Raises ValueError where there are not as many."""
    if not 0 <= count <= space < _STRIDE:
        raise ValueError(f"no {count:,} different numbers below {space:,}")
    return (np.arange(count, dtype=np.int64) * _STRIDE + start) % space


def written(numbers: NDArray[np.int64], alphabet: str, width: int) -> Text:
    """Numbers in the base of the alphabet, most significant character first, `width` characters."""
    letters = np.frombuffer(alphabet.encode(), np.uint8)
    powers = len(alphabet) ** np.arange(width - 1, -1, -1, dtype=np.int64)
    return _text(letters[numbers[:, None] // powers % len(alphabet)])


def joined(*parts: str | Text) -> Text:
    """The parts put together, arrays element by element."""
    result: Any = np.asarray(parts[0].encode() if isinstance(parts[0], str) else parts[0])
    for part in parts[1:]:
        result = np.strings.add(result, part.encode() if isinstance(part, str) else part)
    return np.asarray(result)


def isin(bodies: Text) -> Text:
    """Bodies of 11 characters with the check digit of ISO 6166 (Luhn over letters as two digits)."""
    values = _values(bodies, 11)
    total = np.zeros(len(values), np.int64)
    doubled = np.ones(len(values), np.bool_)
    for column in range(10, -1, -1):
        value = values[:, column]
        total += _luhn(value % 10, doubled)
        two = value >= _LETTER
        total += np.where(two, _luhn(value // 10, ~doubled), 0)
        doubled = np.where(two, doubled, ~doubled)
    return _checked(bodies, total)


def cusip(bodies: Text) -> Text:
    """Bodies of 8 characters with their check digit."""
    return _checked(bodies, _alternating(_values(bodies, 8)))


def figi(bodies: Text) -> Text:
    """Bodies of 11 characters with their check digit."""
    return _checked(bodies, _alternating(_values(bodies, 11)))


def sedol(bodies: Text) -> Text:
    """Bodies of 6 characters with their check digit."""
    return _checked(bodies, _values(bodies, 6) @ np.array([1, 3, 1, 7, 3, 9]))


def _text(characters: NDArray[np.uint8]) -> Text:
    return np.ascontiguousarray(characters).view(f"S{characters.shape[1]}").ravel()


def _values(bodies: Text, width: int) -> NDArray[np.int64]:
    """Characters as numbers, A = 10, shape (n, width). Raises ValueError for bodies of another length."""
    if bodies.dtype.itemsize != width or np.any(np.strings.str_len(bodies) != width):
        raise ValueError(f"bodies must have {width} characters")
    characters = bodies.view(np.uint8).reshape(-1, width).astype(np.int64)
    return np.where(characters > ord("9"), characters - ord("A") + 10, characters - ord("0"))


def _luhn(digit: NDArray[np.int64], doubled: NDArray[np.bool_]) -> NDArray[np.int64]:
    twice = 2 * digit
    return np.where(doubled, twice // 10 + twice % 10, digit)


def _alternating(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum of the digits of every value, each second value doubled."""
    weighted = values * (1 + np.arange(values.shape[1]) % 2)
    return np.asarray((weighted // 10 + weighted % 10).sum(axis=1))


def _checked(bodies: Text, total: NDArray[np.int64]) -> Text:
    return joined(bodies, written(-total % 10, DIGITS, 1))
