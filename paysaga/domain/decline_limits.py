"""How many declines are borne. Who tests stolen cards shows by them, not by payments."""

from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from math import ceil
from typing import Final

from paysaga.domain.message import Message

# Declines of customers and cards are counted over a day; those of addresses, which many people may
# share, over an hour.
DAY: Final = timedelta(days=1)

_ONE_HOUSEHOLD: Final = 64  # bits: whoever has an IPv6 address has all of such a network


class DeclineLimits(Message):
    """How many declines there may be before no attempt is taken any more; 0 is any number."""

    per_customer_day: int
    per_card_day: int
    per_address_hour: int


def seconds_until_room(oldest: datetime, now: datetime) -> int:
    """How long until the oldest decline that fills a day's limit no longer counts."""
    return max(1, ceil((oldest + DAY - now).total_seconds()))


def network_of(address: str) -> str:
    """What stands for one customer's connection: an IPv4 address, or an IPv6 network.

    Raises:
        ValueError: It is no address.
    """
    ip = _plain(address)
    if isinstance(ip, IPv4Address):
        return str(ip)
    return str(IPv6Network((int(ip), _ONE_HOUSEHOLD), strict=False))


def is_public(address: str) -> bool:
    """Whether it may be a customer's own. A private one is a proxy's, which all customers share."""
    try:
        return _plain(address).is_global
    except ValueError:
        return False


def _plain(address: str) -> IPv4Address | IPv6Address:
    ip = ip_address(address)
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip
