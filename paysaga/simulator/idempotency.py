"""Idempotency keys: the first answer to a key is the answer to every repeat.

Kept for 24 hours, 500s included; validation failures and conflicts are not kept
(docs.stripe.com/api/idempotent_requests).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from paysaga.simulator.errors import ApiError, malformed
from paysaga.simulator.storage import Storage

_KEPT_SECONDS = 24 * 3600
_LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a key: for which endpoint and parameters."""

    key: str
    endpoint: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The first answer, ready to be sent again."""

    status: int
    body: str
    request_id: str


def use_of(key: str, endpoint: str, flat: Sequence[tuple[str, str]]) -> Use:
    """Describe the use of a key, or refuse a key that is too long."""
    if len(key) > _LONGEST_KEY:
        raise malformed(f"Idempotency keys may be at most {_LONGEST_KEY} characters long.")
    digest = hashlib.sha256(repr(sorted(flat)).encode()).hexdigest()
    return Use(key, endpoint, digest)


def find(storage: Storage, use: Use, now: int) -> Kept | None:
    """Find the first answer; another endpoint or other parameters under the key are refused."""
    row = storage.execute(
        "SELECT * FROM idempotency WHERE key = ? AND created > ?", (use.key, now - _KEPT_SECONDS)
    ).fetchone()
    if not row:
        return None
    if row["endpoint"] != use.endpoint:
        raise _mismatch(
            "Keys for idempotent requests can only be used for the same endpoint they were first"
            f" used for ('{use.endpoint}' vs '{row['endpoint']}'). Try using a key other than"
            f" '{use.key}' if you meant to execute a different request."
        )
    if row["fingerprint"] != use.fingerprint:
        raise other_parameters(use.key)
    return Kept(row["status"], row["body"], row["request_id"])


def keep(storage: Storage, use: Use, kept: Kept, now: int) -> None:
    """Keep the answer, in the transaction of its effect."""
    storage.execute(
        "INSERT OR REPLACE INTO idempotency"
        " (key, endpoint, fingerprint, request_id, status, body, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            use.key,
            use.endpoint,
            use.fingerprint,
            kept.request_id,
            kept.status,
            kept.body,
            now,
        ),
    )


def _mismatch(message: str) -> ApiError:
    return ApiError(400, "idempotency_error", message, stored=False)


def other_parameters(key: str) -> ApiError:
    """400: the key was first used with other parameters."""
    return _mismatch(
        "Keys for idempotent requests can only be used with the same parameters they were first"
        f" used with. Try using a key other than '{key}' if you meant to execute a different"
        " request."
    )


def in_use(key: str) -> ApiError:
    """409: the first request with this key is still running."""
    return ApiError(
        409,
        "idempotency_error",
        "There is currently another in-progress request using this Idempotent Key (that probably"
        f" means you submitted twice, and the other request is still going through): {key}.",
        code="idempotency_key_in_use",
        stored=False,
    )
