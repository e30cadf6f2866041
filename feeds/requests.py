"""Requests for locates from upstream. The engine process reads and answers them: `app.locate_requests`.

    {"id":"oms-17/1","security":"US0378331005","client":"FUND1","quantity":1000}

All fields of a request over REST may be given. `id` makes it one request however often it comes; without one, its place in
the topic does.
"""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.locates import LocateRequest
from engine.model import Market
from engine.symbols import Symbols
from feeds.master_door import Door
from feeds.quarantine import Decoded, Origin
from feeds.records import read


class UpstreamRequest(LocateRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One locate that is asked for."""

    id: Annotated[str, Meta(min_length=1, max_length=100, pattern="^[!-~]+$")] | UnsetType = UNSET


RECORDS: Final = (UpstreamRequest,)
_DECODER: Final = msgspec.json.Decoder(UpstreamRequest)


def decode_one(value: bytes) -> UpstreamRequest:
    """A request. Raises `msgspec.DecodeError` (of which `ValidationError` is one) or `UnicodeError`."""
    return _DECODER.decode(value)


def decode(
    values: Sequence[bytes], symbols: Symbols, markets: Sequence[Market], origin: Origin, master: Door | None = None
) -> Decoded:
    """Requests are no part of the inventory: what is one gives nothing here, what is none is kept like any other record."""
    del symbols, markets, master
    return Decoded(unreadable=read(values, _DECODER, origin)[2])


def asked(request: UpstreamRequest) -> LocateRequest:
    """The request as the desk takes it."""
    fields = {name: getattr(request, name) for name in LocateRequest.__struct_fields__}
    return LocateRequest(**fields)
