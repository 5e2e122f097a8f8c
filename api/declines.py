"""Where the customer comes from: declines are counted by their network address, too."""

from typing import Annotated, Final

from fastapi import Depends, Header, Request

from api.identity import Caller, caller
from api.refusals import Invalid
from paysaga.domain.decline_limits import is_public, network_of
from paysaga.tokens import Role

CUSTOMER_ADDRESS: Final = "Paysaga-Customer-Address"


async def _customer_address(
    request: Request,
    who: Annotated[Caller, Depends(caller)],
    told: Annotated[
        str | None,
        Header(
            alias=CUSTOMER_ADDRESS,
            max_length=64,
            description="Of the shop's backend: the IP address that its customer comes from. One"
            " that is not public (a proxy's, or of a range for documentation) is not counted",
            examples=["93.184.216.34"],
        ),
    ] = None,
) -> str | None:
    """Where the customer comes from: the shop's backend says it, a customer's own page shows it."""
    if who.role is not Role.SERVICE:
        peer = request.client.host if request.client else ""
        return network_of(peer) if is_public(peer) else None
    try:
        network = network_of(told) if told else None
    except ValueError:
        raise Invalid(CUSTOMER_ADDRESS, "An IP address is needed.") from None
    return network if told and is_public(told) else None


CustomerAddress = Annotated[str | None, Depends(_customer_address)]
