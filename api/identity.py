"""Who asks: a bearer token, checked in every part, and what its role may see."""

import asyncio
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

import jwt
import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from jwt import PyJWK, PyJWKClient, PyJWKSet
from jwt.exceptions import InvalidTokenError, PyJWTError

from api.introspection import Introspection
from api.refusals import BadToken, Forbidden, NotSignedIn, TokensUnchecked
from paysaga.domain.ids import CUSTOMER_ID_PATTERN
from paysaga.domain.message import Message
from paysaga.settings import Settings
from paysaga.tokens import Role

STAFF: Final = frozenset({Role.SUPPORT, Role.FINANCE, Role.ADMIN})

_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_LEEWAY_SECONDS: Final = 10
_KEYS_TIMEOUT_SECONDS: Final = 3
# Anybody can send a token of an unknown key. For this long after a question no other is asked.
KEYS_PAUSE_SECONDS: Final = 5.0
_SUBJECT: Final = re.compile(r"[\x21-\x7e]{1,100}")
# An id, also such as auth services build from two (`auth0|5f7c…`); no address, no full name.
_OPAQUE: Final = re.compile(r"[A-Za-z0-9_|-]{1,64}")

log: Final = structlog.stdlib.get_logger("api")


class Caller(Message):
    """The one who asks: an opaque id. With the role customer, it is the customer's."""

    subject: str
    role: Role

    @property
    def actor(self) -> str:
        """How the history names them."""
        return f"{self.role}:{self.subject}"

    @property
    def is_staff(self) -> bool:
        """Whether they work for the shop."""
        return self.role in STAFF

    @property
    def only_customer(self) -> str | None:
        """The one customer whose things they may see; `None` means everybody's."""
        return self.subject if self.role is Role.CUSTOMER else None

    def may_see(self, customer_id: str) -> bool:
        """Whether this customer's things are theirs to see."""
        return self.only_customer in {None, customer_id}


class Keys:
    """The auth service's public keys, fetched off the event loop, once for all who wait.

    They are asked for again when a key is unknown, since it may be new, but not too often, and
    not by everybody while the auth service is down.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = PyJWKClient(url, timeout=_KEYS_TIMEOUT_SECONDS)
        self._clock = clock
        self._fetching = asyncio.Lock()
        self._next_question = clock()
        self._failure: Exception | None = None

    async def key(self, kid: str) -> PyJWK | None:
        """The key of this name; `None` if the auth service has none.

        Raises:
            TokensUnchecked: The auth service does not answer, or not with keys.
        """
        if known := self._known(kid):
            return known
        async with self._fetching:
            if self._clock() >= self._next_question:
                await self._ask()
            if known := self._known(kid):
                return known
            if self._failure or self._cached() is None:
                raise TokensUnchecked from self._failure
            return None

    async def _ask(self) -> None:
        # The client has pauses of its own, but none after a question that failed.
        try:
            await asyncio.to_thread(self._client.get_jwk_set, refresh=True)
            self._failure = None
        except (PyJWTError, ValueError, OSError) as error:
            log.warning("the auth service's keys cannot be had", error=type(error).__name__)
            self._failure = error
        self._next_question = self._clock() + KEYS_PAUSE_SECONDS

    def _known(self, kid: str) -> PyJWK | None:
        cached = self._cached()
        if cached is None:
            return None
        return self._client.match_kid(
            [key for key in cached.keys if key.public_key_use in {None, "sig"}], kid
        )

    def _cached(self) -> PyJWKSet | None:
        cache = self._client.jwk_set_cache
        return cache.get() if cache is not None else None


class TokenCheck:
    """Reads callers from tokens. Everything that is not exactly as agreed is refused."""

    def __init__(self, settings: Settings, introspection: Introspection | None = None) -> None:
        self._settings = settings
        self._keys = Keys(str(settings.jwt_jwks_url)) if settings.jwt_jwks_url else None
        self._introspection = introspection

    async def caller(self, token: str) -> Caller:
        """The one whom the token names.

        Raises:
            BadToken: It names nobody, or not any more.
            TokensUnchecked: Who could tell does not answer.
        """
        if self._introspection is not None:
            return _caller(_as_agreed(await self._introspection.claims(token), self._settings))
        try:
            claims = jwt.decode(
                token,
                await self._key(jwt.get_unverified_header(token)),
                algorithms=list(self._settings.jwt_algorithms),
                issuer=self._settings.jwt_issuer,
                audience=self._settings.jwt_audience,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub", "role"]},
            )
        except (InvalidTokenError, ValueError) as error:
            raise BadToken from error
        return _caller(claims)

    async def _key(self, header: Mapping[str, Any]) -> str | PyJWK:
        kind, kid = header.get("typ"), header.get("kid")
        if kind is not None and (not isinstance(kind, str) or kind.lower() not in _TYPES):
            raise BadToken
        if self._keys is None:
            if kid is not None or self._settings.jwt_secret is None:
                raise BadToken  # a shared secret has no name: whose key it means is not known
            return self._settings.jwt_secret.get_secret_value()
        key = await self._keys.key(kid) if isinstance(kid, str) else None
        if key is None:
            raise BadToken
        return key


def _as_agreed(claims: Mapping[str, Any] | None, settings: Settings) -> Mapping[str, Any]:
    """What the auth service calls good is, unless it says itself that it is not for us."""
    if claims is None:
        raise BadToken
    audience = claims.get("aud", settings.jwt_audience)
    is_for_us = settings.jwt_audience in (audience if isinstance(audience, list) else [audience])
    if not is_for_us or claims.get("iss", settings.jwt_issuer) != settings.jwt_issuer:
        raise BadToken
    expires = claims.get("exp")
    if expires is not None and (type(expires) is not int or expires < time.time()):
        raise BadToken
    return claims


def _caller(claims: Mapping[str, Any]) -> Caller:
    subject, role = claims.get("sub"), claims.get("role")
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise BadToken
    if not isinstance(role, str) or role not in set(Role):
        raise BadToken
    if role == Role.CUSTOMER and not re.fullmatch(CUSTOMER_ID_PATTERN, subject):
        raise BadToken
    return Caller(
        subject=subject if _OPAQUE.fullmatch(subject) else _hashed(subject), role=Role(role)
    )


def _hashed(subject: str) -> str:
    """Who acted stands in the history for ever: an e-mail address must not."""
    return f"sha256-{hashlib.sha256(subject.encode()).hexdigest()[:32]}"


_bearer: Final = HTTPBearer(auto_error=False, bearerFormat="JWT", description="A JWT")


async def caller(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    """The caller of this request."""
    if given is None:
        raise NotSignedIn
    check: TokenCheck = request.app.state.connections.tokens
    return await check.caller(given.credentials)


def allowed(*roles: Role) -> Callable[[Caller], Awaitable[Caller]]:
    """A dependency: the caller, if their role is one of these."""

    async def one_of(who: Annotated[Caller, Depends(caller)]) -> Caller:
        if who.role not in roles:
            raise Forbidden
        return who

    return one_of
