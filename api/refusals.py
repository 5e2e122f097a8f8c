"""Everything else for which a request is not carried out. `api/problems.py` says how it is told."""

from collections.abc import Sequence

from api.method_views import SavedMethodView
from api.views import PaymentView, View


class FieldError(View):
    """What is wrong with one field. The value is not repeated."""

    field: str
    message: str


class Refusal(Exception):
    """A request that is not carried out; its line in `PROBLEMS` says how that is told."""

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        payment: PaymentView | None = None,
        payment_id: str | None = None,
        method: SavedMethodView | None = None,
        method_id: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.payment = payment
        self.payment_id = payment_id
        self.method = method
        self.method_id = method_id
        self.retry_after = retry_after


class NotSignedIn(Refusal):
    """There is no token."""


class BadToken(Refusal):
    """The token is not good."""


class BadSignature(Refusal):
    """Whoever sent this webhook does not know our secret, or sent it at another time."""


class Forbidden(Refusal):
    """The role may not."""


class Missing(Refusal):
    """There is none, or not for this caller: the same answer for both."""


class Invalid(Refusal):
    """A field is not as it must be."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(errors=[FieldError(field=field, message=message)])


class CardNumber(Refusal):
    """The input holds a card number."""


class KeyMissing(Refusal):
    """The Idempotency-Key is not there."""


class KeyReused(Refusal):
    """The Idempotency-Key belongs to another request."""


class TooLarge(Refusal):
    """The body is longer than we read."""


class Declined(Refusal):
    """The attempt was declined."""


class MethodDeclined(Refusal):
    """The payment method could not be saved."""


class MethodSaved(Refusal):
    """The customer has saved this payment method before."""


class MethodNotThere(Refusal):
    """The payment method is not active, so nothing can be set of it."""


class MethodNotRemovable(Refusal):
    """The payment method is not active, so there is nothing to remove."""


class MethodNotRemoved(Refusal):
    """The payment method could not be removed, and nobody is at it any more."""


class OrderRefused(Refusal):
    """The shop does not take the order."""


class GatewayRefused(Refusal):
    """The gateway does not take the payment."""


class PaymentCanceled(Refusal):
    """Somebody canceled the payment meanwhile."""


class PaymentExpired(Refusal):
    """The hold ended before there was an outcome."""


class NotRetryable(Refusal):
    """The payment takes no further attempt now."""


class AlreadySucceeded(Refusal):
    """The money has moved: there is nothing to cancel."""


class NotCapturable(Refusal):
    """Nothing is held that could be captured now."""


class CaptureRefused(Refusal):
    """The gateway did not take what was held."""


class NotCancelable(Refusal):
    """The payment cannot be canceled as it stands."""


class NotRepairable(Refusal):
    """The repair makes no sense as the payment stands, or the gateway contradicts it."""


class NotApprovable(Refusal):
    """There is no proposal, or not one that this person may agree with."""


class TokensUnchecked(Refusal):
    """The keys that tokens are checked with cannot be had."""


class SinkConfigured(Refusal):
    """The settings make this sink: while events go there it is not removed."""
