"""/api/v1/explain/{security}/{calculation}: how a number comes about, exact to the share."""

import asyncio
from collections.abc import Mapping
from typing import Final

import msgspec

from app.api.base import Base
from app.api.explain_answers import ExplainAnswer, explain_answer
from app.api.parameters import Parameters, number
from app.api.problems import Fault, ProblemError
from engine.explain import Explanation, OwnerError, explain
from engine.explain_split import By
from engine.model import DAYS, Decided
from engine.rule_model import Scope
from engine.tables import Tables, TornReadError

_PARAMETER: Final = {Scope.CLIENT: "client", Scope.AU: "au"}
_JSON: Final = msgspec.json.Encoder()


class Explain(Base):
    """Any calculation of a security, or of a client or aggregation unit in it. Worked out beside the loop that decides."""

    async def get(self, text: str, calculation: str) -> None:
        """404 for what there is not, 422 for a day or an owner that cannot be."""
        self.checked_body()
        securities = self.context.securities
        parameters = Parameters(self, ("day", "client", "au", "by"))
        day = parameters.read("day", _day)
        client = parameters.read("client", str)
        unit = parameters.read("au", str)
        by = parameters.read("by", _by)
        parameters.check()
        security = securities.find(text)
        if not security:
            raise ProblemError(404, "not-found", f"no security {text}")
        decided = self.context.decisions.desk.held_of(securities.code(security), client) if client else {}
        asked = _Asked(security, calculation, securities.settle_day(security) if day is None else day, client, unit, by)
        self.answer(await asyncio.to_thread(asked.answer, securities.tables, decided))


class _Asked(msgspec.Struct, frozen=True):
    """A question that makes sense; what it is about may not exist."""

    security: int
    calculation: str
    day: int
    client: str | None
    unit: str | None
    by: By | None

    def answer(self, tables: Tables, decided: Mapping[Decided, int]) -> bytes:
        """The body. Raises `ProblemError`."""
        answer: ExplainAnswer = explain_answer(self._explained(tables, decided), self.by)
        return _JSON.encode(answer)

    def _explained(self, tables: Tables, decided: Mapping[Decided, int]) -> Explanation:
        try:
            return explain(
                tables,
                self.security,
                self.calculation,
                self.day,
                client=self.client,
                aggregation_unit=self.unit,
                decided=decided,
            )
        except KeyError as error:
            raise ProblemError(404, "not-found", str(error.args[0])) from error
        except OwnerError as error:
            fault = Fault(str(error), parameter=_PARAMETER[error.scope])
            raise ProblemError(422, "invalid", "the query cannot be used", (fault,)) from error
        except TornReadError as error:
            raise ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"}) from error


def _day(text: str) -> int:
    return number(text, 0, DAYS - 1)


def _by(text: str) -> By:
    if text not in list(By):
        raise ValueError(f"Expected one of {', '.join(By)}")
    return By(text)
