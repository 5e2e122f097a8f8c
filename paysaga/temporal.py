"""The connection to Temporal: converter, keys and address in one place."""

import atexit
import time

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.service import GrpcCompression

from paysaga.settings import Settings, WrongSettings


def telemetry(settings: Settings) -> Runtime | None:
    """The SDK's own metrics and ours, for Prometheus at `METRICS_ADDRESS`; `None` without one.

    Raises:
        WrongSettings: The address is taken, or not of this machine.
    """
    if settings.metrics_address is None:
        return None
    metrics = PrometheusConfig(bind_address=settings.metrics_address)
    try:
        return Runtime(telemetry=TelemetryConfig(metrics=metrics))
    except ValueError as error:
        raise WrongSettings(f"METRICS_ADDRESS cannot be used: {error}") from error


async def connect(
    settings: Settings, *, lazy: bool = False, runtime: Runtime | None = None
) -> Client:
    """Connect to the server that the settings name.

    Args:
        settings: `TEMPORAL_ADDRESS`, `_NAMESPACE`, `_TLS` and `_API_KEY` count.
        lazy: Connect at the first call instead of now, and again whenever the server was away.
        runtime: Where the metrics go; the process's own without one.

    Raises:
        RuntimeError: The server does not answer (never when lazy).
    """
    key = settings.temporal_api_key
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        tls=settings.temporal_tls or key is not None,
        api_key=key.get_secret_value() if key else None,
        data_converter=pydantic_data_converter,
        grpc_compression=GrpcCompression.NONE,
        lazy=lazy,
        runtime=runtime,
    )


def exit_cleanly() -> None:
    """Keep the interpreter from crashing at its exit while the SDK's threads end.

    temporalio/sdk-python issue 300: a short pause lets them finish.
    """
    atexit.register(time.sleep, 0.1)
