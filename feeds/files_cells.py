"""How a cell of a batch file becomes the JSON of a field; what cannot is told with what was expected.

Nothing is guessed: where two readings are possible (`1.234`), neither is taken.
"""

import datetime as dt
import math
import re
from collections.abc import Callable
from typing import Final

import msgspec

_SHOWN: Final = 60
LONGEST_TEXT: Final = 4_000
LONGEST_NUMBER: Final = 400
"""Digits, with zeros in front: no number of ours has twenty, and Python does not read any number of them."""
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_PLAIN: Final = re.compile(r"-?(0|[1-9][0-9]*)")
_LOOSE: Final = re.compile(r"[+-]?[0-9]+")
_SPACED: Final = re.compile(r"[+-]?[0-9]{1,3}(['\u2019 \u00a0\u2009\u202f])[0-9]{3}(\1[0-9]{3})*")
_GROUPED: Final = re.compile(r"[+-]?[0-9]{1,3}(?P<mark>[,.])[0-9]{3}(?:(?P=mark)[0-9]{3})*(?P<tail>[,.][0-9]+)?")
_WHOLE: Final = re.compile(r"[+-]?[0-9]+[,.]0+")
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
_HINTS: Final = (
    (re.compile(r"[+-]?[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+"), "a spreadsheet has rounded it and the digits are lost"),
    (re.compile(r"\([0-9.,' ]+\)"), "write a negative number with a minus in front"),
    (re.compile(r"[0-9.,' ]+-"), "write a negative number with the minus in front"),
    (re.compile(r"[+-]?[0-9]*[.,][0-9]+"), "a fraction, or marks between thousands: neither is taken for the other"),
    (re.compile(r"#[A-Z/0]+[!?]?"), "a spreadsheet's error"),
)
_COMPACT_DATE: Final = re.compile(r"[0-9]{8}")
_ISO_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_YES: Final = {
    "true": "true",
    "yes": "true",
    "y": "true",
    "1": "true",
    "false": "false",
    "no": "false",
    "n": "false",
    "0": "false",
}
_text = msgspec.json.Encoder()


class CellError(ValueError):
    """A cell that cannot be used; the message says what may help, and is empty where nothing does."""


def whole_number(text: str, delimiter: str) -> str:
    """Digits as JSON has them. Marks between thousands are taken where they can be nothing else.

    `1,234` is a thousand in a file with commas between its cells, for no decimal comma could be there; anywhere else it takes
    a second mark (`1.234.567`, `1.234,00`). Zeros behind a decimal mark do not matter.
    """
    _short(text)
    if _PLAIN.fullmatch(text):
        return "0" if text == "-0" else text
    bare = text
    if _SPACED.fullmatch(text):
        bare = re.sub(r"[^0-9+-]", "", text)
    elif (match := _GROUPED.fullmatch(text)) is not None:
        mark, tail = match["mark"], match["tail"] or ""
        certain = tail or text.count(mark) > 1 or mark == delimiter == ","
        if certain and tail[:1] != mark and not tail[1:].strip("0"):
            bare = re.sub(r"[,.]", "", text.removesuffix(tail))
    elif _WHOLE.fullmatch(text):
        bare = re.split(r"[,.]", text)[0]
    if not _LOOSE.fullmatch(bare):
        raise CellError(next((hint for form, hint in _HINTS if form.fullmatch(text)), ""))
    return str(int(bare))


def _short(text: str) -> None:
    if len(text) > LONGEST_NUMBER:
        raise CellError(f"it has {len(text):,} characters, at most {LONGEST_NUMBER} are taken")


def number(text: str, delimiter: str) -> str:
    """A number with a decimal point; in a file with semicolons a comma is one, too."""
    _short(text)
    plain = text.replace(",", ".") if delimiter == ";" and "." not in text else text
    if not _DECIMAL.fullmatch(plain):
        raise CellError(next((hint for form, hint in _HINTS[:3] if form.fullmatch(text)), ""))
    value = float(plain)
    if not math.isfinite(value):
        raise CellError("no number is that large")
    return _text.encode(value).decode()


def date(text: str, _: str) -> str:
    """2026-11-22 or 20261122; the order of day and month is never guessed."""
    if not (_ISO_DATE.fullmatch(text) or _COMPACT_DATE.fullmatch(text)):
        raise CellError(
            "day and month cannot be told apart" if re.fullmatch(r"[0-9]+[/.-][0-9]+[/.-][0-9]+", text) else ""
        )
    try:
        return f'"{dt.date.fromisoformat(text).isoformat()}"'
    except ValueError as error:
        raise CellError("there is no such day") from error


def time_ns(text: str, delimiter: str) -> str:
    """Nanoseconds since 1970, or an ISO time with its zone."""
    if _LOOSE.fullmatch(text):
        return whole_number(text, delimiter)
    try:
        told = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise CellError("") from error
    if told.tzinfo is None:
        raise CellError("a time needs its zone, such as Z or +01:00")
    since = told - _EPOCH
    return str(((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000)


def moment(text: str, _: str) -> str:
    """An ISO time with its zone."""
    try:
        told = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise CellError("") from error
    if told.tzinfo is None:
        raise CellError("a time needs its zone, such as Z or +01:00")
    return f'"{told.isoformat()}"'


def yes_or_no(text: str, _: str) -> str:
    """Also yes, no, y, n, 1 and 0."""
    if (found := _YES.get(text.lower())) is None:
        raise CellError("")
    return found


def name(text: str, _: str) -> str:
    """A text; a code has no spaces at its ends and nothing that cannot be seen."""
    if len(text) > LONGEST_TEXT:
        raise CellError(f"it has {len(text):,} characters, at most {LONGEST_TEXT:,} are taken")
    if not text.isprintable():
        raise CellError("it contains a character that cannot be seen")
    return _text.encode(text).decode()


def inside(text: str, _: str) -> str:
    """JSON of a list or an object."""
    try:
        return _text.encode(msgspec.json.decode(text)).decode()
    except (msgspec.DecodeError, RecursionError) as error:
        raise CellError(str(error)) from error


READERS: Final[dict[str, Callable[[str, str], str]]] = {
    "text": name,
    "whole number": whole_number,
    "number": number,
    "date": date,
    "time": time_ns,
    "moment": moment,
    "yes or no": yes_or_no,
    "JSON": inside,
}
"""By `feeds.files_columns.Column.type`: cell without spaces at its ends, delimiter of the file -> JSON. Raise `CellError`."""


def shown(text: str) -> str:
    """A cell for a report: cut, and nothing that steers a terminal."""
    safe = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text[:_SHOWN])
    return safe + (" ..." if len(text) > _SHOWN else "")
