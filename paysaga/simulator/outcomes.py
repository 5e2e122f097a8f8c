"""What becomes of a try: the card table decides, and dice only for cards outside it."""

from paysaga.simulator.calls import Call
from paysaga.simulator.cards import Authentication, card_of_number, is_named
from paysaga.simulator.declines import DECLINES, Decline, decline_named
from paysaga.simulator.settings import FailureScenario
from paysaga.simulator.storage import Record

_RANDOM_DECLINES = {
    FailureScenario.INSUFFICIENT_FUNDS: "insufficient_funds",
    FailureScenario.CARD_DECLINED: "generic_decline",
    FailureScenario.INVALID_METHOD: "invalid_account",
}


class ConnectionLost(Exception):
    """The connection breaks before anything happened."""


def decline_of(call: Call, method: Record) -> Decline | None:
    """Decide whether a charge on the method is declined; a lost connection is raised."""
    if call.forced_decline:
        return decline_named(call.forced_decline)
    number = method.private.get("number")
    if not number:
        return None
    if is_named(number):
        return card_of_number(number).decline
    if call.chance.random() < call.knobs.payment_success_rate:
        return None
    scenario = call.chance.choice(call.knobs.payment_failure_scenarios)
    if scenario is FailureScenario.NETWORK_ERROR:
        raise ConnectionLost
    return DECLINES[_RANDOM_DECLINES[scenario]]


def refusal_of(call: Call, method: Record) -> Decline | None:
    """Decide whether the bank refuses to have the method saved; some cards refuse only charges."""
    number = method.private.get("number")
    if not call.forced_decline and number and is_named(number) and card_of_number(number).attaches:
        return None
    return decline_of(call, method)


def is_blocked(method: Record) -> bool:
    """Tell whether Radar stops the card before the bank is asked."""
    number = method.private.get("number")
    return number is not None and "radarBlock" in card_of_number(number).names


def authentication_of(method: Record) -> Authentication:
    """Tell when the method asks for the customer; PayPal's buyer approves unless it was set up."""
    number = method.private.get("number")
    if number:
        return card_of_number(number).authentication
    is_paypal = method.body["type"] == "paypal"
    return Authentication.UNLESS_SET_UP if is_paypal else Authentication.NEVER


def must_act(method: Record, *, off_session: bool, asked: bool) -> bool:
    """Tell whether the customer has to authenticate this try.

    Args:
        method: The payment method.
        off_session: Nobody is there to authenticate.
        asked: The caller requested 3-D Secure.
    """
    rule = authentication_of(method)
    if rule is Authentication.UNLESS_SET_UP:
        return not (off_session and method.private.get("set_up"))
    if rule is Authentication.ON_SESSION:
        return not off_session
    if rule is Authentication.IF_ASKED:
        return asked
    return rule is Authentication.ALWAYS
