"""Sends a webhook what it is to know, in order, a message at a time, again and again until it is taken or the hook is dead."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import structlog
from msgspec.structs import replace
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from app.bell import rung
from app.outbox import Kind, Outbox, OutboxError, Step, kept_to_clients
from app.webhooks_message import body_of, refusal, signed
from app.webhooks_store import Webhook

log = structlog.get_logger()
PAUSES_S: Final = (1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 3_600.0, 10_800.0)
"""Before each time it is tried again: five hours in all. After the last a webhook is dead."""
EVENTS: Final = 100
"""Of one message."""
_ANSWER_S: Final = 10.0
_ANSWER_BYTES: Final = 64 << 10
_GONE: Final = 410
_LOOK_S: Final = 60.0
_AGAIN_S: Final = 1.0


def _kept(step: Step) -> Step:
    return replace(step, data=kept_to_clients(step.data))


class DeadError(RuntimeError):
    """The receiver does not take it; the message says what it says."""


def make_client() -> AsyncHTTPClient:
    """For all webhooks: answers are small, or they are none."""
    return AsyncHTTPClient(force_instance=True, max_clients=32, max_body_size=_ANSWER_BYTES)


class Sender:
    """`secret`: of this webhook; `origins`: where anything may be sent to."""

    def __init__(
        self,
        webhook: Webhook,
        secret: str,
        origins: frozenset[str],
        outbox: Outbox,
        client: AsyncHTTPClient,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._webhook = webhook
        self._secret = secret
        self._origins = origins
        self._outbox = outbox
        self._client = client
        self._pauses_s = pauses_s
        self.failures = 0
        """Of the message that is being sent, so far."""
        self.error = ""
        """Of the last of them."""

    async def run(self) -> None:
        """For as long as it is taken. Raises `DeadError`."""
        with self._outbox.changed.heard() as listener:
            while True:
                await rung(listener, _LOOK_S)
                try:
                    while await self._round():
                        pass
                except OutboxError as error:
                    log.warning("a webhook waits", webhook=self._webhook.id, error=str(error))
                    await asyncio.sleep(_AGAIN_S)
                    listener.set()

    # parts

    async def _round(self) -> bool:
        """The next message of each kind; whether there was one."""
        busy = False
        for kind in self._webhook.kinds:
            consumer = self._webhook.consumer
            entry = await self._outbox.cursor_or(consumer, kind, self._outbox.begun[kind])
            steps = await self._outbox.after(kind, entry, EVENTS)
            if not steps:
                continue
            clients = self._webhook.clients
            if mine := [step for step in steps if step.sent and (clients is None or step.client in clients)]:
                await self._send(kind, mine if clients is None else [_kept(step) for step in mine])
            self._outbox.advance(consumer, kind, steps[-1].entry)
            busy = True
        return busy

    async def _send(self, kind: Kind, steps: Sequence[Step]) -> None:
        message = f"{self._webhook.id}.{kind}.{steps[0].entry}-{steps[-1].entry}"
        body = body_of(self._webhook.id, kind, steps)
        for pause_s in (*self._pauses_s, None):
            failure = await self._try(message, body)
            if failure is None:
                self.failures, self.error = 0, ""
                return
            self.failures, self.error = self.failures + 1, failure
            log.warning("a webhook was not taken", webhook=self._webhook.id, error=failure, again_in_s=pause_s)
            if pause_s is not None:
                await asyncio.sleep(pause_s)
        raise DeadError(self.error)

    async def _try(self, message: str, body: bytes) -> str | None:
        """Why it was not taken; None where it was. Raises `DeadError` where it never will be."""
        refused = refusal(self._webhook.url, self._origins)
        if refused is not None:
            raise DeadError(refused)
        request = HTTPRequest(
            self._webhook.url,
            method="POST",
            headers=signed(self._secret, message, int(time.time()), body),
            body=body,
            follow_redirects=False,  # who may be sent to, is a list
            decompress_response=False,
            connect_timeout=_ANSWER_S,
            request_timeout=_ANSWER_S,
        )
        try:
            answer = await self._client.fetch(request, raise_error=False)
        except (OSError, ValueError, HTTPClientError) as error:
            return str(error) or type(error).__name__
        if answer.code == _GONE:
            raise DeadError("the receiver says that it is gone (410)")
        if 200 <= answer.code < 300:  # noqa: PLR2004
            return None
        return f"answered {answer.code} {answer.reason}" + (f": {answer.error}" if answer.code == 599 else "")  # noqa: PLR2004
