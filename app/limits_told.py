"""What the engine tells of limits that it works out again and again, as types: imports nothing else of the service."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from engine.rule_model import Scope

SCOPES: Final = {Scope.CLIENT: "client", Scope.AU: "au"}
"""What each is called to the outside."""


class LimitDays(Struct, frozen=True, kw_only=True):
    """Every number of one owner in one security."""

    scope: Annotated[str, Meta(description="client or au.")]
    owner: str
    security: str
    place: Annotated[int, Meta(description="The machine's log by then.")]
    values: Annotated[
        list[list[int]],
        Meta(description="By calculation of the scope, in their order, and by business day from today on."),
    ]


class LimitWatch(Struct, frozen=True, kw_only=True):
    """What the numbers are of."""

    ready: Annotated[bool, Meta(description="False: the machine does not know everything yet, and nothing is told.")]
    generation: Annotated[str, Meta(description="Of the engine: another one after a start.")]
    rules: Annotated[int, Meta(description="The catalogue's version.")]
    place: Annotated[int, Meta(description="The machine's log by now.")]
    stale: Annotated[int, Meta(description="Bits: what is late.")]
    as_of_ns: Annotated[int, Meta(description="The newest event, UTC.")]
    calculations: Annotated[dict[str, list[str]], Meta(description="By scope the calculations, in their order.")]


class WatchedLimits(LimitWatch, frozen=True, kw_only=True):
    """Limits of those who hold something by orders, or were asked about within a day, each as of the last look at it."""

    limits: list[LimitDays]
