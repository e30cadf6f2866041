"""What is decided on a POST, whichever way it came in: tornado's handlers, and the front (`app.api.front`)."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct

from app.api.admission import Posted, key_of
from app.api.base import Context
from app.api.clients import own_lines
from app.api.recording import Reply
from app.api.requests import lines
from app.identity import WRITERS, Role
from engine.locates import LocateRequest
from engine.orders import OrderRequest


class Post(Struct, frozen=True):
    """A path to which something is posted, and what answers. `serve` raises `ProblemError`."""

    path: str
    roles: frozenset[Role]
    serve: Callable[[Context, Posted], Awaitable[Reply]]
    media_type: str = "application/json"


async def _locates(context: Context, posted: Posted) -> Reply:
    """200, 202 where all is pending, 207 where lines went different ways."""
    began = time.perf_counter()
    asked, single = lines(posted.body, LocateRequest)
    own_lines(posted.identity, asked, single=single)
    scope = context.access.scope(posted.identity)
    key = key_of(scope, posted.key, f"POST {LOCATES.path}", posted.body)
    reply = await context.decisions.submit(asked, single=single, key=key, by=posted.identity.user)
    context.metrics.latency(time.perf_counter() - began)
    return reply


async def _orders(context: Context, posted: Posted) -> Reply:
    """200, 207 where lines went different ways."""
    received_ns = context.orders.clock()
    asked, single = lines(posted.body, OrderRequest)
    own_lines(posted.identity, asked, single=single)
    scope = context.access.scope(posted.identity)
    key = key_of(scope, posted.key, f"POST {ORDERS.path}", posted.body)
    return await context.orders.submit(asked, received_ns, single=single, key=key, who=posted.identity)


LOCATES: Final = Post("/api/v1/locates", WRITERS, _locates)
ORDERS: Final = Post("/api/v1/orders", WRITERS, _orders)
EVERY: Final = (LOCATES, ORDERS)
