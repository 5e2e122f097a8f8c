"""The customer's way back from the gateway, through us, to the shop's page."""

from http import HTTPStatus

from fastapi.responses import RedirectResponse

from paysaga.domain.returning import shop_address


def back_to_the_shop(return_url: str, name: str, our_id: str) -> RedirectResponse:
    """Send the browser there."""
    answer = RedirectResponse(shop_address(return_url, name, our_id), HTTPStatus.SEE_OTHER)
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer
