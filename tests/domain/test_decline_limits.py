"""How many declines are borne, of whom, and which card an attempt was made with."""

from datetime import timedelta

import pytest

from paysaga.domain import transitions as rules
from paysaga.domain.decline_limits import DAY, is_public, network_of, seconds_until_room
from paysaga.domain.declines import decline_for
from paysaga.domain.intent import CaptureMethod, Intent, IntentStatus, MethodFacts
from paysaga.domain.payment import Attempt, AttemptStatus
from paysaga.domain.transitions import attempt_after
from tests.fakes import NOON, PRICE, a_payment, begun_by

HOUR = timedelta(hours=1)
CARD = MethodFacts(kind="card", brand="visa", last4="4242", fingerprint="card-1")
OTHER = MethodFacts(kind="card", brand="visa", last4="0005", fingerprint="card-2")
PAYPAL = MethodFacts(kind="paypal")
DECLINED = decline_for("incorrect_cvc")


class TestRoom:
    @pytest.mark.parametrize(
        ("ago", "seconds"),
        [(timedelta(), 86_400), (timedelta(hours=23), 3600), (DAY, 1), (2 * DAY, 1)],
    )
    def test_it_comes_when_the_oldest_is_a_day_old(self, ago: timedelta, seconds: int) -> None:
        """Whoever waits that long may try again; nobody is told to come back at once."""
        assert seconds == seconds_until_room(NOON - ago, NOON)


class TestAddress:
    @pytest.mark.parametrize(
        ("address", "network"),
        [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:DB8:1:2::9", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ],
    )
    def test_what_one_customer_has_counts_as_one(self, address: str, network: str) -> None:
        """Each IPv4 address for itself, however it is written; of IPv6 a household's network."""
        assert network == network_of(address)

    @pytest.mark.parametrize("address", ["", "shop.example", "203.0.113", "203.0.113.7:80", "1"])
    def test_nothing_else_is_an_address(self, address: str) -> None:
        """It is refused, not guessed at."""
        with pytest.raises(ValueError, match="address"):
            network_of(address)

    @pytest.mark.parametrize(
        ("address", "may_be"),
        [
            ("93.184.216.34", True),
            ("2606:2800:220:1::1", True),
            ("127.0.0.1", False),
            ("10.0.0.5", False),
            ("::ffff:10.0.0.5", False),
            ("fe80::1", False),
            ("testclient", False),
        ],
    )
    def test_a_private_one_is_no_customers(self, address: str, *, may_be: bool) -> None:
        """Behind a proxy that nobody told us of, all customers would be one."""
        assert may_be == is_public(address)


def ended(*intents: Intent, capture_method: CaptureMethod = CaptureMethod.AUTOMATIC) -> Attempt:
    """The last attempt, after the gateway said these things, one for each."""
    payment = a_payment(capture_method=capture_method)
    state, attempt = rules.opened(payment, NOON).state, None
    for intent in intents:
        begun, attempt = begun_by(rules.attempted(state, "pm_1", NOON, actor=payment.actor))
        changes = rules.observed(begun.state, intent, attempt, NOON, HOUR)
        attempt, state = attempt_after(changes, attempt), changes[-1].state
    assert attempt is not None
    return attempt


def an_intent(status: IntentStatus, method: MethodFacts | None) -> Intent:
    won, held = status is IntentStatus.SUCCEEDED, status is IntentStatus.REQUIRES_CAPTURE
    lost = status is IntentStatus.REQUIRES_PAYMENT_METHOD
    return Intent(
        id="pi_1",
        status=status,
        money=PRICE,
        received=PRICE.minor if won else 0,
        capturable=PRICE.minor if held else 0,
        decline=DECLINED if lost else None,
        method=method,
    )


class TestCard:
    def test_a_declined_attempt_knows_its_card(self) -> None:
        """By it the declines of one card are counted, whoever showed it."""
        lost = ended(an_intent(IntentStatus.REQUIRES_PAYMENT_METHOD, CARD))

        assert (AttemptStatus.DECLINED, "card-1") == (lost.status, lost.card_fingerprint)

    def test_a_good_one_too(self) -> None:
        """Its token leads to the card when it comes again."""
        won = ended(an_intent(IntentStatus.SUCCEEDED, CARD))
        held = ended(
            an_intent(IntentStatus.REQUIRES_CAPTURE, CARD), capture_method=CaptureMethod.MANUAL
        )

        assert ["card-1", "card-1"] == [won.card_fingerprint, held.card_fingerprint]

    @pytest.mark.parametrize("method", [PAYPAL, None])
    def test_what_is_no_card_has_none(self, method: MethodFacts | None) -> None:
        """An attempt never counts against the card of the one before it."""
        lost = an_intent(IntentStatus.REQUIRES_PAYMENT_METHOD, CARD)
        then = an_intent(IntentStatus.REQUIRES_PAYMENT_METHOD, method)

        assert ended(lost, then).card_fingerprint is None

    def test_another_card_is_another(self) -> None:
        """Each attempt has its own."""
        lost = an_intent(IntentStatus.REQUIRES_PAYMENT_METHOD, CARD)
        then = an_intent(IntentStatus.REQUIRES_PAYMENT_METHOD, OTHER)

        assert "card-2" == ended(lost, then).card_fingerprint
