"""Our own ids: a prefix that Stripe does not use, and 128 bits that follow from their origin."""

import base64
import hashlib
from typing import Final

PAYMENT: Final = "pay"
EVENT: Final = "evn"
RECONCILIATION: Final = "rcn"
DRIFT: Final = "drf"
METHOD: Final = "mtd"
SINK: Final = "snk"
REFUND_POLICY: Final = "rpl"

# A customer's id is the shop's own: no address, no name.
CUSTOMER_ID_PATTERN: Final = r"^cst_[A-Za-z0-9_-]{1,60}$"


def derived(prefix: str, *parts: str) -> str:
    """The id that these parts always lead to; other parts lead elsewhere.

    Parts are length-prefixed, so that ("ab", "c") and ("a", "bc") are different.
    """
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        digest.update(f"{len(encoded)}:".encode() + encoded)
    return f"{prefix}_{base64.b32encode(digest.digest()[:16]).decode().rstrip('=').lower()}"


def fingerprint(*parts: str) -> str:
    """A short stable hash: equal for equal requests, of no use for anything else."""
    return derived("", *parts)[1:]
