"""Decides locates and tells a webhook of them, until it is killed: arguments are the journal's URL, the receiver's address, and
how many locates there are to be."""

import asyncio
import sys

from app.journal import Journal
from app.outbox import Kind, Outbox
from app.webhooks import Webhooks
from engine.locate_desk import LocateDesk
from engine.locates import LocateRequest
from tests.engine.locate_inventory import NOON_NS, PlainInventory, shipped_rules


async def main(url: str, address: str, count: int) -> None:
    """Goes on where it was when it was killed."""
    journal, outbox = Journal(url), Outbox(url)
    inventory = PlainInventory()
    inventory.add("X", 1_000_000)
    desk = LocateDesk(inventory, shipped_rules())
    desk.restore(*journal.load_open()[:2])
    webhooks = Webhooks(outbox, "secret", address, lambda: NOON_NS, pauses_s=(0.01,) * 1_000)
    task = asyncio.create_task(webhooks.run())
    if not await webhooks.all():
        await webhooks.register(f"{address}/hook", [Kind.LOCATES], None, "ann", "")
    for _ in range(count - desk.live_count):
        change = desk.decide(LocateRequest(security="X", client="FUND1", quantity=1), NOON_NS, NOON_NS * 2)
        await journal.write([change])
        desk.settle(change)
        outbox.ring()
        await outbox.flush()
    await task


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
