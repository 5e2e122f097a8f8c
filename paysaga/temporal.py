"""The connection to Temporal: converter, keys and address in one place."""

import atexit
import time

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import GrpcCompression

from paysaga.settings import Settings


async def connect(settings: Settings, *, lazy: bool = False) -> Client:
    """Connect to the server that the settings name.

    Args:
        settings: `TEMPORAL_ADDRESS`, `_NAMESPACE`, `_TLS` and `_API_KEY` count.
        lazy: Connect at the first call instead of now, and again whenever the server was away.

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
    )


def exit_cleanly() -> None:
    """Keep the interpreter from crashing at its exit while the SDK's threads end.

    temporalio/sdk-python issue 300: a short pause lets them finish.
    """
    atexit.register(time.sleep, 0.1)
