"""The shortest way from a socket to a decision and back: POSTs of locates and orders, without tornado.

Every connection begins here. As long as all it sends are plain requests (`app.api.request_head`) to the paths of
`app.api.posting`, they are answered here; with the first of anything else the connection, and what was read of it, goes to
tornado for good. Both ways check and decide by the same functions and answer the same bytes.
"""

import asyncio
import socket
import time
from collections.abc import Callable
from http.client import responses
from typing import Any, Final

import structlog
from msgspec import Struct
from tornado.httputil import format_timestamp

from app.api import posting, problems
from app.api.admission import MAX_BODY_BYTES, Posted, admitted, check_media_type
from app.api.base import Context
from app.api.posting import Post
from app.api.problems import ProblemError
from app.api.recording import Reply
from app.api.request_head import END, Head, Plain
from app.identity import Identity
from app.journal import JournalError

log = structlog.get_logger()
_CHUNK: Final = 1 << 16
_CLOSE: Final = "Connection: close\r\n"
_MOST_AHEAD: Final = 1 << 20
"""What a program may send before its last answer; then nothing more is read of it."""
GiveAway = Callable[[socket.socket, Any, bytes], None]
"""Takes a connection over: its socket, its address, and what was read of it and not used."""


class Front:
    """All connections that are here. `elsewhere`: who serves what is not."""

    def __init__(self, context: Context, elsewhere: GiveAway) -> None:
        self.context = context
        self.elsewhere = elsewhere
        self.posts = {post.path: post for post in posting.EVERY}
        self.plain = Plain("POST", self.posts)
        self.lines: set[Line] = set()
        self._date = 0, ""

    def greet(self, connection: socket.socket, address: Any) -> None:
        """A new connection; its socket does not block."""
        self.lines.add(Line(self, connection, address))

    def close(self) -> None:
        """Every connection that is here."""
        for line in list(self.lines):
            line.close()

    def admitted(self, post: Post, authorization: str) -> Identity:
        """Who asks. Raises `ProblemError`."""
        access, throttle = self.context.access, self.context.throttle
        try:
            return admitted(access, throttle, authorization, post.roles, for_clients=True)
        except ProblemError:
            raise
        except Exception as error:
            log.exception("nobody could be let in", path=post.path)
            raise ProblemError(500, "internal") from error

    async def answer(self, post: Post, posted: Posted, head: Head) -> bytes:
        """The answer to who was let in, as it goes over the wire."""
        try:
            if posted.body:
                check_media_type(head.content_type, (post.media_type,))
            reply = await post.serve(self.context, posted)
        except ProblemError as error:
            return self.refused(post, error, head)
        except JournalError as error:
            refusal = ProblemError(503, "unavailable", str(error), headers={"Retry-After": "1"})
            return self.refused(post, refusal, head)
        except Exception:
            log.exception("a request failed", path=post.path)
            return self.refused(post, ProblemError(500, "internal"), head)
        return self._wire(reply, post.media_type, "", head)

    def refused(self, post: Post, error: ProblemError, head: Head) -> bytes:
        """A problem document, as it goes over the wire."""
        more = "".join(f"{_spelt(name)}: {value}\r\n" for name, value in error.headers.items())
        return self._wire(Reply(error.status, error.document(post.path)), problems.MEDIA_TYPE, more, head)

    def _wire(self, reply: Reply, media_type: str, more: str, head: Head) -> bytes:
        now = int(time.time())
        if now != self._date[0]:
            self._date = now, format_timestamp(now)
        self.context.metrics.answered(reply.status)
        said = (
            f"HTTP/1.1 {reply.status} {responses.get(reply.status, 'Unknown')}\r\nServer: ims\r\n"
            f"Content-Type: {media_type}\r\nDate: {self._date[1]}\r\nCache-Control: no-store\r\n"
            f"X-Content-Type-Options: nosniff\r\n{more}Content-Length: {len(reply.body)}\r\n{_CLOSE if head.last else ''}\r\n"
        )
        return said.encode("latin-1") + reply.body


def _spelt(name: str) -> str:
    """A header's name as tornado spells it."""
    return "-".join(word.capitalize() for word in name.split("-"))


class _Asked(Struct):
    """A request whose head is there. `missing`: bytes of its body that are not. One that is refused is read to its end."""

    post: Post
    head: Head
    missing: int
    identity: Identity | None = None
    refusal: ProblemError | None = None


class Line:
    """One connection: one request at a time, in their order."""

    def __init__(self, front: Front, connection: socket.socket, address: Any) -> None:
        self._front = front
        self._waits = front.context.waits
        self._socket = connection
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._got = b""
        """Read, and not used yet."""
        self._unsent = b""
        self._asked: _Asked | None = None
        """The request whose body is still coming."""
        self._answering: asyncio.Task[None] | None = None
        self._reading = self._open = True
        self._last = False
        """Whether the connection ends with the answer that is being made."""
        self._waits.request(self)
        self._loop.add_reader(connection, self._readable)

    def closed(self) -> bool:
        """Whether the connection is here no more."""
        return not self._open

    def close(self) -> None:
        """Hang up. What is being decided is decided, and the same key gets its answer."""
        if self._open:
            self._let_go()
            self._socket.close()

    # parts

    def _let_go(self) -> None:
        self._open = False
        self._waits.nothing(self)
        self._front.lines.discard(self)
        self._loop.remove_reader(self._socket)
        if self._unsent:
            self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        missing = self._asked.missing if self._asked else 0
        try:
            data = self._socket.recv(max(_CHUNK, missing))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._got = self._got + data if self._got else data
        if self._busy:
            if len(self._got) > _MOST_AHEAD:
                self._loop.remove_reader(self._socket)
                self._reading = False
        else:
            self._go_on()

    @property
    def _busy(self) -> bool:
        """Whether an answer is being made or sent."""
        return self._answering is not None or bool(self._unsent)

    def _go_on(self) -> None:
        """Use what was read."""
        while self._open and not self._busy and self._got:
            if self._asked is None and not self._begun():
                return
            if self._asked is not None and not self._whole(self._asked):
                return

    def _begun(self) -> bool:
        """Read a head; False where it is not there yet, or not one for here."""
        plain, got = self._front.plain, self._got
        end = got.find(END)
        if end < 0 and plain.may_become(got):
            return False
        head = plain.read(got[:end]) if end >= 0 else None
        if head is None or head.length > MAX_BODY_BYTES:
            self._let_go()
            self._front.elsewhere(self._socket, self._address, got)
            return False
        self._got = got[end + len(END) :]
        asked = self._asked = _Asked(self._front.posts[head.path], head, head.length)
        if len(self._got) < head.length:
            self._waits.body(self)
        try:
            asked.identity = self._front.admitted(asked.post, head.authorization)
        except ProblemError as refusal:
            asked.refusal = refusal
        return True

    def _whole(self, asked: _Asked) -> bool:
        """Begin to answer a request that is there; False where its body is still coming."""
        got = self._got
        if asked.refusal is not None:  # what is not served is not kept, either
            self._got, asked.missing = got[asked.missing :], max(0, asked.missing - len(got))
        else:
            asked.missing = max(0, asked.head.length - len(got))
        if asked.missing:
            return False
        self._asked = None
        self._last = asked.head.last
        self._waits.nothing(self)
        if asked.identity is None:
            assert asked.refusal is not None
            self._waits.request(self)
            self._send(self._front.refused(asked.post, asked.refusal, asked.head))
            return True
        length = asked.head.length
        self._got = got[length:]
        posted = Posted(asked.identity, got[:length], asked.head.key)
        self._answering = self._loop.create_task(self._answer(asked.post, posted, asked.head))
        return True

    async def _answer(self, post: Post, posted: Posted, head: Head) -> None:
        answer = await self._front.answer(post, posted, head)
        self._answering = None
        if self._open:
            self._waits.request(self)
            self._send(answer)
            self._go_on()

    def _send(self, answer: bytes) -> None:
        try:
            sent = self._socket.send(answer)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.close()
            return
        if sent < len(answer):
            self._unsent = answer[sent:]
            self._loop.add_writer(self._socket, self._writable)
        elif self._last:
            self.close()
        else:
            self._read_on()

    def _writable(self) -> None:
        unsent, self._unsent = self._unsent, b""
        self._loop.remove_writer(self._socket)
        self._send(unsent)
        self._go_on()

    def _read_on(self) -> None:
        if self._open and not self._reading and not self._busy:
            self._reading = True
            self._loop.add_reader(self._socket, self._readable)
