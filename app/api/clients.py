"""Whose things a request is about, and whether who asks may see them: what is another client's is not there for him."""

from collections.abc import Sequence
from typing import Protocol

from app.api.base import Base
from app.api.parameters import sequence_or_missing
from app.api.problems import Fault, ProblemError, pointer
from app.identity import Identity


class Line(Protocol):
    """A line of a request."""

    @property
    def client(self) -> str: ...


def own_lines(identity: Identity, lines: Sequence[Line], *, single: bool) -> None:
    """Raises a 403 that names every line for a client that is not his."""
    if identity.clients is None:
        return
    faults = tuple(
        Fault("This token does not act for this client", pointer=pointer(*([] if single else [number]), "client"))
        for number, line in enumerate(lines)
        if not identity.sees(line.client)
    )
    if faults:
        raise ProblemError(403, "forbidden", "the token does not act for this client", faults)


def own_filter(handler: Base, name: str, client: str | None) -> None:
    """Raises a 403 for a filter by a client that is not his."""
    if client is not None and not handler.identity.sees(client):
        fault = Fault("This token does not show this client", parameter=name)
        raise ProblemError(403, "forbidden", "the token does not show this client", (fault,))


async def own_locate(handler: Base, text: str) -> int:
    """The number of a locate's id. Raises a 404, also for another client's."""
    sequence = sequence_or_missing(text)
    if handler.identity.clients is not None:
        locate = await handler.context.decisions.journal.get(sequence)
        if locate is None or not handler.identity.sees(locate.request.client):
            raise ProblemError(404, "not-found", f"no locate {text}")
    return sequence


async def own_order(handler: Base, order: str) -> None:
    """Raises a 404 for another client's order."""
    if handler.identity.clients is None:
        return
    found = await handler.context.orders.find(order)
    if not handler.identity.sees(found.request.client):
        raise ProblemError(404, "not-found", f"no order {order}")
