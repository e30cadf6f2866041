"""The columns of a batch file, made from the types of the feed's records: one truth for the wire and for files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import NODEFAULT, inspect

SOURCE_COLUMN: Final = "src"
NUMBER_COLUMN: Final = "seq"
TIME_COLUMN: Final = "ts"
MADE: Final = frozenset({SOURCE_COLUMN, NUMBER_COLUMN, TIME_COLUMN})
"""Columns that a file may leave out, because the loader makes them."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of one sort of record."""

    name: str
    type: str
    """A key of `feeds.files_cells.READERS`."""
    required: bool
    """Whether the file must have it, and each row a value."""
    empty: str = ""
    """The field's JSON where there is no value; "": the field is left out."""
    default: str = ""
    """What that means, for a person."""
    least: int | None = None
    most: int | None = None
    pattern: str = ""
    values: tuple[str, ...] = ()
    meaning: str = ""

    @property
    def expected(self) -> str:
        """What a cell may be, for a person."""
        forms = {
            "text": "a text",
            "whole number": "a whole number",
            "number": "a number",
            "date": "a date like 2026-11-22",
            "time": "nanoseconds since 1970, or a time like 2026-11-22T06:40:00Z",
            "moment": "a time like 2026-11-22T06:40:00Z",
            "yes or no": "true or false",
            "JSON": "JSON",
        }
        told = f"one of {', '.join(self.values)}" if self.values else forms[self.type]
        if self.least is not None:
            told += f", at least {self.least:,}"
        if self.most is not None:
            told += f", at most {self.most:,}"
        if self.pattern:
            told += f", as {self.pattern}"
        return told if self.required else f"{told}, or nothing"


@dataclass(frozen=True, slots=True)
class FileForm:
    """What a file of a feed looks like. `sorts`: columns by the tag of the record type; "" where there is one type only."""

    feed: str
    sorts: dict[str, tuple[Column, ...]]
    tag: str = ""
    """The column that says which sort a row is; "" where there is one only."""
    titles: dict[str, str] | None = None
    """What each sort is, by tag."""
    default: str = ""
    """The sort of every row of a file without the column that says it; "": each file must have it."""
    begins: str = ""
    """The sort of record that goes before the first row of each book in such a file."""
    asks: bool = False
    """Whether its rows are requests, each of which counts, and is answered."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that a file may have, in the order of the documentation."""
        tag = [self.tag] if self.tag else []
        return tuple(dict.fromkeys([*tag, *(column.name for sort in self.sorts.values() for column in sort)]))

    def required(self, header: Sequence[str]) -> tuple[str, ...]:
        """Columns that a file with these must have."""
        if self.tag and self.tag not in header:
            if not self.default:
                return (self.tag,)
            return tuple(column.name for column in self.sorts[self.default] if column.required)
        needed = [{column.name for column in sort if column.required} for sort in self.sorts.values()]
        return tuple(name for name in self.names if name in set.intersection(*needed))

    @property
    def numbered(self) -> bool:
        """Whether its records have a source and a number of it."""
        return {SOURCE_COLUMN, NUMBER_COLUMN} <= set(self.names)


def form_of(
    feed: str, types: Sequence[type[msgspec.Struct]], values: dict[str, tuple[str, ...]] | None = None
) -> FileForm:
    """The form of a feed's files. `values`: of columns that take only some names.

    Raises TypeError for several types without tags.
    """
    sorts: dict[str, tuple[Column, ...]] = {}
    titles: dict[str, str] = {}
    tag = ""
    for each in types:
        info = inspect.type_info(each)
        if not isinstance(info, inspect.StructType):
            raise TypeError(f"{each} is no record")
        name = "" if info.tag is None else str(info.tag)
        if name in sorts:
            raise TypeError(f"{feed}: several record types need tags")
        tag = tag or (info.tag_field or "")
        sorts[name] = tuple(_column(field, values or {}) for field in info.fields)
        titles[name] = " ".join((each.__doc__ or "").split("\n\n")[0].split())
    return FileForm(feed, sorts, tag, titles)


def _column(field: inspect.Field, values: dict[str, tuple[str, ...]]) -> Column:
    type_, meaning = field.type, ""
    if isinstance(type_, inspect.Metadata):
        meaning, type_ = str((type_.extra_json_schema or {}).get("description", "")), type_.type
    nullable = omitted = False
    if isinstance(type_, inspect.UnionType):
        nullable = any(isinstance(each, inspect.NoneType) for each in type_.types)
        omitted = any(type(each).__name__ == "UnsetType" for each in type_.types)
        kept = [
            each
            for each in type_.types
            if not isinstance(each, inspect.NoneType) and type(each).__name__ != "UnsetType"
        ]
        type_ = kept[0] if len(kept) == 1 else inspect.AnyType()
    if isinstance(type_, inspect.Metadata):
        meaning, type_ = meaning or str((type_.extra_json_schema or {}).get("description", "")), type_.type
    name, made = field.encode_name, field.encode_name in MADE
    form, options = _form(type_, name, values)
    optional = nullable or omitted or not field.required or made
    empty = ""
    if field.required and nullable:
        empty = "null"
    elif field.required and isinstance(type_, inspect.StrType) and not (type_.min_length or type_.pattern or options):
        empty, optional = '""', True
    if len(options) == 1 and field.required:  # there is nothing to choose
        empty, optional = f'"{options[0]}"', True
    default = "" if field.default is NODEFAULT or field.default in (None, "", ()) else str(field.default)
    least, most, pattern = _limits(type_)
    return Column(name, form, not optional, empty, default, least, most, pattern, options, meaning)


def _form(type_: inspect.Type, name: str, values: dict[str, tuple[str, ...]]) -> tuple[str, tuple[str, ...]]:
    options = values.get(name, ())
    match type_:
        case inspect.StrType():
            return "text", options
        case inspect.LiteralType():
            return "text", tuple(map(str, type_.values))
        case inspect.EnumType():
            return "text", tuple(str(member.value) for member in type_.cls)
        case inspect.IntType():
            return ("time" if name == TIME_COLUMN else "whole number"), ()
        case inspect.FloatType() | inspect.DecimalType():
            return "number", ()
        case inspect.BoolType():
            return "yes or no", ()
        case inspect.DateType():
            return "date", ()
        case inspect.DateTimeType():
            return "moment", ()
        case _:
            return "JSON", ()


def _limits(type_: inspect.Type) -> tuple[int | None, int | None, str]:
    """The smallest and largest number where they say something, and the pattern of a text."""
    if isinstance(type_, inspect.StrType):
        return None, None, type_.pattern or ""
    if not isinstance(type_, inspect.IntType):
        return None, None, ""
    least = type_.ge if type_.ge is not None else (None if type_.gt is None else type_.gt + 1)
    most = type_.le if type_.le is not None else (None if type_.lt is None else type_.lt - 1)
    wide = 2**62
    return (None if least is None or least < -wide else least), (None if most is None or most > wide else most), ""
