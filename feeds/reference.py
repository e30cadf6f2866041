"""Reference data on the wire: one tagged JSON object per record, turned into the arrays the engine's ring carries.

What securities, counterparties and baskets are, and merges and splits, is the security master's to say (`feeds.master_door`).
Without a master a security is taken as it comes, and what needs one is refused.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from engine.model import RATE_UNKNOWN, Classification, CounterpartyKind, Market, Temperature, UnitType
from engine.records import BOOK, COUNTERPARTY, CURRENCY, NAMED, SECURITY, UNIT
from engine.ring import BOOK_UNIT, Message
from feeds.master_door import Door, Taken
from feeds.master_records import Composition, Counterparty, Merge, Security, Split
from feeds.quarantine import Decoded, Origin, Reason

__all__ = [
    "AggregationUnit",
    "Book",
    "BookUnit",
    "Composition",
    "Counterparty",
    "Currency",
    "Depot",
    "Merge",
    "Record",
    "Security",
    "Source",
    "Split",
    "arrays",
    "decode",
    "encode",
    "securities",
]

Fx: TypeAlias = Annotated[int, Meta(ge=0, le=10**15)]
InterestYear: TypeAlias = Annotated[int, Meta(ge=360, le=366)]
_EPOCH: Final = dt.date(1970, 1, 1)


class Currency(msgspec.Struct, tag="currency", frozen=True, forbid_unknown_fields=True):
    """`day_count`: days of an interest year. `fx`: billionths of the reporting currency for one unit, 0 where unknown."""

    code: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    day_count: InterestYear
    fx: Fx = 0


class Book(msgspec.Struct, tag="book", frozen=True, forbid_unknown_fields=True):
    """Where activity is booked, and whose it is."""

    code: str
    client: str = ""
    entity: str = ""
    aggregation_unit: str = ""


class Depot(msgspec.Struct, tag="depot", frozen=True, forbid_unknown_fields=True):
    """Where stock lies."""

    code: str
    name: str = ""


class Source(msgspec.Struct, tag="source", frozen=True, forbid_unknown_fields=True):
    """Who numbers events: a source's numbers begin at 1 and leave none out."""

    code: str
    name: str = ""


class UnitKind(StrEnum):
    """What may be sold in an aggregation unit."""

    NET = "NET"
    LONG = "LONG"
    SHORT = "SHORT"


class AggregationUnit(msgspec.Struct, tag="aggregation_unit", frozen=True, forbid_unknown_fields=True):
    """A regulatory part of a legal entity in one market; `market` is a market's code."""

    code: str
    market: str
    kind: UnitKind = UnitKind.NET
    name: str = ""
    entity: str = ""


class BookUnit(msgspec.Struct, tag="book_unit", frozen=True, forbid_unknown_fields=True):
    """The aggregation unit of a book in a market; the empty unit: none any more."""

    book: str
    unit: str
    market: str


Record: TypeAlias = (
    Currency
    | Security
    | Counterparty
    | Book
    | Depot
    | Source
    | AggregationUnit
    | BookUnit
    | Composition
    | Merge
    | Split
)
RECORDS: Final = (
    Currency, Security, Counterparty, Book, Depot, Source, AggregationUnit, BookUnit, Composition, Merge, Split,
)  # fmt: skip
MASTERED: Final = (Security, Counterparty, Composition, Merge, Split)
"""What the security master takes."""
Array: TypeAlias = NDArray[np.void]


class _FaultError(ValueError):
    """A record that decodes but cannot be stored."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def encode(record: Record) -> bytes:
    """The value of a Kafka record of the reference topic; its key is the code."""
    return _ENCODER.encode(record)


def decode(values: Sequence[bytes], markets: Sequence[Market], origin: Origin, master: Door | None = None) -> Decoded:
    """Read records in order. The same code twice is kept twice: the later one changes the earlier.

    With a master it may take seconds.
    """
    rows: dict[type[Record], list[tuple[Any, ...]]] = {kind: [] for kind in _LAYOUTS}
    taken: list[Taken] = []
    market_index = {market.code: index for index, market in enumerate(markets)}
    decoded = Decoded()
    for number, value in enumerate(values):
        try:
            record = _DECODER.decode(value)
            if master is not None and isinstance(record, MASTERED):
                taken.append(Taken(record, number, origin.place(number)))
                continue
            layout = _LAYOUTS.get(type(record))
            if layout is None:
                raise _FaultError(Reason.INVALID, f"{type(record).__name__} needs the security master")
            rows[type(record)].append(layout.row(record, market_index))
        except _FaultError as fault:
            decoded.unreadable.append(origin.unreadable(number, fault.reason, str(fault), value))
        except msgspec.ValidationError as error:
            decoded.unreadable.append(origin.unreadable(number, Reason.INVALID, str(error), value))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            decoded.unreadable.append(origin.unreadable(number, Reason.MALFORMED, str(error), value))
    for kind, layout in _LAYOUTS.items():
        if rows[kind]:
            decoded.messages.append((layout.message, np.array(rows[kind], layout.dtype)))
        if kind is Security and master is not None and taken:
            answer = master.take(taken)
            decoded.messages.extend(answer.messages)
            refused = [origin.unreadable(at, reason, detail, values[at]) for at, reason, detail in answer.refused]
            decoded.unreadable.extend(refused)
    return decoded


def arrays(records: Sequence[Record], markets: Sequence[Market]) -> list[tuple[Message, Array]]:
    """The same messages from records in memory. Raises ValueError for the first one that cannot be stored."""
    decoded = decode(list(map(encode, records)), markets, Origin.of("memory", len(records)))
    if decoded.unreadable:
        first = decoded.unreadable[0]
        raise ValueError(f"{first.detail}: {first.raw.decode(errors='replace')}")
    return decoded.messages


def securities(records: Array, markets: Sequence[Market]) -> list[Security]:
    """Securities in the engine's form (dtype `SECURITY`) as records of the topic: what `decode` makes of these is the same."""
    made = []
    for row in records.tolist():
        fields: dict[str, Any] = dict(zip(SECURITY.names or (), row, strict=True))
        fields |= {name: fields[name].decode() for name in _SECURITY_TEXTS}
        fields["market"] = markets[fields["market"]].code
        fields["temperature"] = Temperature(fields["temperature"]).name
        fields["classification"] = Classification(fields["classification"]).name
        fields |= {name: None for name in ("fee", "rebate") if fields[name] == RATE_UNKNOWN}
        days = fields["event_date"]
        fields["event_date"] = _EPOCH + dt.timedelta(days=days) if days else None
        made.append(Security(**fields))
    return made


def _text(record: Record, dtype: np.dtype[Any], name: str) -> bytes:
    """The column's bytes; text is never cut to fit, because a shortened code names something else."""
    text: str = getattr(record, name)
    raw, width = text.encode(), dtype[name].itemsize
    if len(raw) > width:
        raise _FaultError(Reason.TOO_LONG, f"{name} has {len(raw)} bytes, at most {width} are kept")
    if "\0" in text:
        raise _FaultError(Reason.INVALID, f"{name} contains a zero character")
    if name in ("code", "book") and not raw:
        raise _FaultError(Reason.INVALID, f"{name} is empty")
    return raw


def _security_row(record: Any, market_index: dict[str, int]) -> tuple[Any, ...]:
    market = _market(record, market_index)
    temperature = Temperature.__members__.get(record.temperature)
    if temperature is None:
        raise _FaultError(Reason.UNKNOWN_TEMPERATURE, f"no temperature {record.temperature!r}")
    classification = Classification.__members__.get(record.classification)
    if classification is None:
        raise _FaultError(Reason.INVALID, f"no classification {record.classification!r}")
    fee = RATE_UNKNOWN if record.fee is None else record.fee
    rebate = RATE_UNKNOWN if record.rebate is None else record.rebate
    event_date = 0 if record.event_date is None else (record.event_date - _EPOCH).days
    if record.event_date is not None and event_date < 1:
        raise _FaultError(Reason.INVALID, f"event_date {record.event_date} is not after {_EPOCH}")
    texts = (_text(record, SECURITY, name) for name in _SECURITY_TEXTS)
    numbers = (market, int(temperature), record.flags, int(classification), fee, rebate, event_date)
    return (*texts, *numbers, record.volume_30d, record.outstanding)


def _currency_row(record: Any, _: dict[str, int]) -> tuple[Any, ...]:
    return record.code.encode(), record.day_count, record.fx


def _book_row(record: Any, _: dict[str, int]) -> tuple[Any, ...]:
    return tuple(_text(record, BOOK, name) for name in BOOK.names or ())


def _counterparty_row(record: Any, _: dict[str, int]) -> tuple[Any, ...]:
    kind = CounterpartyKind.__members__.get(record.kind)
    if kind is None:
        raise _FaultError(Reason.INVALID, f"no kind of counterparty {record.kind!r}")
    return (*(_text(record, COUNTERPARTY, name) for name in ("code", "name", "lei", "country")), int(kind), 0)


def _unit_row(record: Any, market_index: dict[str, int]) -> tuple[Any, ...]:
    texts = (_text(record, UNIT, name) for name in ("code", "name", "entity"))
    return (*texts, _market(record, market_index), int(UnitType[record.kind.name]))


def _book_unit_row(record: Any, market_index: dict[str, int]) -> tuple[Any, ...]:
    return (*(_text(record, BOOK_UNIT, name) for name in ("book", "unit")), _market(record, market_index))


def _market(record: Any, market_index: dict[str, int]) -> int:
    market = market_index.get(record.market)
    if market is None:
        raise _FaultError(Reason.UNKNOWN_MARKET, f"no market {record.market!r}")
    return market


def _named_row(record: Any, _: dict[str, int]) -> tuple[Any, ...]:
    return tuple(_text(record, NAMED, name) for name in NAMED.names or ())


@dataclass(frozen=True, slots=True)
class _Layout:
    message: Message
    dtype: np.dtype[Any]
    row: Callable[[Any, dict[str, int]], tuple[Any, ...]]


_SECURITY_TEXTS: Final = tuple(name for name in SECURITY.names or () if SECURITY[name].kind == "S")
_LAYOUTS: Final[dict[type[Record], _Layout]] = {
    Currency: _Layout(Message.CURRENCIES, CURRENCY, _currency_row),
    Security: _Layout(Message.SECURITIES, SECURITY, _security_row),
    Counterparty: _Layout(Message.COUNTERPARTIES, COUNTERPARTY, _counterparty_row),
    Book: _Layout(Message.BOOKS, BOOK, _book_row),
    Depot: _Layout(Message.DEPOTS, NAMED, _named_row),
    Source: _Layout(Message.SOURCES, NAMED, _named_row),
    AggregationUnit: _Layout(Message.UNITS, UNIT, _unit_row),
    BookUnit: _Layout(Message.BOOK_UNITS, BOOK_UNIT, _book_unit_row),
}
