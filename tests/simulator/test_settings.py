import pytest
from pydantic import ValidationError

from paysaga.simulator.settings import FailureScenario, SimulatorSettings


class TestScenarios:
    def test_written_with_commas(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """
        The failure scenarios are a list with commas between them.
        """
        monkeypatch.setenv("PAYMENT_FAILURE_SCENARIOS", "insufficient_funds, network_error")

        settings = SimulatorSettings()

        assert (
            FailureScenario.INSUFFICIENT_FUNDS,
            FailureScenario.NETWORK_ERROR,
        ) == settings.payment_failure_scenarios

    def test_frozen(self) -> None:
        """
        Settings are read once.
        """
        with pytest.raises(ValidationError):
            SimulatorSettings().simulator_port = 1  # type: ignore[misc]
