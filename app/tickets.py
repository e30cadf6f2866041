"""Short-lived signed tickets: a page gives one to its grid, whose websocket shows it to the gateway."""

import hashlib
import hmac
from typing import Final

VALID_S: Final = 12 * 3600


def issue(secret: str, now_s: float) -> str:
    """A ticket good for `VALID_S` from `now_s` (Unix seconds)."""
    expires = str(int(now_s) + VALID_S)
    return f"{expires}.{_signature(secret, expires)}"


def valid(secret: str, ticket: str, now_s: float) -> bool:
    """Whether `ticket` was signed with `secret` and has not expired."""
    expires, _, signature = ticket.partition(".")
    genuine = hmac.compare_digest(signature.encode(), _signature(secret, expires).encode())
    return genuine and expires.isdigit() and now_s < int(expires)


def _signature(secret: str, expires: str) -> str:
    return hmac.new(secret.encode(), f"grid.{expires}".encode(), hashlib.sha256).hexdigest()
