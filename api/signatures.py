"""Stripe's webhook signatures: HMAC-SHA256 of `t.body`, compared in constant time."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from api.refusals import BadSignature

HEADER: Final = "Stripe-Signature"
# The SDK takes any moment in the future. We do not: its clock may be a minute ahead of ours.
OLDEST_SECONDS: Final = 300
NEWEST_SECONDS: Final = 60

_MOST_PARTS: Final = 20


def check(body: bytes, header: str | None, secrets: Sequence[str], at: float) -> None:
    """Let pass what somebody with one of our secrets has signed about now.

    Raises:
        BadSignature: Every other body, and why is not told.
    """
    parts = [part.strip().partition("=") for part in (header or "").split(",")][:_MOST_PARTS]
    moments = [value for name, _, value in parts if name == "t"]
    signatures = [value.encode() for name, _, value in parts if name == "v1"]
    if len(moments) != 1 or not _is_about_now(moments[0], at):
        raise BadSignature
    signed = f"{moments[0]}.".encode() + body
    expected = [
        hmac.digest(secret.encode(), signed, hashlib.sha256).hex().encode() for secret in secrets
    ]
    # All pairs are compared: how long it takes tells nothing.
    matches = [hmac.compare_digest(own, given) for own in expected for given in signatures]
    if not any(matches):
        raise BadSignature


def _is_about_now(moment: str, at: float) -> bool:
    if not (moment.isascii() and moment.isdecimal() and len(moment) < _MOST_PARTS):
        return False
    return at - OLDEST_SECONDS <= int(moment) <= at + NEWEST_SECONDS
