import pytest
from limits import RateLimitItem

from activities.budget import Budget
from activities.errors import NotAsked
from paysaga.settings import IN_MEMORY
from paysaga.windows import Windows

API = "https://api.stripe.com/v1"


class SlowClock(Windows):
    """Windows in which a second passes only when somebody sleeps."""

    def __init__(self, *, ends: bool = True) -> None:
        super().__init__(IN_MEMORY)
        self.spent: dict[str, int] = {}
        self.slept: list[float] = []
        self._ends = ends

    async def hit(self, limit: RateLimitItem, *about: str) -> bool:
        key = limit.key_for(*about)
        self.spent[key] = self.spent.get(key, 0) + 1
        return self.spent[key] <= limit.amount

    async def seconds_until_room(self, _limit: RateLimitItem, *_about: str) -> float:
        return 1.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self._ends:
            self.spent.clear()


def budget(windows: SlowClock, together: int = 100, each: int = 100) -> Budget:
    return Budget(windows, together=together, each=each, sleep=windows.sleep)


async def sleeps(spending: Budget, windows: SlowClock, *requests: tuple[str, str]) -> list[int]:
    """How often there was a wait before each of these requests."""
    counted = []
    for method, path in requests:
        before = len(windows.slept)
        await spending.spend(method, f"{API}{path}")
        counted.append(len(windows.slept) - before)
    return counted


class TestBudget:
    async def test_what_is_too_much_waits(self) -> None:
        """Three in a second: the fourth waits for the next, and none is refused."""
        windows = SlowClock()

        waited = await sleeps(budget(windows, each=3), windows, *[("post", "/refunds")] * 4)

        assert [0, 0, 0, 1] == waited

    async def test_one_kind_is_one_whatever_it_is_about(self) -> None:
        """Ids do not tell requests apart; the method and the step do."""
        windows = SlowClock()

        waited = await sleeps(
            budget(windows, each=1),
            windows,
            ("post", "/payment_intents"),
            ("get", "/payment_intents/pi_1"),
            ("post", "/payment_intents/pi_1/confirm"),
            ("post", "/payment_intents/pi_1/cancel"),
            ("get", "/events?limit=100"),
            ("post", "/payment_intents/pi_2/confirm"),
        )

        assert [0, 0, 0, 0, 0, 1] == waited

    async def test_all_together_have_a_budget(self) -> None:
        """Many kinds do not add up to more than the account may ask."""
        windows = SlowClock()

        waited = await sleeps(
            budget(windows, together=2),
            windows,
            ("get", "/events"),
            ("get", "/refunds"),
            ("get", "/charges"),
        )

        assert [0, 0, 1] == waited

    async def test_who_waits_too_long_comes_again(self) -> None:
        """An activity does not sleep its own time away: nothing was sent, and it makes room."""
        windows = SlowClock(ends=False)
        spending = budget(windows, each=1)
        await spending.spend("post", f"{API}/refunds")

        with pytest.raises(NotAsked):
            await spending.spend("post", f"{API}/refunds")

        assert 8 <= sum(windows.slept) <= 10
