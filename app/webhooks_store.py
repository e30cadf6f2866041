"""Webhooks as they are kept, in the journal's database."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from app.outbox import Kind, Outbox
from app.outbox_schema import WEBHOOKS

MOST: Final = 100


class WebhookState(StrEnum):
    """Whether it is sent to."""

    ACTIVE = "active"
    DEAD = "dead"
    """Its receiver did not take a message, however often it was tried. Nothing is lost: a replay goes on."""


class Webhook(Struct, frozen=True, kw_only=True):
    """Where to send what."""

    id: str
    url: str
    kinds: tuple[Kind, ...]
    clients: tuple[str, ...] | None
    """Of these only; None: of all."""
    state: WebhookState
    salt: str
    created_by: str
    created_ns: int
    comment: str = ""
    error: str = ""
    """Why it is dead."""
    changed_ns: int = 0

    @property
    def consumer(self) -> str:
        """Its name in the outbox."""
        return f"webhook:{self.id}"


class WebhookStore:
    """Every method raises `OutboxError` where the database cannot be asked."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def all(self) -> Sequence[Webhook]:
        """Oldest first."""
        chosen = sa.select(WEBHOOKS.c.document).order_by(WEBHOOKS.c.created_ns, WEBHOOKS.c.id)
        documents = await self._outbox.do(lambda connection: connection.execute(chosen).scalars().all())
        return [msgspec.json.decode(document, type=Webhook) for document in documents]

    async def add(self, webhook: Webhook) -> None:
        row = _row(webhook) | {"id": webhook.id, "created_ns": webhook.created_ns}
        await self._outbox.do(lambda connection: connection.execute(sa.insert(WEBHOOKS).values(row)))

    async def change(self, webhook: Webhook) -> None:
        changed = sa.update(WEBHOOKS).where(WEBHOOKS.c.id == webhook.id).values(_row(webhook))
        await self._outbox.do(lambda connection: connection.execute(changed))

    async def remove(self, webhook: Webhook) -> None:
        gone = sa.delete(WEBHOOKS).where(WEBHOOKS.c.id == webhook.id)
        await self._outbox.do(lambda connection: connection.execute(gone))
        await self._outbox.forget(webhook.consumer)


def _row(webhook: Webhook) -> dict[str, str]:
    return {"state": webhook.state.value, "document": msgspec.json.encode(webhook).decode()}
