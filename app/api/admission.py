"""Who is let in, and what may be asked once: the same for every way in. All raise `ProblemError`."""

import hashlib
from collections.abc import Collection
from typing import Final

from msgspec import Struct

from app.api.access import Access, AccessError
from app.api.problems import Fault, ProblemError
from app.api.recording import Key
from app.api.throttle import Throttle
from app.identity import Identity, Role

KEY: Final = "Idempotency-Key"
MAX_BODY_BYTES: Final = 1 << 20
_MAX_KEY: Final = 128


class Posted(Struct, frozen=True):
    """A request that was let in. `key`: the header Idempotency-Key, None where there is none."""

    identity: Identity
    body: bytes
    key: str | None


def admitted(
    access: Access, throttle: Throttle, authorization: str, wanted: frozenset[Role] | None, *, for_clients: bool
) -> Identity:
    """Whose token it is. `wanted`: the roles that may (None: every one); `for_clients`: also who sees some clients only.

    What is asked counts against the token's rate, whatever becomes of it.
    """
    try:
        identity = access.identity(authorization)
    except AccessError as error:
        challenge = {"WWW-Authenticate": 'Bearer realm="ims"'}
        raise ProblemError(401, "unauthorized", str(error), headers=challenge) from error
    if wait_s := throttle.wait_s(access.scope(identity)):
        again = {"Retry-After": str(wait_s)}
        raise ProblemError(429, "too-many", "this token asks more often than it may", headers=again)
    if identity.clients is not None and not for_clients:
        raise ProblemError(403, "forbidden", "this is not shown to a token for some clients only")
    if wanted is not None and not identity.may(wanted):
        raise ProblemError(403, "forbidden", f"this takes the role {' or '.join(sorted(wanted))}")
    return identity


def check_media_type(content_type: str, media_types: Collection[str]) -> None:
    """A body is of a type that the resource reads."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in media_types:
        expected = " or ".join(media_types)
        raise ProblemError(415, "media-type", f"expected {expected}, got {kind or 'no Content-Type'}")


def key_of(scope: str, text: str | None, asked: str, body: bytes) -> Key:
    """The key of the header with the fingerprint of what came with it. `scope`: whose; `asked`: method and path.

    400 where there is none, 422 for one that cannot be used.
    """
    if text is None:
        fault = Fault("Missing: a new key for every new request, the same when it is sent again", header=KEY)
        raise ProblemError(400, "key-missing", "send an Idempotency-Key", (fault,))
    if not 0 < len(text) <= _MAX_KEY or not (text.isascii() and text.isprintable()) or " " in text:
        fault = Fault(f"Expected 1 to {_MAX_KEY} visible ASCII characters", header=KEY)
        raise ProblemError(422, "invalid", "the Idempotency-Key cannot be used", (fault,))
    return Key(scope, text, hashlib.sha256(f"{asked}\n".encode() + body).hexdigest())
