"""How a charge can be declined, and the 402 that says so (docs.stripe.com/declines/codes)."""

from dataclasses import dataclass

from paysaga.simulator.errors import ApiError
from paysaga.simulator.storage import Body


@dataclass(frozen=True, slots=True)
class Decline:
    """How a charge fails: the error's code, its decline code and the advice that goes with it."""

    code: str
    decline_code: str | None
    message: str
    advice: str | None = None


_DECLINED = "Your card was declined."

DECLINES = {
    decline.decline_code or decline.code: decline
    for decline in (
        Decline("card_declined", "generic_decline", _DECLINED, "try_again_later"),
        Decline(
            "card_declined",
            "insufficient_funds",
            "Your card has insufficient funds.",
            "try_again_later",
        ),
        Decline("card_declined", "lost_card", _DECLINED, "do_not_try_again"),
        Decline("card_declined", "stolen_card", _DECLINED, "do_not_try_again"),
        Decline("card_declined", "fraudulent", _DECLINED, "do_not_try_again"),
        Decline(
            "card_declined",
            "card_velocity_exceeded",
            "Your card was declined for making repeated attempts too frequently or exceeding its"
            " amount limit.",
            "try_again_later",
        ),
        Decline("card_declined", "invalid_account", _DECLINED, "do_not_try_again"),
        Decline(
            "authentication_required",
            "authentication_required",
            "Your card was declined. This transaction requires authentication.",
        ),
        Decline("expired_card", None, "Your card has expired.", "confirm_card_data"),
        Decline(
            "incorrect_cvc", None, "Your card's security code is incorrect.", "confirm_card_data"
        ),
        Decline(
            "processing_error",
            None,
            "An error occurred while processing your card. Try again in a little bit.",
            "try_again_later",
        ),
    )
}
AUTHENTICATION_REQUIRED = DECLINES["authentication_required"]


def decline_named(name: str) -> Decline:
    """Find the decline of that (decline) code; an unlisted one is a plain `card_declined`."""
    return DECLINES.get(name) or Decline("card_declined", name, _DECLINED)


def declined_error(
    decline: Decline,
    *,
    charge: str | None = None,
    method: Body | None = None,
    param: str | None = None,
) -> ApiError:
    """402: the bank (or Stripe's own Radar) said no. What happened so far stands."""
    return ApiError(
        402,
        "card_error",
        decline.message,
        code=decline.code,
        param=param,
        details={
            "advice_code": decline.advice,
            "charge": charge,
            "decline_code": decline.decline_code,
            "payment_method": method,
        },
        stands=True,
    )
