"""Stripe's webhook signature: HMAC-SHA256 over `t.body`, made anew for every try."""

import hashlib
import hmac

_TOO_OLD_SECONDS = 301  # the SDKs accept 300
_AHEAD_SECONDS = 600


def signature_header(payload: str, secret: str, now: int, tampering: str | None = None) -> str:
    """Write the `Stripe-Signature` header, spoiled as `tampering` says."""
    if tampering == "stale":
        now -= _TOO_OLD_SECONDS
    if tampering == "future":
        now += _AHEAD_SECONDS
    if tampering == "wrong_secret":
        secret = f"{secret}_of_somebody_else"
    digest = hmac.new(secret.encode(), f"{now}.{payload}".encode(), hashlib.sha256).hexdigest()
    if tampering == "forged":
        digest = digest[::-1]
    return f"t={now},v1={digest}"
