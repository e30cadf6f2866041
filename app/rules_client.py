"""A running service's API, for the command line: one request at a time, every error in words."""

import http.client
import os
import urllib.parse
from typing import Any, Final

import msgspec

from app.settings import Settings

TIMEOUT_S: Final = 90.0
_WILDCARDS: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  what a service may listen on, not we


class ClientError(RuntimeError):
    """It did not happen; the message says why, in one line or one for each problem."""


class Client:
    """`token` "": the service's own, of IMS_API_TOKEN or its data folder. `below`: what all paths begin with."""

    def __init__(self, settings: Settings, token: str = "", below: str = "/api/v1/rules") -> None:
        self._below = below
        self._host = "127.0.0.1" if settings.host in _WILDCARDS else settings.host
        self._port = settings.api_port
        self._token = token or _own_token(settings)

    def get(self, path: str) -> Any:
        """The JSON at a path. Raises `ClientError`."""
        return msgspec.json.decode(self.text(path))

    def text(self, path: str, accept: str = "") -> bytes:
        """The body at a path, of that media type where there are several. Raises `ClientError`."""
        return self._ask("GET", path, accept=accept)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON that answers. Raises `ClientError`."""
        return msgspec.json.decode(self._ask("POST", path, msgspec.json.encode(body), "application/json"))

    def post_yaml(self, path: str, body: bytes) -> Any:
        """The JSON that answers. Raises `ClientError`."""
        return msgspec.json.decode(self._ask("POST", path, body, "application/yaml"))

    def _ask(self, method: str, path: str, body: bytes | None = None, kind: str = "", accept: str = "") -> bytes:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind, "Accept": accept}
        headers = {name: value for name, value in headers.items() if value}
        connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        try:
            connection.request(method, f"{self._below}{path}", body, headers)
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ClientError(
                f"nothing answers at {self._host}:{self._port} ({str(error) or type(error).__name__}): "
                "start it with `ims run`, or name another --port"
            ) from error
        except (UnicodeError, ValueError) as error:
            raise ClientError(f"the token cannot be sent: {error}") from error
        finally:
            connection.close()
        if answer.status >= 400:  # noqa: PLR2004
            raise ClientError(_reason(answer.status, told))
        return told


def part(text: object) -> str:
    """A part of a path."""
    return urllib.parse.quote(str(text), safe="")


def _own_token(settings: Settings) -> str:
    if given := os.environ.get("IMS_API_TOKEN"):
        return given
    path = settings.folder / "api-token"
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ClientError(
            f"no token: {path} cannot be read ({error.strerror}); give --token or IMS_API_TOKEN"
        ) from error


def _reason(status: int, told: bytes) -> str:
    try:
        problem = msgspec.json.decode(told)
        lines = [str(problem.get("detail") or problem.get("title") or f"status {status}")]
        for fault in problem.get("errors", ()):
            names = (fault.get(name) for name in ("document", "line", "column"))
            place = ":".join(str(name) for name in names if name is not None)
            lines.append(
                f"  {place or fault.get('pointer') or fault.get('parameter') or ''}: {fault.get('detail', '')}"
            )
    except (msgspec.DecodeError, AttributeError):
        return f"status {status}"
    return "\n".join(lines)
