"""For whom a request is made, and where they may be sent back."""

from urllib.parse import urlsplit

from api.identity import Caller
from api.refusals import Forbidden, Invalid
from paysaga.settings import Environment, Settings
from paysaga.tokens import Role


def customer_of(caller: Caller, told: str | None) -> str:
    """The customer whom the request is for: the shop names them, they name themselves."""
    if caller.role is Role.SERVICE:
        if told is None:
            raise Invalid("customer_id", "For which customer is it?")
        return told
    if told not in {None, caller.subject}:
        raise Forbidden("A customer acts for themselves only.")
    return caller.subject


def check_address(settings: Settings, caller: Caller, field: str, url: str) -> None:
    """Browsers are sent there: a customer must not choose where others land."""
    address = urlsplit(url)
    if settings.environment is Environment.PRODUCTION and address.scheme != "https":
        raise Invalid(field, "An https address is needed.")
    origin = f"{address.scheme}://{address.netloc}"
    if caller.role is not Role.SERVICE and origin not in settings.cors_origins:
        raise Invalid(field, "A customer's token leads back to the shop's pages only.")
