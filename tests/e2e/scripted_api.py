"""An API that says what a test wants it to say: states that the real one is not easily brought to.

A test's script is a `Script` with a `handler` that answers; it knows users by the tokens that the page server signs.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from app.identity import Identity, IdentityError, Role, read_token
from app.settings import Settings


class Refusal(Exception):  # noqa: N818  an answer, not a fault
    """Answer with a problem document."""

    def __init__(self, status: int, detail: str, problems: list[dict[str, Any]] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.problems = status, detail, problems or []


class Answers(RequestHandler):
    """Every address of a scripted API; `answer` is the page's own."""

    who: Identity
    body: Any

    def initialize(self, script: Any) -> None:
        self.script = script

    async def prepare(self) -> None:
        while not self.script.hold.is_set():
            await asyncio.to_thread(self.script.hold.wait, 0.05)
        try:
            if self.script.trouble:
                raise Refusal(self.script.trouble, self.script.detail)
            _, _, token = self.request.headers.get("Authorization", "").partition(" ")
            try:
                self.who = read_token(self.script.secret, token, time.time())
            except IdentityError as error:
                raise Refusal(401, str(error)) from error
            self.body = json.loads(self.request.body) if self.request.body else {}
            parts = [part for part in self.request.path.removeprefix("/api/v1/").split("/") if part]
            told = self.answer(str(self.request.method), *parts)
        except Refusal as refusal:
            self.set_status(refusal.status)
            told = {"title": "Refused", "detail": refusal.detail, "status": refusal.status, "errors": refusal.problems}
        self.set_header("Content-Type", "application/json")
        self.finish(told if isinstance(told, bytes) else json.dumps(told).encode())

    def answer(self, method: str, *parts: str) -> Any:
        """The body of an answer. Raises `Refusal`."""
        raise NotImplementedError

    def asked(self, name: str) -> str:
        return self.get_query_argument(name, "")

    def needs(self, *roles: Role) -> None:
        """Refuse who has none of these roles."""
        if not self.who.may(frozenset(roles)):
            raise Refusal(403, f"this takes the role {' or '.join(sorted(roles))}")


class Stream(WebSocketHandler):
    """Hears what a page wants to follow, and rings when the test does."""

    def initialize(self, script: "Script") -> None:
        self.script = script

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return subprotocols[0]

    def on_message(self, message: str | bytes) -> None:
        said = json.loads(message)
        if said["topic"] == "alerts":
            # every page follows these: the frame's business, not the page's
            self.script.watching.append((self, said))
            self.tell("snapshot", self.script.alert_events)
            return
        self.script.followed.append(said)
        self.script.streams.append(self)
        self.script.heard.set()

    def tell(self, kind: str, events: list[dict[str, Any]]) -> None:
        """Of alerts."""
        lines = [{"sequence": 1, "key": event["id"], "data": event} for event in events]
        message = {"type": kind, "topic": "alerts", "epoch": "", "sequence": 1, "lines": lines, "last": True}
        self.write_message(json.dumps(message))

    def on_close(self) -> None:
        self.script.watching = [each for each in self.script.watching if each[0] is not self]


@dataclass
class Script:
    """What the API says. Change it while it runs."""

    handler: ClassVar[type[Answers]] = Answers
    secret: str
    trouble: int = 0
    """A status that every request is answered with; 0: none."""
    detail: str = ""
    hold: threading.Event = field(default_factory=threading.Event)
    """Nothing is answered before it is set."""

    followed: list[dict[str, Any]] = field(default_factory=list)
    """What pages have asked the stream for."""
    heard: threading.Event = field(default_factory=threading.Event)
    streams: list[Stream] = field(default_factory=list)
    alert_events: list[dict[str, Any]] = field(default_factory=list)
    """What is open of everybody's alerts when a page begins to follow them."""
    watching: list[tuple[Stream, dict[str, Any]]] = field(default_factory=list)
    """Who follows alerts, and how he asked."""
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self) -> None:
        self.hold.set()

    def ring(self) -> None:
        """Say on every stream that something has happened."""
        for stream in self.streams:
            self.loop.call_soon_threadsafe(stream.write_message, json.dumps({"type": "delta"}))

    def alert(self, *events: dict[str, Any]) -> None:
        """Tell everybody what has become of these."""
        for stream, _ in self.watching:
            self.loop.call_soon_threadsafe(stream.tell, "delta", list(events))


@contextlib.contextmanager
def serving(settings: Settings, script: Script) -> Iterator[None]:
    """The script's answers at the place of the page server's API, on a thread of their own."""
    stopping, started = asyncio.Event(), threading.Event()

    async def serve() -> None:
        given = {"script": script}
        server = HTTPServer(Application([(r"/api/v1/stream", Stream, given), (r"/api/v1/.*", script.handler, given)]))
        server.listen(settings.api_port, "127.0.0.1")
        started.set()
        await stopping.wait()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=script.loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(5)
    try:
        yield
    finally:
        script.hold.set()
        script.loop.call_soon_threadsafe(stopping.set)
        thread.join(5)
