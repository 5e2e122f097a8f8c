"""Only what Paysaga has signed, and just now, is an event."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from paysaga.client import WebhookRefused, verified
from tests.client.told import an_event

NEW = "whsec_" + base64.b64encode(b"the new secret of 32 bytes or so").decode()
OLD = "whsec_" + base64.b64encode(b"the old secret of 32 bytes or so").decode()
BODY = json.dumps(an_event(), indent=1).encode()


def signed(
    body: bytes = BODY, *secrets: str, at: datetime | None = None, name: str = "msg_1"
) -> dict[str, str]:
    """Headers, signed with these secrets."""
    at = at or datetime.now(UTC)
    signatures = [Webhook(secret).sign(name, at, body.decode()) for secret in secrets or (NEW,)]
    return {
        "Webhook-Id": name,
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": " ".join(signatures),
    }


class TestVerified:
    def test_what_is_signed_is_an_event(self) -> None:
        """Whatever the spelling of the headers."""
        event = verified(BODY, {**signed(), "Content-Type": "application/json"}, NEW)

        assert ("evn_1", 1) == (event.id, event.sequence)

    @pytest.mark.parametrize(
        ("signers", "secrets"),
        [((OLD,), (NEW, OLD)), ((NEW,), (NEW, OLD)), ((NEW, OLD), (OLD,)), ((OLD, NEW), (NEW,))],
    )
    def test_secrets_may_be_changed(
        self, signers: tuple[str, ...], secrets: tuple[str, ...]
    ) -> None:
        """While both sides know both, in any order, none is refused."""
        assert "evn_1" == verified(BODY, signed(BODY, *signers), secrets).id

    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            (BODY.replace(b"1250", b"9250"), signed()),
            (BODY, signed(BODY, OLD)),
            (BODY, {**signed(), "Webhook-Id": "msg_2"}),
            (BODY, {}),
            (BODY, {**signed(), "Webhook-Signature": "v1"}),
            (BODY, {**signed(), "Webhook-Signature": "v1,a"}),
            (BODY, {**signed(), "Webhook-Signature": "v2,AAAA"}),
            (BODY, {**signed(), "Webhook-Timestamp": "soon"}),
            (b"\xff", signed()),
        ],
        ids=["body", "secret", "id", "none", "form", "base64", "version", "time", "text"],
    )
    def test_a_forgery_is_refused(self, body: bytes, headers: dict[str, str]) -> None:
        """What was changed, or signed by somebody else, or is no signature at all."""
        with pytest.raises(WebhookRefused):
            verified(body, headers, [NEW])

    @pytest.mark.parametrize("minutes", [-6, 6])
    def test_a_moment_is_not_for_ever(self, minutes: int) -> None:
        """What was kept to be sent again later, or is from the future, is refused."""
        at = datetime.now(UTC) + timedelta(minutes=minutes)

        with pytest.raises(WebhookRefused, match="timestamp"):
            verified(BODY, signed(at=at), NEW)

    @pytest.mark.parametrize("body", [b"{}", b"nothing", b"[]"])
    def test_what_is_no_event_is_refused(self, body: bytes) -> None:
        """Signed, and still not what the receiver expects."""
        with pytest.raises(WebhookRefused, match="not an event"):
            verified(body, signed(body), NEW)

    @pytest.mark.parametrize("secrets", [[], "", "whsec_", "whsec_a", [NEW, ""]])
    def test_no_secret_is_a_mistake_of_ours(self, secrets: str | list[str]) -> None:
        """It is told as one, and does not let everything through."""
        with pytest.raises(ValueError, match="secret"):
            verified(BODY, signed(), secrets)
