"""What a file is to hold, and what is told while it is made: between the gateway and the process that makes it."""

import struct
from enum import StrEnum
from typing import Final

import msgspec

from app.gateway.messages import Filter, query_of
from engine.views import Query


class Form(StrEnum):
    """What a file may be."""

    CSV = "csv"
    XLSX = "xlsx"
    ARROW = "arrow"


MEDIA_TYPES: Final = {
    Form.CSV: "text/csv; charset=utf-8",
    Form.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Form.ARROW: "application/vnd.apache.arrow.stream",
}


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One file. `tables`: the name of the writer's shared memory; `clients`: whose rows may be in it, None for everybody's."""

    tables: str
    form: Form
    table: str
    columns: tuple[str, ...]
    filter: Filter
    sort: tuple[tuple[str, str], ...] = ()
    groups: tuple[str, ...] = ()
    pivot: str = ""
    leaves: bool = False
    clients: frozenset[str] | None = None
    now_ns: int

    def query(self) -> Query:
        """Raises `QueryError`."""
        return query_of(
            self.table, self.columns, self.filter, self.clients, sort=self.sort, groups=self.groups, pivot=self.pivot
        )


class Begun(msgspec.Struct, tag=True, frozen=True):
    """All is copied: how many lines there will be, and of which moment (the newest event's own time) they are."""

    rows: int
    as_of_ns: int


class Written(msgspec.Struct, tag=True, frozen=True):
    """So many lines have been written; the bytes follow."""

    rows: int
    bytes: int


class Refused(msgspec.Struct, tag=True, frozen=True):
    """There is no file: why, as a status of HTTP and words."""

    status: int
    detail: str


class Done(msgspec.Struct, tag=True, frozen=True):
    """The file is whole."""


Told = Begun | Written | Refused | Done
LENGTH: Final = struct.Struct("<I")
"""In front of every word of the maker's, which is JSON."""
DECODER: Final = msgspec.json.Decoder(Told)
