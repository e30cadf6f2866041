"""The engine's API as processes of the service ask it: patient while it is busy, always under the key that they were given."""

import http.client
import time
from collections.abc import Callable
from typing import Final

import msgspec

from app.api.admission import KEY
from app.identity import WRITERS, Identity, issue_token
from app.settings import Settings

_TOKEN_S: Final = 3_600.0
_ANSWER_S: Final = 60.0
_LONGEST_PAUSE_S: Final = 5.0
_AGAIN: Final = (409, 429, 503)
_IN_FLIGHT: Final = "#key-in-flight"


class ApiClient:
    """`user`: as whom it asks; `wanted`: called before every try, raises where nobody waits for the answer any more."""

    def __init__(self, settings: Settings, user: str, wanted: Callable[[], object]) -> None:
        self._settings = settings
        self._identity = Identity(user, WRITERS)
        self._wanted = wanted
        self._connection: http.client.HTTPConnection | None = None
        self._token, self._until_s = "", 0.0

    def __call__(self, path: str, body: bytes, key: str) -> tuple[int, bytes]:
        """Status and body of the answer to a POST, also of an error of the engine's. Raises OSError where it is gone."""
        while True:
            self._wanted()
            status, told, again_s = self._asked(path, body, key)
            if status in _AGAIN and (status != 409 or _kind(told).endswith(_IN_FLIGHT)):  # noqa: PLR2004  conflict
                time.sleep(min(again_s, _LONGEST_PAUSE_S))
                continue
            return status, told

    def _asked(self, path: str, body: bytes, key: str) -> tuple[int, bytes, float]:
        headers = {"Authorization": f"Bearer {self._bearer()}", "Content-Type": "application/json", KEY: key}
        fresh = self._connection is None
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._settings.api_port, timeout=_ANSWER_S)
        try:
            self._connection.request("POST", path, body, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read(), float(answer.headers.get("Retry-After", 1))
        except (http.client.HTTPException, OSError) as error:
            self._connection.close()
            self._connection = None
            if (
                not fresh
            ):  # the engine has given up a connection that was idle for long: the key makes it safe to ask again
                return self._asked(path, body, key)
            raise OSError(f"the API does not answer: {error}") from error

    def _bearer(self) -> str:
        now_s = time.time()
        if now_s > self._until_s:
            self._token = issue_token(self._settings.secret, self._identity, _TOKEN_S, now_s)
            self._until_s = now_s + _TOKEN_S / 2
        return self._token


def _kind(told: bytes) -> str:
    """The type of a problem document."""
    kind: str = msgspec.json.decode(told)["type"]
    return kind
