"""Until when money is held for us."""

from datetime import timedelta

import pytest

from paysaga.domain import transitions as rules
from paysaga.domain.captures import HELD_BY_PAYPAL, HELD_FOR, MARGIN
from paysaga.domain.intent import CaptureMethod, Intent, IntentStatus, MethodFacts
from tests.fakes import NOON, PRICE, a_payment, begun_by

HOUR = timedelta(hours=1)
CARD = MethodFacts(kind="card", brand="visa", last4="4242", funding="credit")
PAYPAL = MethodFacts(kind="paypal")


def capture_until(**facts: object) -> timedelta:
    """How long after noon a hold that is seen then is believed to last."""
    payment = a_payment(capture_method=CaptureMethod.MANUAL)
    opened = rules.opened(payment, NOON).state
    change, attempt = begun_by(rules.attempted(opened, payment.method, NOON, actor=payment.actor))
    intent = Intent(
        id="pi_1", status=IntentStatus.REQUIRES_CAPTURE, money=PRICE, capturable=PRICE.minor
    ).model_copy(update=facts)
    seen = rules.observed(change.state, intent, attempt, NOON, HOUR)
    until = seen[-1].state.capture_until
    assert until is not None
    return until - NOON


@pytest.mark.parametrize(
    ("method", "lasts"), [(CARD, HELD_FOR), (PAYPAL, HELD_BY_PAYPAL), (None, HELD_FOR)]
)
def test_the_kind_decides_where_the_gateway_does_not(
    method: MethodFacts | None, lasts: timedelta
) -> None:
    """A week for a card, ten days at PayPal; what is not known lasts no longer than a card's."""
    assert lasts - MARGIN == capture_until(method=method)


@pytest.mark.parametrize("method", [CARD, PAYPAL])
def test_the_gateways_own_word_counts(method: MethodFacts) -> None:
    """Whatever the kind: a shorter hold is not believed longer."""
    told = NOON + timedelta(days=3)

    assert timedelta(days=3) - MARGIN == capture_until(method=method, capture_before=told)


@pytest.mark.parametrize(("method", "lasts"), [(CARD, HELD_FOR), (PAYPAL, HELD_BY_PAYPAL)])
def test_a_hold_counts_from_its_charge(method: MethodFacts, lasts: timedelta) -> None:
    """One whose answer was lost for a day has a day less."""
    charged = NOON - timedelta(days=1)

    assert lasts - MARGIN - timedelta(days=1) == capture_until(method=method, charged_at=charged)
