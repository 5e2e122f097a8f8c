"""Keeps cards that were declined too often away from the gateway: somebody may be testing them."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import stripe
import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio import activity

from activities.stripe_words import as_method
from paysaga.database.declines import Declines
from paysaga.domain.decline_limits import DAY
from paysaga.domain.intent import MethodFacts

# What other workers have seen is known after this long.
_FRESH_FOR: Final = timedelta(seconds=3)
# For so long after a decline of this worker's own the cards are asked for before each attempt.
_ALERT_FOR: Final = timedelta(seconds=3)
# A database that says nothing must not keep a payment waiting.
_DATABASE_SECONDS: Final = 1.0

log: Final = structlog.stdlib.get_logger("gateway")


class CardGuard:
    """Knows the cards that are over the limit: in normal life none, and then it asks nothing.

    Without the database, or the key's permission, it lets pass: a limit must not close the shop.
    """

    def __init__(
        self,
        client: stripe.StripeClient,
        declines: Declines,
        per_day: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Ready to be asked.

        Args:
            client: Where a token's card is looked up.
            declines: Those of all workers.
            per_day: How many a card may have; 0 is any number.
            clock: What time it is.
        """
        self._methods = client.v1.payment_methods
        self._declines = declines
        self._per_day = per_day
        self._clock = clock
        self._cards: frozenset[str] = frozenset()
        self._known_until: datetime | None = None
        self._alert_until: datetime | None = None
        self._is_blind = False
        self._asking = asyncio.Lock()

    async def refused(self, token: str) -> MethodFacts | None:
        """The card behind the token, if it must not be tried any more today.

        Raises:
            stripe.StripeError: The gateway does not say which card it is.
        """
        if not self._per_day or not (cards := await self._over_the_limit()):
            return None
        try:
            facts = as_method(await self._methods.retrieve_async(token))
        except (stripe.InvalidRequestError, stripe.CardError):
            return None  # no such method: what that means is the confirm's to say
        except stripe.PermissionError:
            log.warning("STRIPE_SECRET_KEY may not read payment methods: no card is refused")
            return None
        if facts.kind != "card" or facts.fingerprint not in cards:
            return None
        log.warning("an attempt is refused: too many declines", kind="card")
        _count()
        return facts

    def declined(self) -> None:
        """A card was declined just now: who tests cards comes again at once."""
        if not self._is_blind:
            self._alert_until = self._clock() + _ALERT_FOR

    async def _over_the_limit(self) -> frozenset[str]:
        async with self._asking:
            now = self._clock()
            is_alert = self._alert_until is not None and now < self._alert_until
            if is_alert or self._known_until is None or now >= self._known_until:
                self._cards = await self._read(now)
                self._known_until = now + _FRESH_FOR
            return self._cards

    async def _read(self, now: datetime) -> frozenset[str]:
        try:
            async with asyncio.timeout(_DATABASE_SECONDS):
                cards = await self._declines.cards(now - DAY, self._per_day)
        except (SQLAlchemyError, OSError) as error:
            self._alert_until = None
            if not self._is_blind:
                log.warning("declines cannot be counted", error=type(error).__name__)
            self._is_blind = True
            return frozenset()
        self._is_blind = False
        return cards


def _count() -> None:
    if activity.in_activity():
        activity.metric_meter().create_counter(
            "paysaga_refused_attempts", "attempts not taken since there were too many declines"
        ).add(1, {"kind": "card"})
