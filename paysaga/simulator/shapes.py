"""Parameter shapes that several operations share."""

from paysaga.simulator.forms import Blankable, Metadata, Params
from paysaga.simulator.storage import Body


class Address(Params):
    """A postal address."""

    city: Blankable = None
    country: Blankable = None
    line1: Blankable = None
    line2: Blankable = None
    postal_code: Blankable = None
    state: Blankable = None


class Shipping(Params):
    """Where goods go."""

    address: Address
    name: str
    phone: Blankable = None
    carrier: Blankable = None
    tracking_number: Blankable = None


class BillingDetails(Params):
    """Whom a payment method belongs to."""

    address: Address | None = None
    email: Blankable = None
    name: Blankable = None
    phone: Blankable = None
    tax_id: Blankable = None

    def body(self) -> Body:
        """Write the details the way Stripe answers them."""
        return self.model_dump() | {"address": (self.address or Address()).model_dump()}


def merged(old: dict[str, str], change: Metadata, *, cleared: bool) -> dict[str, str]:
    """Merge metadata: an empty value removes its key, an empty whole removes all."""
    if cleared:
        return {}
    return {key: value for key, value in {**old, **change}.items() if value != ""}


def previous(before: Body, after: Body) -> Body:
    """Tell what an event says of the past: of every changed part, what it was."""
    old: Body = {}
    for name in before | after:
        was, now = before.get(name), after.get(name)
        if isinstance(was, dict) and isinstance(now, dict) and was != now:
            old[name] = previous(was, now)
        elif was != now:
            old[name] = was
    return old


def changed(body: Body, params: Params, *names: str) -> None:
    """Write every given parameter of `names`, and merge the metadata, into the body."""
    for name in names:
        if name in params.model_fields_set:
            value = getattr(params, name)
            body[name] = value.model_dump() if isinstance(value, Params) else value
    if "metadata" in params.model_fields_set:
        change = getattr(params, "metadata", {})
        body["metadata"] = merged(body["metadata"], change, cleared=not change)
