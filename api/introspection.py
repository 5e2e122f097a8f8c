"""Tokens that only the auth service can read: it is asked, and its yes is good for a moment."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

from api.refusals import TokensUnchecked
from paysaga.auth import AuthService, AuthServiceUnavailable

# A token that is revoked is good for so long after it was last asked about.
GOOD_FOR_SECONDS: Final = 15.0
_REMEMBERED: Final = 10_000
# Anybody can send anything: no more questions than these are asked at once.
_AT_ONCE: Final = 50

log: Final = structlog.stdlib.get_logger("api")

Claims = Mapping[str, Any]


class Introspection:
    """Asks about each token once, for all who come with it. A no is not kept."""

    def __init__(self, service: AuthService, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._clock = clock
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._good: OrderedDict[bytes, tuple[float, Claims]] = OrderedDict()

    async def claims(self, token: str) -> Claims | None:
        """What the token says; `None` if it is not good.

        Raises:
            TokensUnchecked: The auth service does not answer.
        """
        name = hashlib.sha256(token.encode()).digest()
        until, claims = self._good.get(name, (0.0, None))
        if claims is not None and self._clock() < until:
            return claims
        try:
            async with self._room:
                claims = await self._service.claims(token)
        except AuthServiceUnavailable as error:
            log.warning("the auth service does not answer", error=str(error))
            raise TokensUnchecked from error
        self._good.pop(name, None)
        if claims is not None:
            self._good[name] = self._clock() + GOOD_FOR_SECONDS, claims
            if len(self._good) > _REMEMBERED:
                self._good.popitem(last=False)
        return claims
