"""Identifiers that look like Stripe's: a prefix, a generation digit, random letters."""

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 24


def new_id(prefix: str) -> str:
    """Make an unguessable identifier such as `pi_3` followed by 23 letters and digits."""
    tail = _LENGTH - len(prefix.partition("_")[2])
    return prefix + letters(tail)


def letters(count: int) -> str:
    """Draw `count` random letters and digits."""
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in secrets.token_bytes(count))
