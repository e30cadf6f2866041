"""What every answer of the page server says to the browser about what it may do."""

import re
import socket

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import OutputTransform

_HOST_NAME = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]")
WILDCARDS = frozenset(("", "0.0.0.0", "::"))  # noqa: S104 - names of "every address", compared with, not bound to


def policy(host_name: str, gateway_port: int) -> str:
    """The content security policy of a page asked for under `host_name`: this server and the gateway, nothing else.

    Bokeh starts from an inline script and Panel loads a component's module from a blob, so both are allowed.
    """
    host = host_name if _HOST_NAME.fullmatch(host_name) else "localhost"
    gateway = " ".join(f"{scheme}://{host}:{gateway_port}" for scheme in ("ws", "wss", "http", "https"))
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self' blob: {gateway}",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def headers_transform(gateway_port: int) -> type[OutputTransform]:
    """A tornado transform that adds the headers to every answer, Bokeh's own included."""

    class SecurityHeaders(OutputTransform):
        def __init__(self, request: HTTPServerRequest) -> None:
            super().__init__(request)
            self._policy = policy(request.host_name, gateway_port)

        def transform_first_chunk(
            self,
            status_code: int,
            headers: HTTPHeaders,
            chunk: bytes,
            finishing: bool,  # noqa: ARG002, FBT001  tornado's signature
        ) -> tuple[int, HTTPHeaders, bytes]:
            headers["Content-Security-Policy"] = self._policy
            headers["X-Frame-Options"] = "DENY"
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "same-origin"
            headers["Cross-Origin-Opener-Policy"] = "same-origin"
            headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
            return status_code, headers, chunk

    return SecurityHeaders


def websocket_origins(host: str, port: int) -> list[str]:
    """Hosts whose pages may open the page server's websocket: the names under which this machine is known."""
    names = {"localhost", "127.0.0.1"}
    if host in WILDCARDS:
        names |= {socket.gethostname(), socket.getfqdn(), *_own_addresses()}
    else:
        names.add(host)
    return sorted(f"{name}:{port}" for name in names)


def _own_addresses() -> set[str]:
    try:
        return {str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    except OSError:
        return set()
