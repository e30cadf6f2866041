"""Reference data on the wire: one tagged JSON object per record, turned into the arrays the engine's ring carries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from engine.model import BOOK, NAMED, RATE_UNKNOWN, SECURITY, Market, SecurityFlag, Temperature
from engine.ring import Message
from feeds.quarantine import Origin, Reason, Unreadable

_ALL_FLAGS: Final = int(sum(SecurityFlag))
Flags: TypeAlias = Annotated[int, Meta(ge=0, le=_ALL_FLAGS)]
Rate: TypeAlias = Annotated[int, Meta(gt=RATE_UNKNOWN, lt=2**31)]


class Security(msgspec.Struct, tag="security", frozen=True, forbid_unknown_fields=True):
    """`market` is a market's code, `temperature` a name of `Temperature`; rates in `RATE_UNIT`, None where unknown."""

    code: str
    ticker: str = ""
    isin: str = ""
    cusip: str = ""
    sedol: str = ""
    figi: str = ""
    name: str = ""
    currency: str = ""
    country: str = ""
    market: str = ""
    temperature: str = "UNKNOWN"
    flags: Flags = 0
    fee: Rate | None = None
    rebate: Rate | None = None


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


Record: TypeAlias = Security | Book | Depot | Source
Array: TypeAlias = NDArray[np.void]


@dataclass(slots=True)
class Decoded:
    """Ring messages in the order in which to push them, and what could not be read."""

    messages: list[tuple[Message, Array]] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)


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


def decode(values: Sequence[bytes], markets: Sequence[Market], origin: Origin) -> Decoded:
    """Read records in order. The same code twice is kept twice: the later one changes the earlier."""
    rows: dict[type[Record], list[tuple[Any, ...]]] = {kind: [] for kind in _LAYOUTS}
    market_index = {market.code: index for index, market in enumerate(markets)}
    decoded = Decoded()
    for number, value in enumerate(values):
        try:
            record = _DECODER.decode(value)
            rows[type(record)].append(_LAYOUTS[type(record)].row(record, market_index))
        except _FaultError as fault:
            decoded.unreadable.append(origin.unreadable(number, fault.reason, str(fault), value))
        except msgspec.ValidationError as error:
            decoded.unreadable.append(origin.unreadable(number, Reason.INVALID, str(error), value))
        except (msgspec.DecodeError, UnicodeError) as error:
            decoded.unreadable.append(origin.unreadable(number, Reason.MALFORMED, str(error), value))
    decoded.messages = [
        (layout.message, np.array(rows[kind], layout.dtype)) for kind, layout in _LAYOUTS.items() if rows[kind]
    ]
    return decoded


def arrays(records: Sequence[Record], markets: Sequence[Market]) -> list[tuple[Message, Array]]:
    """The same messages from records in memory. Raises ValueError for the first one that cannot be stored."""
    decoded = decode(list(map(encode, records)), markets, Origin.of("memory", len(records)))
    if decoded.unreadable:
        first = decoded.unreadable[0]
        raise ValueError(f"{first.detail}: {first.raw.decode(errors='replace')}")
    return decoded.messages


def _text(record: Record, dtype: np.dtype[Any], name: str) -> bytes:
    """The column's bytes; text is never cut to fit, because a shortened code names something else."""
    text: str = getattr(record, name)
    raw, width = text.encode(), dtype[name].itemsize
    if len(raw) > width:
        raise _FaultError(Reason.TOO_LONG, f"{name} has {len(raw)} bytes, at most {width} are kept")
    if "\0" in text:
        raise _FaultError(Reason.INVALID, f"{name} contains a zero character")
    if name == "code" and not raw:
        raise _FaultError(Reason.INVALID, "code is empty")
    return raw


def _security_row(record: Any, market_index: dict[str, int]) -> tuple[Any, ...]:
    market = market_index.get(record.market)
    if market is None:
        raise _FaultError(Reason.UNKNOWN_MARKET, f"no market {record.market!r}")
    temperature = Temperature.__members__.get(record.temperature)
    if temperature is None:
        raise _FaultError(Reason.UNKNOWN_TEMPERATURE, f"no temperature {record.temperature!r}")
    fee = RATE_UNKNOWN if record.fee is None else record.fee
    rebate = RATE_UNKNOWN if record.rebate is None else record.rebate
    texts = (_text(record, SECURITY, name) for name in _SECURITY_TEXTS)
    return (*texts, market, int(temperature), record.flags, fee, rebate)


def _book_row(record: Any, _: dict[str, int]) -> tuple[Any, ...]:
    return tuple(_text(record, BOOK, name) for name in BOOK.names or ())


def _named_row(record: Any, _: dict[str, int]) -> tuple[Any, ...]:
    return tuple(_text(record, NAMED, name) for name in NAMED.names or ())


@dataclass(frozen=True, slots=True)
class _Layout:
    message: Message
    dtype: np.dtype[Any]
    row: Callable[[Any, dict[str, int]], tuple[Any, ...]]


_SECURITY_TEXTS: Final = tuple(name for name in SECURITY.names or () if SECURITY[name].kind == "S")
_LAYOUTS: Final[dict[type[Record], _Layout]] = {
    Security: _Layout(Message.SECURITIES, SECURITY, _security_row),
    Book: _Layout(Message.BOOKS, BOOK, _book_row),
    Depot: _Layout(Message.DEPOTS, NAMED, _named_row),
    Source: _Layout(Message.SOURCES, NAMED, _named_row),
}
