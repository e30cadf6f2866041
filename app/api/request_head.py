"""The head of a plain request, read without a parser of all of HTTP: whatever is not plain is somebody else's to read.

Plain: HTTP/1.1, a body of a length said once, no header said twice that matters, none that asks for more than an answer.
What is taken here tornado would take as well, and understand the same.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

END: Final = b"\r\n\r\n"
MOST_BYTES: Final = 4_096
"""A longer head is not plain."""
_FIELD: Final = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[!-~\x80-\xff](?:[ \t!-~\x80-\xff]*[!-~\x80-\xff])?)?)[ \t]*"
)
_HOST: Final = re.compile(r"[0-9A-Za-z.\-]+(?::[0-9]*)?|\[[0-9A-Fa-f:.]+\](?::[0-9]*)?")
_LONGEST_LENGTH: Final = 9
_ONCE: Final = frozenset({"host", "authorization", "content-type", "content-length", "idempotency-key", "connection"})
_LAST: Final = {"": False, "keep-alive": False, "close": True}
_NEVER: Final = frozenset({"transfer-encoding", "expect", "upgrade", "trailer", "te"})
_BLANK_LINES: Final = b"\n\n", b"\n\r\n"
"""Other ends of a head that a server may accept."""


class Head(NamedTuple):
    """What the request says before its body. `key`: None where there is none; `length`: of the body; `last`: whether the
    connection ends with its answer."""

    path: str
    authorization: str
    content_type: str
    key: str | None
    length: int
    last: bool


class Plain:
    """Reads heads of requests with this method for these paths."""

    def __init__(self, method: str, paths: Iterable[str]) -> None:
        self._lines = {f"{method} {path} HTTP/1.1".encode(): path for path in paths}
        self._starts = tuple(line + b"\r\n" for line in self._lines)

    def may_become(self, data: bytes) -> bool:
        """Whether a plain head may begin like this, which has no `END` yet."""
        if len(data) > MOST_BYTES or any(blank in data for blank in _BLANK_LINES):
            return False
        return any(data.startswith(start) or start.startswith(data) for start in self._starts)

    def read(self, head: bytes) -> Head | None:
        """`head`: up to its `END`, without. None where it is not plain."""
        if len(head) > MOST_BYTES:
            return None
        first, *rest = head.split(b"\r\n")
        path = self._lines.get(first)
        if path is None:
            return None
        said: dict[str, str] = {}
        for line in rest:
            field = _field(line)
            if field is None:
                return None
            name, value = field
            if name in _ONCE:
                if name in said:
                    return None
                said[name] = value
            elif name in _NEVER:
                return None
        length = said.get("content-length", "")
        if not (length.isascii() and length.isdigit() and len(length) <= _LONGEST_LENGTH):
            return None
        last = _LAST.get(said.get("connection", "").lower())
        if last is None or not _HOST.fullmatch(said.get("host", "")):
            return None
        return Head(
            path,
            said.get("authorization", ""),
            said.get("content-type", ""),
            said.get("idempotency-key"),
            int(length),
            last,
        )


@lru_cache(maxsize=4_096)
def _field(line: bytes) -> tuple[str, str] | None:
    """Name, in small letters, and value. The same lines come again and again."""
    found = _FIELD.fullmatch(line)
    return None if found is None else (found[1].decode("ascii").lower(), found[2].decode("latin-1"))
