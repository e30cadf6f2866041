"""What a webhook is sent, and how its receiver knows from whom: signed as the specification Standard Webhooks says.

    webhook-id: W5f3a9c21.locates.17-18
    webhook-timestamp: 1728054000                     seconds, Unix
    webhook-signature: v1,BASE64                      HMAC-SHA256 of "id.timestamp.body" with the secret

A receiver computes the signature over the bytes it got, compares it in constant time, refuses what is older than some minutes,
and drops events whose sequence it has had.
"""

import base64
import hashlib
import hmac
from collections.abc import Collection, Sequence
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from app.outbox import Kind, Step

SECRET_PREFIX: Final = "whsec_"  # noqa: S105  what a secret begins with
_PORTS: Final = {"http": 80, "https": 443}
_JSON: Final = msgspec.json.Encoder()


class WebhookEvent(Struct, frozen=True):
    """One step of one locate, order or event of an alert."""

    sequence: Annotated[
        int, Meta(description="Grows with every step of its kind; a step that comes again has the same.")
    ]
    key: Annotated[str, Meta(description="Id of the locate, order or event.")]
    state: str
    data: Annotated[msgspec.Raw, Meta(description="As `GET` of the locate, order or event answered then.")]


class WebhookBody(Struct, frozen=True, kw_only=True):
    """Steps of one kind, in order."""

    webhook: str
    kind: Kind
    events: list[WebhookEvent]


def body_of(webhook: str, kind: Kind, steps: Sequence[Step]) -> bytes:
    """The body that tells of some steps."""
    events = [WebhookEvent(step.entry, step.name, step.state, msgspec.Raw(step.data)) for step in steps]
    return _JSON.encode(WebhookBody(webhook=webhook, kind=kind, events=events))


def secret_of(service_secret: str, webhook: str, salt: str) -> str:
    """The secret of a webhook: made from the service's own, so that no database holds it."""
    made = hmac.digest(service_secret.encode(), f"webhook {webhook} {salt}".encode(), hashlib.sha256)
    return SECRET_PREFIX + base64.b64encode(made).decode()


def signed(secret: str, message: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers of a message. `message`: its id, the same when it is sent again."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signature = hmac.digest(key, f"{message}.{timestamp_s}.".encode() + body, hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "User-Agent": "ims-webhooks",
        "webhook-id": message,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def origins_of(text: str) -> frozenset[str]:
    """The origins of a setting, with a comma between them. Raises ValueError for one that is none."""
    return frozenset(_origin(each.strip(), bare=True) for each in text.split(",") if each.strip())


def refusal(url: str, origins: Collection[str]) -> str | None:
    """Why nothing may be sent to this address; None where it may."""
    try:
        origin = _origin(url, bare=False)
    except ValueError as error:
        return str(error)
    if origin not in origins:
        return f"{origin} is not among the origins that webhooks may be sent to (setting webhook_origins)"
    return None


def _origin(url: str, *, bare: bool) -> str:
    """Scheme, host and port, spelled one way. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"expected http(s)://HOST..., got {url!r}")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("an address of a webhook has no user, no password and no fragment")
    if bare and (parts.path.strip("/") or parts.query):
        raise ValueError(f"expected an origin, scheme://host[:port], got {url!r}")
    if any(letter.isspace() or letter == "\\" or not letter.isprintable() for letter in url):
        raise ValueError("an address has no spaces and no backslashes")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname.rstrip(".")
    return f"{parts.scheme}://{host.lower()}:{parts.port or _PORTS[parts.scheme]}"
