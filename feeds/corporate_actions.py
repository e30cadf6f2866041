"""Corporate actions: when a security has one, and what a row gets or gives by it.

    {"type":"announcement","src":"ca-0","seq":1,"ts":1790000000000000000,"sec":"US0378331005","event_date":"2026-12-01",
     "event":"DIVIDEND"}
    {"type":"entitlement","src":"ca-0","seq":2,"ts":1790000000000000000,"sec":"US0378331005","book":"B0001","depot":"DTC",
     "kind":"CLIENT_FREE","qty":250}

An announcement is of the security that `sec` leads to, by whichever of its names; an older one, by `ts`, replaces no newer one.
An entitlement replaces what was pending on its row; 0 says that it has come, or will not come.
"""

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec
import numpy as np

from engine.model import Market, Op
from engine.symbols import Symbols
from feeds.master_door import Door, Taken
from feeds.master_records import Security
from feeds.positions import PositionKind
from feeds.quarantine import Decoded, Origin, Reason
from feeds.records import Code, Columns, Numbered, OptionalCode, Rows, Signed, by_type, kinds_of, read

_SAME: Final = 1_000
SOURCE: Final = "corporate-actions"
"""Whom the security master has the dates from."""


class CorporateEvent(StrEnum):
    """What happens to the security."""

    DIVIDEND = "DIVIDEND"
    STOCK_DIVIDEND = "STOCK_DIVIDEND"
    SPLIT = "SPLIT"
    RIGHTS = "RIGHTS"
    MERGER = "MERGER"
    TENDER = "TENDER"
    SPIN_OFF = "SPIN_OFF"
    OTHER = "OTHER"


class Announcement(Numbered, tag="announcement", frozen=True, forbid_unknown_fields=True):
    """The next dividend or corporate action of a security; without a date it has none."""

    sec: Code
    event: CorporateEvent
    event_date: dt.date | None
    record_date: dt.date | None = None
    pay_date: dt.date | None = None
    reference: OptionalCode = ""


class Entitlement(Rows, tag="entitlement", frozen=True, forbid_unknown_fields=True):
    """What a row is to get or give: shown apart until it comes."""

    depot: OptionalCode
    kind: PositionKind
    qty: Signed
    reference: OptionalCode = ""


Record: TypeAlias = Announcement | Entitlement
RECORDS: Final = (Announcement, Entitlement)
_DECODER: Final[msgspec.json.Decoder[Record]] = msgspec.json.Decoder(Record)
_KINDS: Final = kinds_of(PositionKind)


def decode(
    values: Sequence[bytes], symbols: Symbols, markets: Sequence[Market], origin: Origin, master: Door | None = None
) -> Decoded:
    """Every entitlement becomes an event; announcements go to the security master, one source beside others.

    Never raises for what is in a record. With a master it may take seconds.
    """
    del markets
    records, numbers, unreadable = read(values, _DECODER, origin)
    decoded = Decoded(unreadable=unreadable)
    for kind, columns in by_type(records, numbers, RECORDS).items():
        if kind is Announcement:
            _announce(columns, origin, master, decoded)
        else:
            events = columns.events(symbols, origin)
            events["op"], events["kind"] = Op.SET_CA_PENDING, columns.names("kind", _KINDS)
            events["quantity"] = columns["qty"]
            decoded = Decoded(events[columns.good], decoded.unreadable, messages=decoded.messages)
        decoded.unreadable.extend(columns.rejected(values, origin))
    return decoded


def _announce(columns: Columns, origin: Origin, master: Door | None, decoded: Decoded) -> None:
    if master is None:
        every = np.ones(len(columns), np.bool_)
        told = (
            "an announcement goes by the security master, not by the engine: send it again once its security is known"
        )
        columns.fault(every, Reason.INVALID, lambda _: told)
        return
    columns.days("event_date")
    own = {name: master.own(name) for name in set(columns["sec"])}
    unknown = np.fromiter((not own[name] for name in columns["sec"]), np.bool_, len(columns))
    columns.fault(unknown, Reason.UNKNOWN_SECURITY, lambda at: f"no security {columns['sec'][at]!r}")
    taken = []
    for at in np.flatnonzero(columns.good).tolist():
        number = int(columns.numbers[at])
        version = _version(columns["ts"][at], columns["seq"][at])
        said = Security(own[columns["sec"][at]], event_date=columns["event_date"][at], source=SOURCE, version=version)
        taken.append(Taken(said, at, origin.place(number)))
    answer = master.take(taken)
    decoded.messages.extend(answer.messages)
    for at, reason, detail in answer.refused:
        columns.faults.setdefault(at, (reason, detail))


def _version(time_ns: int, number: int) -> int:
    """Orders announcements by their time to the microsecond, and those of one by their numbers: a file has one time for all."""
    return time_ns // _SAME * _SAME + number % _SAME


def encode(record: Record) -> bytes:
    """The value of a Kafka record; its key is the security."""
    return msgspec.json.encode(record)
