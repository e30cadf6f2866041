"""The websocket of one grid: who may open it, what it may say, and never more than one message under way."""

import asyncio
import socket
import time
from typing import Any, Final

from tornado.websocket import WebSocketClosedError, WebSocketHandler, WebSocketProtocol13

from app import tickets
from app.gateway import messages
from app.gateway.messages import BadMessageError
from app.gateway.origins import host_of
from app.gateway.plans import Shape, TotalRow
from app.gateway.pump import Pump
from app.gateway.shared import Cells, SharedWindow
from engine.views import QueryError

MAX_SESSIONS: Final = 1_000
MAX_MESSAGE_BYTES: Final = 64 * 1024
PING_S: Final = 20
TICKET_ENDED: Final = 4403
"""The code with which a socket is closed whose ticket has ended."""
SEND_BUFFER_BYTES: Final = 64 * 1024
"""Kept small: what the kernel holds for a slow browser is old before it arrives."""


class GridSocket(WebSocketHandler):
    """One session of the pump. `v`, `sent` and `window` are the pump's."""

    v: int = 0
    sent: Cells | None = None
    sent_shape: Shape | None = None
    sent_totals: TotalRow | None = None
    window: SharedWindow | None = None

    def initialize(self, pump: Pump, secret: str) -> None:
        self._pump = pump
        self._secret = secret
        self._outstanding: asyncio.Future[None] | None = None
        self._wrong = b""
        self._until_s = 0
        self._end: asyncio.TimerHandle | None = None
        self.clients: frozenset[str] | None = None
        self.listing = False

    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Refuses with 403 without a valid ticket or from a foreign page, with 503 when there are too many sessions."""
        ticket = tickets.read(self._secret, self.get_query_argument("ticket", ""), time.time())
        if ticket is None:
            self.send_error(403, reason="the ticket is missing, wrong or expired")
            return
        self.clients, self._until_s = ticket.clients, ticket.expires_s
        origin = self.request.headers.get("Origin")
        if origin is not None and host_of(origin) is None:  # what is no address at all, tornado does not expect
            self.send_error(403, reason="the origin is no address")
            return
        if len(self._pump.sessions) >= MAX_SESSIONS:
            self.send_error(503, reason="too many sessions")
            return
        await super().get(*args, **kwargs)

    def check_origin(self, origin: str) -> bool:
        """Only pages of this very host, whatever their port, may open a socket with their reader's ticket."""
        return host_of(origin) is not None and host_of(origin) == host_of(f"//{self.request.host}")

    def open(self, *_args: str, **_kwargs: str) -> None:
        """Connected."""
        self.set_nodelay(True)
        connection = self.ws_connection
        if isinstance(connection, WebSocketProtocol13) and connection.stream is not None:
            connection.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._pump.join(self)
        self._stay()

    def on_message(self, message: str | bytes) -> None:
        """A bad message is answered with what is wrong with it, and changes nothing."""
        asked: messages.Asked | None = None
        try:
            asked = messages.decode(message)
            self._obey(asked)
        except (BadMessageError, QueryError) as error:
            # of a flood of bad messages from someone who does not read the newest is kept: it must not fill our memory
            self._wrong = messages.encode(messages.Error(str(error), *_of(asked)))
            self._tell_wrong()

    def on_close(self) -> None:
        """Disconnected."""
        if self._end is not None:
            self._end.cancel()
        self._pump.leave(self)

    @property
    def busy(self) -> bool:
        """Whether the last message is still on its way."""
        return self._outstanding is not None and not self._outstanding.done()

    def send_frame(self, frame: bytes) -> None:
        self._send(frame, binary=True)

    def send_text(self, text: bytes) -> None:
        self._send(text, binary=False)

    def _stay(self) -> None:
        """Open until the newest ticket ends; then its page comes back with another one, if it gets one."""
        if self._end is not None:
            self._end.cancel()
        left_s = max(0.0, self._until_s - time.time())
        self._end = asyncio.get_running_loop().call_later(left_s, self.close, TICKET_ENDED, "the ticket has ended")

    def _renew(self, text: str) -> None:
        ticket = tickets.read(self._secret, text, time.time())
        if ticket is None:
            raise BadMessageError("the ticket is wrong or expired")
        if ticket.clients != self.clients:  # what is looked at is not theirs any more, or not all that is
            self.close(TICKET_ENDED, "other things are seen with this ticket")
            return
        self._until_s = max(self._until_s, ticket.expires_s)
        self._stay()

    def _obey(self, message: messages.Asked) -> None:
        if isinstance(message, messages.Renewal):
            self._renew(message.ticket)
            return
        if isinstance(message, messages.View):
            self._pump.look(self, message.query(self.clients), message.v, message.place())
            return
        if isinstance(message, messages.Values):
            self._pump.list_values(self, message, message.query(self.clients))
            return
        if self.window is None or message.v != self.v:
            raise BadMessageError(f"there is no view {message.v} to look at other rows of")
        if isinstance(message, messages.Find):
            found = self.window.view.find(self.window.place, message.id)
            self.send_text(messages.encode(messages.Found(message.r, found)))
            return
        self._pump.move(self, message.place(self.window.place))

    def _send(self, data: bytes, *, binary: bool) -> None:
        try:
            self._outstanding = self.write_message(data, binary=binary)
        except WebSocketClosedError:
            return  # `on_close` follows
        self._outstanding.add_done_callback(self._sent)

    def _sent(self, sent: asyncio.Future[None]) -> None:
        """A socket that closes under a message is no error of ours; `on_close` follows."""
        if not sent.cancelled() and sent.exception() is None:
            self._tell_wrong()

    def _tell_wrong(self) -> None:
        """What was wrong with the last bad message, as soon as nothing else is under way."""
        if self._wrong and not self.busy:
            wrong, self._wrong = self._wrong, b""
            self.send_text(wrong)


def _of(asked: messages.Asked | None) -> tuple[int | None, int | None]:
    """Which view and which request an error is about."""
    if isinstance(asked, (messages.Values, messages.Find)):
        return None, asked.r
    return (asked.v if isinstance(asked, (messages.View, messages.Window)) else None), None
