"""/api/v1/latencies: how fast locates were answered, stretch by stretch."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct
from tornado.web import RequestHandler

from app.api.answers import time_of
from app.api.formats import send
from app.api.history import Over
from app.api.parameters import Parameters
from app.identity import Role
from app.latencies import Stretch


class LatencyPoint(Struct, frozen=True, kw_only=True):
    """Ten seconds of answers to POSTs of locates."""

    at: Annotated[dt.datetime, Meta(description="When they began, UTC.")]
    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float


class LatencyPage(Struct, frozen=True, kw_only=True):
    """Oldest first; stretches without an answer are left out, but for the first of them. Since the engine was started."""

    points: list[LatencyPoint]
    next_cursor: None = None


class LatencyList(Over):
    """From the engine's memory."""

    roles: ClassVar[Mapping[str, frozenset[Role]]] = {"GET": frozenset(Role)}

    async def get(self) -> None:
        """Between two moments."""
        self.checked_body()
        from_ns, to_ns = self.between(Parameters(self, ("from", "to")))
        told = list(self.context.metrics.latencies.between(from_ns, to_ns))
        await send(self, LatencyPoint, lambda: LatencyPage(points=[_point(stretch) for stretch in told]))


def _point(stretch: Stretch) -> LatencyPoint:
    p50, p99, longest = (round(seconds * 1e3, 3) for seconds in stretch[2:])
    return LatencyPoint(at=time_of(stretch.at_ns), count=stretch.answers, p50_ms=p50, p99_ms=p99, max_ms=longest)


RESOURCES: Final[tuple[tuple[str, type[RequestHandler]], ...]] = ((r"/api/v1/latencies", LatencyList),)
"""Path and handler."""
