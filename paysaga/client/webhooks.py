"""Paysaga's webhooks at your end: nothing is believed that is not signed (Standard Webhooks)."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from paysaga.client.errors import WebhookRefused
from paysaga.client.events import Event


def verified(payload: bytes, headers: Mapping[str, str], secrets: str | Sequence[str]) -> Event:
    """The event that a webhook brings, if Paysaga has signed it within the last five minutes.

    Args:
        payload: The body's bytes as they came; JSON that was read and written again has others.
        headers: The request's headers, in any spelling.
        secrets: The sink's secret (`whsec_…`); while it is changed, the new and the old one.

    Raises:
        WebhookRefused: It is not signed with one of the secrets, or at another time, or it is not
            an event.
        ValueError: One of the secrets is none.
    """
    keys = [_key(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    if not keys:
        raise ValueError("a secret is needed")
    told = {name.lower(): value for name, value in headers.items()}
    refusals = [refusal for key in keys if (refusal := _refusal(key, payload, told))]
    if len(refusals) == len(keys):
        raise WebhookRefused(refusals[0])
    try:
        return Event.model_validate_json(payload)
    except ValidationError as error:
        raise WebhookRefused("it is signed, and not an event that is understood") from error


def _key(secret: str) -> Webhook:
    try:
        return Webhook(secret)
    except Exception:  # noqa: BLE001 - the library has several, and the secret is not to be told
        raise ValueError("a secret begins with whsec_ and goes on in base64") from None


def _refusal(key: Webhook, payload: bytes, headers: dict[str, str]) -> str | None:
    try:
        key.verify(payload, headers, json_parse=False)
    except WebhookVerificationError as error:
        return str(error)
    except ValueError:  # what is no signature at all, and a body that is no text
        return "the headers or the body are not those of a webhook"
    return None
