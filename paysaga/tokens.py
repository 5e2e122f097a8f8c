"""Tokens for trying things out. In production the shop's auth service issues them, never we."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

import jwt

from paysaga.settings import Environment, Settings

ISSUED_ELSEWHERE: Final = "in production the shop's auth service issues tokens"


class Role(StrEnum):
    """What a token's bearer is to us."""

    CUSTOMER = "customer"
    SUPPORT = "support"
    FINANCE = "finance"
    ADMIN = "admin"
    SERVICE = "service"


class NoTokensHere(Exception):
    """This deployment does not issue tokens; the message says why."""


def issue_token(settings: Settings, subject: str, role: Role, lifetime: timedelta) -> str:
    """Sign a token that the API of these settings takes.

    Args:
        settings: `JWT_SECRET`, `_ALGORITHMS`, `_ISSUER` and `_AUDIENCE` count.
        subject: Who it is for; with the role customer, the customer's id.
        role: What its bearer may do.
        lifetime: How long it is good.

    Raises:
        NoTokensHere: In production, or where only an auth service holds the key.
    """
    if settings.environment is Environment.PRODUCTION:
        raise NoTokensHere(ISSUED_ELSEWHERE)
    if settings.jwt_secret is None or settings.jwt_jwks_url is not None:
        raise NoTokensHere("tokens are signed by the auth service behind JWT_JWKS_URL")
    now = datetime.now(UTC)
    claims = {
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "sub": subject,
        "role": role.value,
        "iat": now,
        "exp": now + lifetime,
    }
    secret = settings.jwt_secret.get_secret_value()
    return jwt.encode(claims, secret, algorithm=settings.jwt_algorithms[0])
