"""The desk of webhooks: registered by an admin, each sent to by a task of its own, replayed by sequence."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from app.outbox import Kind, Outbox, OutboxError
from app.webhooks_message import origins_of, refusal, secret_of
from app.webhooks_sender import PAUSES_S, DeadError, Sender, make_client
from app.webhooks_store import MOST, Webhook, WebhookState, WebhookStore

log = structlog.get_logger()
_AGAIN_S: Final = 1.0
_LOADED_S: Final = 5.0


class WebhookError(ValueError):
    """It cannot be registered or replayed like this; the message says why."""


class NoSuchWebhookError(LookupError):
    """There is none of that id."""


class WebhookNow(Struct, frozen=True):
    """A webhook, and how it fares. `sequences`: the last step of each kind that it has taken."""

    webhook: Webhook
    sequences: dict[Kind, int]
    failures: int
    error: str


class Webhooks:
    """`origins`: the setting; `secret`: the service's own, of which each webhook's is made; `clock`: UTC nanoseconds."""

    def __init__(
        self,
        outbox: Outbox,
        secret: str,
        origins: str,
        clock: Callable[[], int],
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._outbox = outbox
        self._store = WebhookStore(outbox)
        self._secret = secret
        self._origins = origins_of(origins)
        self._clock = clock
        self._pauses_s = pauses_s
        self._client = make_client()
        self._webhooks: dict[str, Webhook] = {}
        self._senders: dict[str, Sender] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._loaded = asyncio.Event()
        self._changing = asyncio.Lock()

    async def run(self) -> None:
        """Send to all that there are, for as long as the service lives."""
        self._webhooks = {webhook.id: webhook for webhook in await self._store.all()}
        for webhook in self._webhooks.values():
            self._begin(webhook)
        self._loaded.set()
        try:
            await asyncio.Event().wait()
        finally:
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._client.close()

    async def all(self) -> Sequence[WebhookNow]:
        """Oldest first. Raises `OutboxError`."""
        await self._ready()
        return [await self._now(webhook) for webhook in self._webhooks.values()]

    async def get(self, name: str) -> WebhookNow:
        """Raises `NoSuchWebhookError` or `OutboxError`."""
        return await self._now(await self._find(name))

    async def register(
        self, url: str, kinds: Sequence[Kind], clients: Sequence[str] | None, by: str, comment: str
    ) -> tuple[WebhookNow, str]:
        """A new one, told of what happens from now on; and its secret, which is said this once. Raises `WebhookError` or
        `OutboxError`."""
        await self._ready()
        if refused := refusal(url, self._origins):
            raise WebhookError(refused)
        if Kind.ALERTS in kinds and clients is not None:
            raise WebhookError("alerts are of nobody's clients: register another webhook for them")
        if len(self._webhooks) >= MOST:
            raise WebhookError(f"there are {MOST} webhooks already")
        webhook = Webhook(
            id=f"W{secrets.token_hex(4)}",
            url=url,
            kinds=tuple(dict.fromkeys(kinds)),
            clients=None if clients is None else tuple(sorted(set(clients))),
            state=WebhookState.ACTIVE,
            salt=secrets.token_hex(8),
            created_by=by,
            created_ns=self._clock(),
            comment=comment,
            changed_ns=self._clock(),
        )
        for kind in webhook.kinds:
            await self._outbox.cursor_or(webhook.consumer, kind, await self._outbox.newest(kind))
        await self._store.add(webhook)
        self._webhooks[webhook.id] = webhook
        self._begin(webhook)
        return await self._now(webhook), secret_of(self._secret, webhook.id, webhook.salt)

    async def replay(self, name: str, kind: Kind, after: int) -> WebhookNow:
        """Send again what came after a step; a dead one lives again. Raises `NoSuchWebhookError`, `WebhookError` or
        `OutboxError`."""
        async with self._changing:
            webhook = await self._find(name)
            if kind not in webhook.kinds:
                raise WebhookError(f"this webhook is not told of {kind}")
            if after > (newest := await self._outbox.newest(kind)):
                raise WebhookError(f"the newest step is {newest:,}")
            await self._stop(webhook)
            self._outbox.advance(webhook.consumer, kind, after)
            await self._outbox.flush()
            webhook = replace(webhook, state=WebhookState.ACTIVE, error="", changed_ns=self._clock())
            await self._change(webhook)
            self._begin(webhook)
            return await self._now(webhook)

    async def remove(self, name: str) -> None:
        """Raises `NoSuchWebhookError` or `OutboxError`."""
        async with self._changing:
            webhook = await self._find(name)
            await self._stop(webhook)
            await self._store.remove(webhook)
            self._webhooks.pop(webhook.id, None)

    # parts

    async def _ready(self) -> None:
        """Returns once it is known which there are. Raises `OutboxError` where that takes long."""
        try:
            async with asyncio.timeout(_LOADED_S):
                await self._loaded.wait()
        except TimeoutError:
            raise OutboxError("the webhooks are not read yet") from None

    async def _find(self, name: str) -> Webhook:
        await self._ready()
        webhook = self._webhooks.get(name)
        if webhook is None:
            raise NoSuchWebhookError(name)
        return webhook

    async def _now(self, webhook: Webhook) -> WebhookNow:
        sequences = {kind: await self._outbox.cursor(webhook.consumer, kind) or 0 for kind in webhook.kinds}
        sender = self._senders.get(webhook.id)
        failures, error = (0, webhook.error) if sender is None else (sender.failures, sender.error)
        return WebhookNow(webhook, sequences, failures, error)

    def _begin(self, webhook: Webhook) -> None:
        if webhook.state == WebhookState.ACTIVE:
            secret = secret_of(self._secret, webhook.id, webhook.salt)
            sender = Sender(webhook, secret, self._origins, self._outbox, self._client, self._pauses_s)
            self._senders[webhook.id] = sender
            self._tasks[webhook.id] = asyncio.create_task(self._send(webhook, sender))

    async def _stop(self, webhook: Webhook) -> None:
        task = self._tasks.pop(webhook.id, None)
        self._senders.pop(webhook.id, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _send(self, webhook: Webhook, sender: Sender) -> None:
        while True:
            try:
                await sender.run()
            except DeadError as error:
                log.error("a webhook is dead", webhook=webhook.id, url=webhook.url, error=str(error))  # noqa: TRY400  no trace
                del self._senders[webhook.id]
                dead = replace(webhook, state=WebhookState.DEAD, error=str(error), changed_ns=self._clock())
                await self._bury(dead)
                return
            except Exception:
                log.exception("a webhook goes on after an error", webhook=webhook.id)
                await asyncio.sleep(_AGAIN_S)

    async def _bury(self, dead: Webhook) -> None:
        """Who is said to be dead stays so; where that cannot be written, it is tried once more after the next start."""
        try:
            await self._store.change(dead)
        except OutboxError as error:
            log.warning("a dead webhook could not be noted", webhook=dead.id, error=str(error))
        self._webhooks[dead.id] = dead

    async def _change(self, webhook: Webhook) -> None:
        await self._store.change(webhook)
        self._webhooks[webhook.id] = webhook
