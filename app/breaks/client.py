"""How the engine's process asks the process of breaks: requests handed on as they came, and what the stream tells."""

import time
from typing import Any, Final

import msgspec
from msgspec import Struct
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPResponse
from tornado.httputil import HTTPHeaders

from app.identity import MACHINE, Identity, issue_token
from app.settings import Settings

LONGEST_S: Final = 30.0
_TOKEN_S: Final = 60.0
_OK: Final = 200
_NO_ANSWER: Final = 599
"""Tornado's own code for a request that got none."""


class BreaksAwayError(RuntimeError):
    """The process of breaks cannot answer now; asking again may help."""


class ChangedLine(Struct, frozen=True):
    """One of them; `data` is the word null where it is no more."""

    sequence: int
    key: str
    data: msgspec.Raw


class Changed(Struct, frozen=True):
    """Lines of the board: all there are (`whole`), or those that have changed since the number asked with."""

    epoch: str
    sequence: int
    whole: bool
    lines: list[ChangedLine]


class BreaksClient:
    """The process of breaks of this service. Belongs to one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._address = f"http://127.0.0.1:{settings.breaks_port}"
        self._client = AsyncHTTPClient(force_instance=True)

    async def relay(self, method: str, uri: str, accept: str, body: bytes | None, who: Identity) -> HTTPResponse:
        """The answer to somebody's request. Raises `BreaksAwayError`."""
        headers = HTTPHeaders({"Content-Type": "application/json"})
        if accept:
            headers["Accept"] = accept
        return await self._ask(method, uri, headers, body, who)

    async def changes(self, epoch: str, after: int) -> Changed:
        """What the stream is to tell. Raises `BreaksAwayError`."""
        answer = await self._ask("GET", f"/internal/changes?epoch={epoch}&after={after}", HTTPHeaders(), None, MACHINE)
        if answer.code != _OK:
            raise BreaksAwayError(f"the process of breaks answered {answer.code}")
        return msgspec.json.decode(answer.body, type=Changed)

    async def adjusted(self, adjustment: str, problem: str) -> None:
        """An approved adjustment is in the books, or cannot be. Raises `BreaksAwayError`."""
        body = msgspec.json.encode({"problem": problem})
        answer = await self._ask("POST", f"/internal/adjustments/{adjustment}", HTTPHeaders(), body, MACHINE)
        if answer.code != _OK:
            raise BreaksAwayError(f"the process of breaks answered {answer.code}")

    def close(self) -> None:
        self._client.close()

    async def _ask(
        self, method: str, uri: str, headers: HTTPHeaders, body: bytes | None, who: Identity
    ) -> HTTPResponse:
        headers["Authorization"] = f"Bearer {issue_token(self._settings.secret, who, _TOKEN_S, time.time())}"
        options: dict[str, Any] = {"allow_nonstandard_methods": True, "request_timeout": LONGEST_S}
        try:
            answer = await self._client.fetch(
                f"{self._address}{uri}", method=method, headers=headers, body=body, raise_error=False, **options
            )
        except (OSError, HTTPClientError) as error:
            raise BreaksAwayError(f"the process of breaks cannot be reached: {error}") from error
        if answer.code == _NO_ANSWER:
            raise BreaksAwayError(f"the process of breaks does not answer: {answer.error}")
        return answer
