"""The metrics of worker and API, as Prometheus reads them."""

from collections.abc import Callable

import httpx
import pytest

import api.__main__
import worker.__main__
from paysaga.demo.preflight import free_port
from paysaga.settings import Settings, WrongSettings
from paysaga.temporal import telemetry


@pytest.fixture
def address() -> str:
    return f"127.0.0.1:{free_port()}"


def test_our_counters_are_read_there(address: str) -> None:
    """What is counted in a workflow is found under its own name."""
    runtime = telemetry(Settings(metrics_address=address))
    assert runtime

    runtime.metric_meter.create_counter("paysaga_needs_operator").add(2, {"reason": "run_lost"})

    read = httpx.get(f"http://{address}/metrics").text
    [line] = [line for line in read.splitlines() if line.startswith("paysaga_needs_operator{")]
    assert 'reason="run_lost"' in line
    assert line.endswith(" 2")


def test_without_an_address_nothing_listens() -> None:
    """Metrics are nobody's business unless they are asked for."""
    assert telemetry(Settings()) is None


@pytest.mark.parametrize("main", [worker.__main__.main, api.__main__.main])
def test_address_that_is_taken_stops_the_start(
    address: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    main: Callable[[], int],
) -> None:
    """A second process of this machine is told which variable is to blame."""
    first = telemetry(Settings(metrics_address=address))
    monkeypatch.setenv("METRICS_ADDRESS", address)

    with pytest.raises(WrongSettings, match="METRICS_ADDRESS"):
        telemetry(Settings())
    code = main()

    assert first
    assert 2 == code
    assert "METRICS_ADDRESS" in capsys.readouterr().err
