"""Who asks: a name and its roles, carried by a signed token (JWT, HS256) from whoever knows the service's secret."""

import hashlib
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import jwt
from jwt.types import Options
from msgspec import Struct

ISSUER: Final = "ims"
AUDIENCE: Final = "ims-api"
MACHINE_USER: Final = "api"
"""Who the static API token speaks for."""
LOCAL_USER: Final = "local"
"""Who looks at the pages while there are no users."""
SHIPPER: Final = "ims"
"""Whose the rules are that the program came with. Nobody can log in as one of these three."""
LONGEST_TTL_S: Final = 366 * 86_400


class Role(StrEnum):
    """What somebody may do."""

    TRADER = "trader"
    OPS = "ops"
    COMPLIANCE = "compliance"
    ADMIN = "admin"


WRITERS: Final = frozenset({Role.TRADER, Role.OPS})
"""They ask for locates and write rules."""
REVIEWERS: Final = frozenset({Role.OPS, Role.ADMIN})
"""They decide on locates that rules leave to a person."""
CHECKERS: Final = frozenset({Role.ADMIN})
"""They approve rules that others made."""


class IdentityError(ValueError):
    """A token that proves nothing; the message says why."""


class Identity(Struct, frozen=True):
    """A person or a program."""

    user: str
    roles: frozenset[Role] = frozenset()
    clients: frozenset[str] | None = None
    """Whose locates, orders and limits may be seen and asked for; None: everybody's."""

    def may(self, roles: frozenset[Role]) -> bool:
        """Whether one of the roles is theirs."""
        return not roles.isdisjoint(self.roles)

    def sees(self, client: str) -> bool:
        """Whether what is this client's is theirs to see. What is nobody's ("") takes one who sees everybody."""
        return self.clients is None or client in self.clients

    def within(self, other: "Identity") -> "Identity":
        """Who may only what both may: the holder of a token, and what he is today."""
        if self.clients is None or other.clients is None:
            clients = other.clients if self.clients is None else self.clients
        else:
            clients = self.clients & other.clients
        return Identity(self.user, self.roles & other.roles, clients)


def acting(user: str, named: str) -> str:
    """Who did it, as it is kept: whose token it was, and for whom it says that it acts."""
    return user if named in ("", user) else f"{user} for {named}"


MACHINE: Final = Identity(MACHINE_USER, WRITERS)
LOCAL: Final = Identity(LOCAL_USER, frozenset(Role))


def issue_token(secret: str, identity: Identity, ttl_s: float, now_s: float) -> str:
    """A token good for `ttl_s` seconds from `now_s` (Unix). Raises ValueError for a time that is none."""
    if not 0 < ttl_s <= LONGEST_TTL_S:
        raise ValueError(f"a token is good for more than 0 and at most {LONGEST_TTL_S:,} seconds, not {ttl_s:,}")
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": identity.user,
        "roles": sorted(role.value for role in identity.roles),
        "iat": int(now_s),
        "exp": int(now_s + ttl_s),
    }
    if identity.clients is not None:
        claims["clients"] = sorted(identity.clients)
    return jwt.encode(claims, _key(secret), algorithm="HS256")


def read_token(secret: str, text: str, now_s: float) -> Identity:
    """Whose token it is. Raises `IdentityError` unless it was signed with `secret` for this API and is good at `now_s`."""
    claims = _genuine(secret, text)
    expires, user, roles = claims["exp"], claims["sub"], claims.get("roles", [])
    if not isinstance(expires, int) or now_s >= expires:
        raise IdentityError("the token has expired")
    if not isinstance(user, str) or not user or not isinstance(roles, list):
        raise IdentityError("the token names nobody")
    known = {role.value for role in Role}
    return Identity(
        user, frozenset(Role(role) for role in roles if isinstance(role, str) and role in known), _clients(claims)
    )


@lru_cache(maxsize=4_096)
def _genuine(secret: str, text: str) -> dict[str, Any]:
    """What a token that was signed with `secret` for this API says, good or not now: the same comes with every request of its
    holder, and a signature takes longer to check than an order to decide. Raises `IdentityError`."""
    # time is an input: PyJWT would ask the clock
    needed = ["exp", "iss", "aud", "sub"]
    unclocked: Options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "require": needed}
    try:
        claims: dict[str, Any] = jwt.decode(
            text, _key(secret), algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER, options=unclocked
        )
    except (jwt.InvalidTokenError, ValueError) as error:
        raise IdentityError(f"the token cannot be used: {error}") from error
    return claims


def _clients(claims: dict[str, Any]) -> frozenset[str] | None:
    """A claim that cannot be read shuts the token out: it must never open more than it was meant to."""
    if "clients" not in claims:
        return None
    clients = claims["clients"]
    if not isinstance(clients, list) or not all(isinstance(client, str) and client for client in clients):
        raise IdentityError("the token's clients cannot be read")
    return frozenset(clients)


def _key(secret: str) -> bytes:
    """A key of its own for tokens: the secret signs page sessions and grid tickets, too, and may be short."""
    return hashlib.sha256(b"ims token\n" + secret.encode()).digest()
