"""Whether there is such a customer, as far as the auth service is to be asked."""

from paysaga.auth import AuthService
from paysaga.settings import Settings
from paysaga.starting.refusals import CustomerMissing
from paysaga.timing import timed


async def check_customer(settings: Settings, auth: AuthService | None, customer_id: str) -> None:
    """Whether the auth service knows them, where it is to be asked.

    Raises:
        CustomerMissing: It does not.
        AuthServiceUnavailable: Nobody can tell.
    """
    if not settings.auth_service_knows_customers or auth is None:
        return
    with timed("auth"):
        user = await auth.user(customer_id)
    if user is None or not user.active:
        raise CustomerMissing
