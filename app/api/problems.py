"""Errors as RFC 9457 problem documents, with a JSON pointer for every field that is wrong."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import Struct

MEDIA_TYPE: Final = "application/problem+json"
KINDS: Final = {
    "malformed": "The body is not JSON.",
    "invalid": "Fields are missing, unknown or wrong; `errors` names each.",
    "unauthorized": "The bearer token is missing or wrong.",
    "forbidden": "The token is good, but its holder may not do this.",
    "not-found": "There is no such thing.",
    "not-acceptable": "The resource has no form that the header Accept asks for.",
    "too-many": "This token asks more often than it may; the header Retry-After says when to go on.",
    "method": "The resource does not know this method; see the header Allow.",
    "media-type": "Send application/json.",
    "too-large": "The body is larger than the API takes.",
    "conflict": "It cannot go from the state it is in to the one asked for.",
    "rules": "These rules cannot be used; `errors` names every problem with its document, line and column.",
    "key-missing": "A POST that decides needs the header Idempotency-Key, so that it can be sent again safely.",
    "key-in-flight": "The first request with this Idempotency-Key is still being answered. Ask again: its answer is kept.",
    "key-reused": "This Idempotency-Key came with another request before.",
    "unavailable": "It could not be looked up or written down and has therefore not happened. Try again.",
    "internal": "An error of the program; it has been logged.",
}
"""Kinds of problem; the name is the fragment of the problem's `type`."""


class Fault(Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong: `pointer` into the body (RFC 6901), or the name of a `parameter` or `header`.

    Of a text of rules also the `document`, and `line` and `column` in the text, from 1.
    """

    detail: str
    pointer: str | None = None
    parameter: str | None = None
    header: str | None = None
    document: str | None = None
    line: int | None = None
    column: int | None = None


class Problem(Struct, frozen=True, omit_defaults=True):
    """The document."""

    type: str
    title: str
    status: int
    detail: str = ""
    instance: str = ""
    errors: tuple[Fault, ...] = ()


class ProblemError(Exception):
    """Answer with a problem document."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str = "",
        errors: tuple[Fault, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or kind)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})

    def document(self, instance: str = "") -> bytes:
        """The body of the answer; `instance`: the path that was asked for."""
        title = HTTPStatus(self.status).phrase
        kind = f"/api/v1/docs#{self.kind}"
        return msgspec.json.encode(Problem(kind, title, self.status, self.detail, instance, self.errors))


def pointer(*parts: str | int) -> str:
    """A JSON pointer of the parts."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
