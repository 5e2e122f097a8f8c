"""No attempt is taken after too many declines: of a customer, a card, or a network address."""

import hashlib
import hmac
from collections import OrderedDict
from datetime import UTC, datetime
from math import ceil
from typing import Final

import structlog
from limits import RateLimitItemPerHour
from temporalio.common import MetricMeter

from paysaga.database.declines import Declines
from paysaga.domain.decline_limits import DAY, DeclineLimits, seconds_until_room
from paysaga.starting.refusals import TooManyDeclines
from paysaga.windows import Windows

# Declines whose repeated answers are known without counting them; the oldest are forgotten.
_REMEMBERED: Final = 10_000
_ABOUT: Final = "declines"

log: Final = structlog.stdlib.get_logger("declines")


class DeclineGuard:
    """Counts declines. Customers and cards are counted in the database, addresses in windows.

    No address is kept or logged: what is counted is a hash that nobody can make without our secret.
    """

    def __init__(
        self,
        windows: Windows,
        declines: Declines,
        limits: DeclineLimits,
        secret: str,
        meter: MetricMeter = MetricMeter.noop,
    ) -> None:
        self._windows = windows
        self._declines = declines
        self._limits = limits
        self._hour = RateLimitItemPerHour(limits.per_address_hour or 1)
        self._secret = secret.encode()
        self._refused = meter.create_counter(
            "paysaga_refused_attempts", "attempts not taken since there were too many declines"
        )
        self._counted: OrderedDict[tuple[str, int], None] = OrderedDict()

    async def check(self, customer_id: str, token: str | None, address: str | None) -> None:
        """Whether an attempt may be made; on the gateway's page there is no `token` yet.

        Raises:
            TooManyDeclines: There were too many; it says when to come again, and not why.
        """
        now = datetime.now(UTC)
        limits, since = self._limits, now - DAY
        if address and limits.per_address_hour and not await self._has_room(address):
            left = await self._windows.seconds_until_room(self._hour, _ABOUT, self._hash(address))
            raise self._refusal("address", max(1, ceil(left)))
        if limits.per_customer_day and (
            oldest := await self._declines.of_customer(customer_id, since, limits.per_customer_day)
        ):
            raise self._refusal("customer", seconds_until_room(oldest, now))
        if (
            token
            and limits.per_card_day
            and (oldest := await self._declines.of_token(token, since, limits.per_card_day))
        ):
            raise self._refusal("card", seconds_until_room(oldest, now))

    async def declined(self, our_id: str, number: int, address: str | None) -> None:
        """This attempt, to pay or to save a method, is answered as declined: it counts once."""
        attempt = (our_id, number)
        if not address or not self._limits.per_address_hour or attempt in self._counted:
            return
        self._counted[attempt] = None
        if len(self._counted) > _REMEMBERED:
            self._counted.popitem(last=False)
        await self._windows.hit(self._hour, _ABOUT, self._hash(address))

    async def _has_room(self, address: str) -> bool:
        return await self._windows.has_room(self._hour, _ABOUT, self._hash(address))

    def _hash(self, address: str) -> str:
        return hmac.new(self._secret, address.encode(), hashlib.sha256).hexdigest()

    def _refusal(self, kind: str, retry_after: int) -> TooManyDeclines:
        log.warning("an attempt is refused: too many declines", kind=kind)
        self._refused.add(1, {"kind": kind})
        return TooManyDeclines(retry_after=retry_after)
