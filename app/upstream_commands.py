"""What each command from upstream asks of the desks."""

from typing import Any, Final

import msgspec

from app.api.answers import locate_answer
from app.api.decisions import Decisions
from app.api.order_decisions import Late, OrderDecisions, Step
from app.api.parameters import sequence_or_missing
from app.api.recording import Key, Reply
from app.identity import Identity, acting
from app.upstream import Commands
from engine.locates import State
from feeds import requests
from feeds.registry import feed_named

_JSON: Final = msgspec.json.Encoder()


def locate_commands(topic: str, decisions: Decisions) -> Commands:
    """New requests of one security keep their order, and so do the ends of one locate."""

    async def carry_out(command: requests.LocateCommand, key: Key, by: str) -> Reply:
        if isinstance(command, requests.UpstreamRequest):
            return await decisions.submit([requests.locate_asked(command)], single=True, key=key, by=by)
        # an end is the same however often it is asked for: it needs no key
        state = State.RELEASED if isinstance(command, requests.ReleaseLocate) else State.CANCELLED
        sequence = sequence_or_missing(command.locate)
        locate = await decisions.end(sequence, state, acting(by, command.requested_by), command.comment)
        return Reply(200, _JSON.encode(locate_answer(locate)))

    def about(command: requests.LocateCommand) -> str:
        return command.security if isinstance(command, requests.UpstreamRequest) else command.locate

    return Commands(topic, feed_named("locates").index, requests.locate_command, about, carry_out)


def order_commands(topic: str, orders: OrderDecisions) -> Commands:
    """Commands on one order keep their order."""

    async def carry_out(command: requests.OrderCommand, key: Key, by: str) -> Reply:
        if isinstance(command, requests.NewOrder):
            asked = [requests.order_asked(command)]
            return await orders.submit(asked, orders.clock(), single=True, key=key, who=Identity(by))
        person = acting(by, command.requested_by)
        return await orders.moved(command.order, _step(command, person), Identity(by), key, _late(command, person))

    def about(command: Any) -> str:
        order: str = command.order
        return order

    return Commands(topic, feed_named("order_requests").index, requests.order_command, about, carry_out)


def _step(command: requests.AmendOrder | requests.ExecutedOrder | requests.CancelOrder, by: str) -> Step:
    match command:
        case requests.AmendOrder():
            return lambda desk, now: desk.amend(command.order, command.quantity, now, by, command.comment)
        case requests.ExecutedOrder():
            return lambda desk, now: desk.execute(command.order, command.executed, now, by)
        case requests.CancelOrder():
            return lambda desk, now: desk.cancel(command.order, now, by, command.comment)


def _late(command: requests.AmendOrder | requests.ExecutedOrder | requests.CancelOrder, by: str) -> Late | None:
    """A sale that is reported after the order's day is written down; nothing else is done to it then."""
    if not isinstance(command, requests.ExecutedOrder):
        return None
    executed = command.executed
    return lambda desk, ended, now_ns: desk.late(ended, executed, now_ns, by)
