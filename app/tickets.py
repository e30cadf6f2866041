"""Short-lived signed tickets: a page gives one to its grid, whose websocket shows it to the gateway.

A ticket says until when it is good and whose things may be seen with it: everybody's, or those of some clients.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import msgspec

VALID_S: Final = 600
"""Pages fetch the next one in half of that time; who has signed out, or was removed, gets none."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket opens, and until when (Unix seconds). `clients` None: everybody's things."""

    clients: frozenset[str] | None
    expires_s: int


def issue(secret: str, now_s: float, clients: Collection[str] | None = None, valid_s: float = VALID_S) -> str:
    """A ticket good for `valid_s` from `now_s` (Unix seconds), for somebody who may see what is these clients'."""
    expires, kept = str(int(now_s + valid_s)), ""
    if clients is not None:
        kept = base64.urlsafe_b64encode(msgspec.json.encode(sorted(clients))).decode().rstrip("=")
    return f"{expires}.{kept}.{_signature(secret, expires, kept)}"


def read(secret: str, ticket: str, now_s: float) -> Ticket | None:
    """What `ticket` opens; None unless it was signed with `secret` and has not expired."""
    expires, _, rest = ticket.partition(".")
    kept, _, signature = rest.partition(".")
    genuine = hmac.compare_digest(signature.encode(), _signature(secret, expires, kept).encode())
    if not (genuine and expires.isdigit() and now_s < int(expires)):
        return None
    if not kept:
        return Ticket(None, int(expires))
    try:
        text = base64.urlsafe_b64decode(kept + "=" * (-len(kept) % 4))
        return Ticket(frozenset(msgspec.json.decode(text, type=list[str])), int(expires))
    except (binascii.Error, msgspec.DecodeError):
        return None


def valid(secret: str, ticket: str, now_s: float) -> bool:
    """Whether `ticket` opens everybody's things: what is not told apart by client takes such a one."""
    found = read(secret, ticket, now_s)
    return found is not None and found.clients is None


def _signature(secret: str, expires: str, kept: str) -> str:
    return hmac.new(secret.encode(), f"grid.{expires}.{kept}".encode(), hashlib.sha256).hexdigest()
