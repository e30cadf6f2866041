"""Who may ask: the static API token of programs, or a signed token of a person."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

import structlog

from app.identity import MACHINE, MACHINE_USER, Identity, IdentityError, read_token
from app.users_store import Users, UsersError

log = structlog.get_logger()
_HINT: Final = "send the header Authorization: Bearer TOKEN"


class AccessError(ValueError):
    """Nobody that we know; the message says why."""


class Access:
    """Tells from a request's header who asks. `clock`: UTC nanoseconds."""

    def __init__(self, api_token: str, secret: str, users: Users, clock: Callable[[], int]) -> None:
        self._api_token = api_token.encode()
        self._machine_scope = hashlib.sha256(self._api_token).hexdigest()[:16]
        self._secret = secret
        self._users = users
        self._clock = clock

    def identity(self, header: str) -> Identity:
        """Raises `AccessError` unless the header carries a token that is good now."""
        scheme, _, given = header.partition(" ")
        token = given.strip()
        if scheme.lower() != "bearer" or not token:
            raise AccessError(_HINT)
        if hmac.compare_digest(token.encode(), self._api_token):
            return MACHINE
        try:
            identity = read_token(self._secret, token, self._clock() / 1e9)
            admitted = self._users.admit(identity)
        except IdentityError as error:
            raise AccessError(f"{error}; {_HINT}") from error
        except UsersError as error:
            log.error("the users cannot be read: nobody is let in", reason=str(error))  # noqa: TRY400  no trace needed
            raise AccessError("the users cannot be read") from error
        if admitted is None or admitted.user == MACHINE_USER:
            raise AccessError(f"there is no user {identity.user}")
        return admitted

    def scope(self, identity: Identity) -> str:
        """Whose Idempotency-Keys they are, in 16 characters."""
        if identity.user == MACHINE_USER:
            return self._machine_scope
        return hashlib.sha256(f"user {identity.user}".encode()).hexdigest()[:16]

    def close(self) -> None:
        self._users.close()
