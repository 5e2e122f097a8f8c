"""Who is calling: the secret key may do everything, the publishable key what a browser must."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence

from paysaga.simulator.calls import DEFAULT_VERSION, Call
from paysaga.simulator.errors import ApiError, malformed, missing
from paysaga.simulator.settings import SimulatorSettings
from paysaga.simulator.storage import Body, Record

_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?(; .*)?")
_SHOWN = 4


def is_browser(headers: Mapping[str, str], settings: SimulatorSettings) -> bool:
    """Check the key; tell whether it is the publishable one."""
    key = _key(headers.get("authorization", ""))
    if not key:
        raise _unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization"
            " header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
    if key == settings.stripe_publishable_key:
        return True
    if key != settings.stripe_secret_key:
        raise _unauthorized(f"Invalid API Key provided: {key[:8]}****{key[-_SHOWN:]}")
    return False


def secret_key_required() -> ApiError:
    """403: a browser may not do this."""
    return ApiError(
        403,
        "invalid_request_error",
        "This API call cannot be made with a publishable API key. Please use a secret API key.",
        code="secret_key_required",
        stored=False,
    )


def shown(call: Call, intent: Record, secret: str | None, public: Sequence[str]) -> Body:
    """Show the intent: all of it to the server, its `public` part to a browser with its secret."""
    if not call.client_only:
        return intent.body
    if secret != intent.body["client_secret"]:
        raise missing(intent.kind, intent.id, "intent", in_path=True)
    return {name: intent.body[name] for name in public}


def version_of(headers: Mapping[str, str]) -> str:
    """Tell which API version the caller speaks; without a word it is the account's older one."""
    version = headers.get("stripe-version")
    if version is None:
        return DEFAULT_VERSION
    if not _VERSION.fullmatch(version):
        raise malformed(f"Invalid Stripe API version: {version}")
    return version


def _key(header: str) -> str:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def _unauthorized(message: str) -> ApiError:
    return ApiError(
        401,
        "invalid_request_error",
        message,
        headers={"www-authenticate": 'Basic realm="Stripe"'},
        stored=False,
    )
