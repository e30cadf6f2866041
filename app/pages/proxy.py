"""Requests to programs' addresses, handed on to the engine's API so that a desk needs one port only."""

from typing import Final

import msgspec
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders
from tornado.web import RequestHandler

HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade".split()
)
NOT_SENT_ON = HOP_BY_HOP | {"host", "content-length", "expect", "cookie"}
NOT_SENT_BACK = HOP_BY_HOP | {"content-length", "server", "date"}
CONNECT_S: Final = 30.0
ANSWER_S: Final = 85.0
"""Longer than the API's own patience with the analyst: its reason is better than ours."""


class ApiProxy(RequestHandler):
    """Forwards any method of the route's path to the API and its answer back, both whole."""

    def initialize(self, base: str, client: AsyncHTTPClient) -> None:
        """`base`: scheme, host and port of the API."""
        self.base = base
        self.client = client

    async def _forward(self) -> None:
        request = HTTPRequest(
            self.base + (self.request.uri or "/"),
            method=self.request.method or "GET",
            headers=self._headers_on(),
            body=self.request.body or None,
            allow_nonstandard_methods=True,
            follow_redirects=False,
            decompress_response=False,
            connect_timeout=CONNECT_S,
            request_timeout=ANSWER_S,
        )
        try:
            response = await self.client.fetch(request, raise_error=False)
        except (HTTPClientError, OSError, ValueError) as error:  # also where it dies, or is too slow, while it answers
            self._unavailable(str(error))
            return
        self._hand_back(response)

    get = post = put = patch = delete = head = options = _forward

    def _headers_on(self) -> HTTPHeaders:
        headers = HTTPHeaders()
        for name, value in self.request.headers.get_all():
            if name.lower() not in NOT_SENT_ON:
                headers.add(name, value)
        headers["X-Forwarded-For"] = self.request.remote_ip or ""
        headers["X-Forwarded-Proto"] = self.request.protocol
        headers["X-Forwarded-Host"] = self.request.host
        return headers

    def _hand_back(self, response: HTTPResponse) -> None:
        self.set_status(response.code, response.reason)
        self.clear_header("Content-Type")
        for name, value in response.headers.get_all():
            if name.lower() not in NOT_SENT_BACK:
                self.add_header(name, value)
        if response.body and response.code not in (204, 304):
            self.write(response.body)

    def _unavailable(self, detail: str) -> None:
        problem = {"type": "about:blank", "title": "The engine does not answer", "status": 502, "detail": detail}
        self.set_status(502)
        self.set_header("Content-Type", "application/problem+json")
        self.set_header("Retry-After", "1")
        self.write(msgspec.json.encode(problem))
