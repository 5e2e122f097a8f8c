import pytest

from paysaga.demo import programs
from paysaga.demo.settings import DemoSettings


class TestEnvironment:
    def test_played_purchases_have_the_attempts_they_need(
        self, demo_settings: DemoSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        The script counts on three attempts, whatever the caller's shell says.
        """
        monkeypatch.setenv("PAYMENT_ATTEMPTS", "1")

        program = programs.api(demo_settings)

        assert "3" == program.environment["PAYMENT_ATTEMPTS"]

    def test_delays_of_the_caller_stay_in_force(
        self, demo_settings: DemoSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        How slow the gateway is may be set beside `make demo`.
        """
        monkeypatch.setenv("PAYMENT_PROCESSING_DELAY_MAX", "77")

        program = programs.simulator(demo_settings)

        assert "77" == program.environment["PAYMENT_PROCESSING_DELAY_MAX"]
