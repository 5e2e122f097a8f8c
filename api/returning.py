"""The customer's way back from the gateway, through us, to the shop's page."""

import re
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

from fastapi.responses import RedirectResponse


def shop_address(return_url: str, name: str, our_id: str) -> str:
    """The shop's page, which hears our id under this name and nothing else."""
    url, ours = urlsplit(return_url), re.compile(rf"{name}(=|$)")
    told = [part for part in url.query.split("&") if part and not ours.match(part)]
    return urlunsplit(url._replace(query="&".join([*told, f"{name}={our_id}"])))


def back_to_the_shop(return_url: str, name: str, our_id: str) -> RedirectResponse:
    """Send the browser there."""
    answer = RedirectResponse(shop_address(return_url, name, our_id), HTTPStatus.SEE_OTHER)
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer
