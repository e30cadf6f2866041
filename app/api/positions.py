"""/api/v1/positions: rows of the position table, by everything they are and hold."""

from functools import partial
from typing import Annotated, Final

from msgspec import Meta, Struct

from app.api.base import Base
from app.api.clients import own_filter
from app.api.formats import send
from app.api.parameters import Parameters, member, number, signed, text_of
from app.api.problems import ProblemError
from app.positions import Position, Positions, Wanted
from engine.model import Kind, Temperature
from engine.tables import TornReadError
from engine.views_position_columns import QUANTITIES

MAX_PAGE: Final = 2_000
TEXTS: Final = ("security", "market", "temperature", "book", "client", "entity", "aggregation_unit", "depot", "kind")
BOUNDS: Final = tuple(f"{name}_{bound}" for name in QUANTITIES for bound in ("min", "max"))


class PositionPage(Struct, frozen=True, kw_only=True):
    """Rows in the order in which they began."""

    positions: list[Position]
    next_cursor: Annotated[str | None, Meta(description="Ask with it for what follows; null at the end.")]


class PositionList(Base):
    """Rows, as of now."""

    for_clients = True

    async def get(self) -> None:
        """Rows that are and hold what is asked for. To a token for some clients: those of their books."""
        self.checked_body()
        parameters = Parameters(self, (*TEXTS, *BOUNDS, "limit", "cursor"))
        wanted = self._wanted(parameters)
        limit = parameters.read("limit", partial(number, least=1, most=MAX_PAGE)) or 100
        after = parameters.read("cursor", partial(number, least=0, most=2**62))
        parameters.check()
        tables = self.context.securities.tables

        def page() -> PositionPage:
            try:
                found = Positions(tables).after(-1 if after is None else after, limit + 1, wanted)
            except TornReadError as error:
                raise ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"}) from error
            more = str(found[limit - 1].row) if len(found) > limit else None
            return PositionPage(positions=found[:limit], next_cursor=more)

        await send(self, Position, page)

    def _wanted(self, parameters: Parameters) -> Wanted:
        securities = self.context.securities
        client = parameters.read("client", text_of)
        own_filter(self, "client", client)
        bounds = {name: value for name in BOUNDS if (value := parameters.read(name, signed)) is not None}
        return Wanted(
            security=parameters.read("security", securities.find),
            market=parameters.read("market", securities.market_index),
            temperature=parameters.read("temperature", partial(member, of=Temperature)),
            book=parameters.read("book", text_of),
            entity=parameters.read("entity", text_of),
            clients=self.identity.clients if client is None else [client],
            aggregation_unit=parameters.read("aggregation_unit", text_of),
            depot=parameters.read("depot", text_of),
            kind=parameters.read("kind", partial(member, of=Kind)),
            least={name[:-4]: value for name, value in bounds.items() if name.endswith("_min")},
            most={name[:-4]: value for name, value in bounds.items() if name.endswith("_max")},
        )


RESOURCES: Final[tuple[tuple[str, type[Base]], ...]] = ((r"/api/v1/positions", PositionList),)
