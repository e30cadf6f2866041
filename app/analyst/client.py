"""How the engine's process asks the analyst what a draft would change, or would have decided."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct
from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from app.analyst.alerts import AlertTest
from app.analyst.asof import AsOfRequest
from app.analyst.dry_run import DryRunRequest
from app.analyst.impact import ImpactRequest, Party
from app.identity import MACHINE, issue_token
from app.settings import Settings
from engine.rule_model import Document, Problem, RulesError

Told: TypeAlias = Callable[[str, Struct], Awaitable[bytes]]
"""`Analyst.told`."""
Past: TypeAlias = Callable[[AsOfRequest], Awaitable[bytes]]
"""`Analyst.asof`."""
AlertTests: TypeAlias = Callable[[AlertTest], Awaitable[bytes]]
"""`Analyst.alert_test`."""
LONGEST_S: Final = 80.0
"""A question waits for those before it, and on the first day of a version for kernels."""
_TOKEN_S: Final = 60.0
_NOT_FOUND: Final = 404
_UNPROCESSABLE: Final = 422


class AnalystError(RuntimeError):
    """The analyst cannot answer now; the message says why, and asking again may help."""


class NotKnownError(LookupError):
    """Nothing is known of what was asked for; the message says why."""


class BadConditionError(ValueError):
    """A condition that cannot be used under the rules in force."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class Analyst:
    """The analyst of this service. Belongs to one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._address = f"http://127.0.0.1:{settings.analyst_port}"
        self._client = AsyncHTTPClient(force_instance=True)

    async def impact(self, documents: Sequence[Document], parties: Sequence[Party] = ()) -> dict[str, Any]:
        """What would change with these documents in force (`engine.impact.Impact`, and `took_ms`); `parties`: whose limits
        are looked at, too.

        Raises `RulesError` with every problem of rules that cannot be used, `AnalystError`.
        """
        body = msgspec.json.encode(ImpactRequest(list(documents), list(parties)))
        answer: dict[str, Any] = msgspec.json.decode(await self._ask("/impact", body))
        return answer

    async def dry_run(self, request: DryRunRequest) -> bytes:
        """What the rules of the request would have decided (`app.api.dry_run_answers.RuleDryRun`, in the form asked for).

        Raises as `impact`.
        """
        return await self._ask("/dry-run", msgspec.json.encode(request))

    async def alert_test(self, test: AlertTest) -> bytes:
        """For what a condition holds now, as JSON. Raises `BadConditionError`, `AnalystError`."""
        return await self._ask("/alerts/test", msgspec.json.encode(test))

    async def asof(self, request: AsOfRequest) -> bytes:
        """What was, as JSON (`app.archive_answer.answer`). Raises `NotKnownError`, `AnalystError`."""
        return await self._ask("/asof", msgspec.json.encode(request))

    async def told(self, path: str, request: Struct) -> bytes:
        """The answer to one of `app.analyst.history`, in the form asked for. Raises `NotKnownError`, `AnalystError`."""
        return await self._ask(path, msgspec.json.encode(request))

    async def _ask(self, path: str, body: bytes) -> bytes:
        token = issue_token(self._settings.secret, MACHINE, _TOKEN_S, time.time())
        try:
            response = await self._client.fetch(
                f"{self._address}{path}",
                method="POST",
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
                body=body,
                request_timeout=LONGEST_S,
                raise_error=False,
            )
        except (OSError, HTTPClientError) as error:
            raise AnalystError(f"the analyst cannot be reached: {error}") from error
        if response.code == 200:  # noqa: PLR2004
            return response.body
        if response.code == _UNPROCESSABLE and path == "/alerts/test":
            told = msgspec.json.decode(response.body)
            raise BadConditionError(told["detail"], told["line"], told["column"])
        if response.code == _UNPROCESSABLE:
            raise RulesError(tuple(msgspec.convert(msgspec.json.decode(response.body)["problems"], list[Problem])))
        if response.code == _NOT_FOUND:
            raise NotKnownError(_why(response.code, response.body))
        raise AnalystError(_why(response.code, response.body))

    def close(self) -> None:
        self._client.close()


def _why(status: int, body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["detail"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"the analyst answered {status}"
