"""What the resources of rules have in common: what goes wrong with rules, as problem documents."""

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import msgspec

from app.analyst.client import AnalystError
from app.api.base import Base
from app.api.parameters import number
from app.api.problems import Fault, ProblemError
from app.rules_desk import SameTextError
from app.rules_life import NoSuchVersionError, NotAllowedError, WrongStateError
from app.rules_store import RuleConflictError, RuleStoreError
from engine.rule_model import RulesError

T = TypeVar("T")
LAST: Final = 2**31 - 1
"""The highest number that a version can have."""
_JSON: Final = msgspec.json.Encoder()


class RuleBase(Base):
    """What goes wrong with rules, as problem documents."""

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Turns what the desk of rules raises into a `ProblemError`."""
        try:
            yield
        except RulesError as error:
            raise rules_problem(error) from error
        except NotAllowedError as error:
            raise ProblemError(403, "forbidden", str(error)) from error
        except NoSuchVersionError as error:
            raise ProblemError(404, "not-found", str(error)) from error
        except (WrongStateError, SameTextError, RuleConflictError) as error:
            raise ProblemError(409, "conflict", str(error)) from error
        except (RuleStoreError, AnalystError) as error:
            raise ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"}) from error

    async def asked(self, answer: Awaitable[T]) -> T:
        """The desk's answer. Raises `ProblemError`."""
        with self.asking():
            return await answer

    def json(self, value: Any, status: int = 200) -> None:
        self.answer(_JSON.encode(value), status)


def rules_problem(error: RulesError) -> ProblemError:
    """Every problem of a text with its place in it."""
    faults = tuple(
        Fault(
            problem.message,
            pointer="/text",
            document=problem.document,
            line=problem.line or None,
            column=problem.column or None,
        )
        for problem in error.problems
    )
    count = f"{len(faults):,} problems" if len(faults) > 1 else "one problem"
    return ProblemError(422, "rules", f"the rules cannot be used: {count}", faults)


def number_or_missing(document: str, text: str) -> int:
    """The number of a version. Raises a 404."""
    try:
        return number(text, 1, LAST)
    except ValueError as error:
        raise ProblemError(404, "not-found", f"no version {text} of {document}") from error
