"""The shop's own page for a payment or a payment method."""

import re
from urllib.parse import urlsplit, urlunsplit


def shop_address(return_url: str, name: str, our_id: str) -> str:
    """The shop's page, which hears our id under this name and nothing else."""
    url, ours = urlsplit(return_url), re.compile(rf"{name}(=|$)")
    told = [part for part in url.query.split("&") if part and not ours.match(part)]
    return urlunsplit(url._replace(query="&".join([*told, f"{name}={our_id}"])))
