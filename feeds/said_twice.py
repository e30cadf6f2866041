"""Fields that a JSON text says twice in one object: readers differ in which of them they take, so such a text is refused."""

import json
from typing import Any, TypeAlias

import msgspec

Path: TypeAlias = tuple[str | int, ...]
"""Names and places in lists, from the outermost to the innermost."""


def said_twice(text: bytes) -> list[Path]:
    """Where, in the order of the text. Raises `msgspec.DecodeError`, `UnicodeError` or `RecursionError` for what is no JSON.

    Different names are never more than names, nor names more than colons: where there are as many, all is said once.
    """
    value = msgspec.json.decode(text)
    objects = value if isinstance(value, list) else [value]
    if all(isinstance(each, dict) for each in objects) and sum(map(len, objects)) == text.count(b":"):
        return []
    found: list[Path] = []
    _look(json.loads(text, object_pairs_hook=_Said, parse_int=str, parse_float=str), (), found)
    return found


class _Said(list[tuple[str, Any]]):
    """An object's names and values as they were written."""


def _look(value: Any, at: Path, found: list[Path]) -> None:
    """`at`: where `value` stands."""
    said = value if isinstance(value, _Said) else list(enumerate(value)) if isinstance(value, list) else []
    seen: set[str | int] = set()
    for name, inner in said:
        if name in seen:
            found.append((*at, name))
        seen.add(name)
        _look(inner, (*at, name), found)
