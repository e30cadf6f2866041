"""Commands from upstream, on locates and on sell orders. The engine process reads and answers them: `app.upstream`.

    {"id":"oms-17/1","security":"US0378331005","client":"FUND1","quantity":1000}
    {"command":"release","locate":"L0000000017","comment":"not sold"}
    {"command":"new","order":"o-17","security":"US0378331005","client":"FUND1","book":"B1","side":"short","quantity":1000}
    {"command":"executed","order":"o-17","executed":300}

All fields of a request over REST may be given; without a `command` it is a new one. `id` makes it one command however often it
comes; without one, its place in the topic does.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from engine.locates import LIMIT, LocateRequest, Name, Quantity, Remark
from engine.model import Market
from engine.orders import OrderRequest
from engine.symbols import Symbols
from feeds.master_door import Door
from feeds.quarantine import Decoded, Origin, Reason, Unreadable
from feeds.said_twice import said_twice

T = TypeVar("T")
Id = Annotated[str, Meta(min_length=1, max_length=100, pattern="^[!-~]+$")] | UnsetType
_LocateId = Annotated[str, Meta(pattern="^L[0-9]{10,18}$")]
_OrderId = Annotated[Name, Meta(min_length=1)]
_NEW: Final = "new"


class UpstreamRequest(
    LocateRequest, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="command", tag=_NEW
):
    """One locate that is asked for."""

    id: Id = UNSET


class _EndLocate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    locate: _LocateId
    requested_by: Name = ""
    comment: Remark = ""
    id: Id = UNSET


class CancelLocate(
    _EndLocate, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="command", tag="cancel"
):
    """Withdraw a locate, or a request that is pending."""


class ReleaseLocate(
    _EndLocate, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="command", tag="release"
):
    """Give back what is not needed."""


class NewOrder(OrderRequest, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="command", tag=_NEW):
    """One sell order that is asked for."""

    id: Id = UNSET


class AmendOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="command", tag="amend"):
    """Another quantity for an order."""

    order: _OrderId
    quantity: Quantity
    requested_by: Name = ""
    comment: Remark = ""
    id: Id = UNSET


class ExecutedOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="command", tag="executed"):
    """How much of an order is sold by now, in all."""

    order: _OrderId
    executed: Annotated[int, Meta(ge=0, le=LIMIT)]
    requested_by: Name = ""
    id: Id = UNSET


class CancelOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="command", tag="cancel"):
    """Take back what is not sold."""

    order: _OrderId
    requested_by: Name = ""
    comment: Remark = ""
    id: Id = UNSET


LocateCommand: TypeAlias = UpstreamRequest | CancelLocate | ReleaseLocate
OrderCommand: TypeAlias = NewOrder | AmendOrder | ExecutedOrder | CancelOrder
LOCATE_RECORDS: Final[tuple[type[Struct], ...]] = (UpstreamRequest, CancelLocate, ReleaseLocate)
ORDER_RECORDS: Final[tuple[type[Struct], ...]] = (NewOrder, AmendOrder, ExecutedOrder, CancelOrder)


class _Which(Struct):
    command: str = _NEW


_WHICH: Final = msgspec.json.Decoder(_Which)
_Decoders: TypeAlias = Mapping[str, msgspec.json.Decoder[Any]]


def _decoders(records: Sequence[type[Struct]]) -> _Decoders:
    return {str(record.__struct_config__.tag): msgspec.json.Decoder(record) for record in records}


_OF_LOCATES: Final = _decoders(LOCATE_RECORDS)
_OF_ORDERS: Final = _decoders(ORDER_RECORDS)


def _decoded(value: bytes, decoders: _Decoders) -> Any:
    command = _WHICH.decode(value).command
    if command not in decoders:
        raise msgspec.ValidationError(f"Expected a command of {', '.join(decoders)}, got {command!r} - at `$.command`")
    decoded = decoders[command].decode(value)
    for path in said_twice(value):
        raise msgspec.ValidationError(f"Said more than once - at `$.{'.'.join(map(str, path))}`")
    return decoded


def locate_command(value: bytes) -> LocateCommand:
    """A command on locates. Raises `msgspec.DecodeError` (`ValidationError` is one), `UnicodeError` or `RecursionError`."""
    found: LocateCommand = _decoded(value, _OF_LOCATES)
    return found


def order_command(value: bytes) -> OrderCommand:
    """A command on sell orders. Raises as `locate_command`."""
    found: OrderCommand = _decoded(value, _OF_ORDERS)
    return found


def decode_locates(
    values: Sequence[bytes], symbols: Symbols, markets: Sequence[Market], origin: Origin, master: Door | None = None
) -> Decoded:
    """Commands are no part of the inventory: what is one gives nothing here, what is none is kept like any other record."""
    del symbols, markets, master
    return _none_of(values, locate_command, origin)


def decode_orders(
    values: Sequence[bytes], symbols: Symbols, markets: Sequence[Market], origin: Origin, master: Door | None = None
) -> Decoded:
    """See `decode_locates`."""
    del symbols, markets, master
    return _none_of(values, order_command, origin)


def unreadable(value: bytes, error: Exception, origin: Origin, place: int = 0) -> Unreadable:
    """A record that is no command."""
    reason = Reason.INVALID if isinstance(error, msgspec.ValidationError) else Reason.MALFORMED
    return origin.unreadable(place, reason, str(error), value)


def _none_of(values: Sequence[bytes], read: Callable[[bytes], object], origin: Origin) -> Decoded:
    found = []
    for place, value in enumerate(values):
        try:
            read(value)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            found.append(unreadable(value, error, origin, place))
    return Decoded(unreadable=found)


def locate_asked(command: UpstreamRequest) -> LocateRequest:
    """The request as the desk takes it."""
    return LocateRequest(**{name: getattr(command, name) for name in LocateRequest.__struct_fields__})


def order_asked(command: NewOrder) -> OrderRequest:
    """The request as the desk takes it."""
    return OrderRequest(**{name: getattr(command, name) for name in OrderRequest.__struct_fields__})
