import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from paysaga.cli import temporal_setup
from paysaga.cli.trouble import Refused
from paysaga.settings import Settings
from workflows.addresses import SEARCH_ATTRIBUTES


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """A server that knows none of our search attributes."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(Path(sys.executable).parent / "temporal"),
        dev_server_log_level="error",
    ) as server:
        yield server.client.service_client.config.target_host


class TestSetup:
    async def test_it_registers_what_is_missing_and_repeats_quietly(
        self, address: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """
        The first time all are registered, the second time none.
        """
        settings = Settings(temporal_address=address)

        await temporal_setup.register(settings)
        await temporal_setup.register(settings)

        first, second = capsys.readouterr().out.splitlines()
        count = len(SEARCH_ATTRIBUTES)
        assert first.startswith(f"{count} search attributes registered, 0 ")
        assert second.startswith(f"0 search attributes registered, {count} ")

    async def test_one_of_another_type_is_refused(
        self, address: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        An attribute of our name and another type cannot be used: it is named.
        """
        from temporalio.common import SearchAttributeKey

        await temporal_setup.register(Settings(temporal_address=address))
        monkeypatch.setattr(
            temporal_setup, "SEARCH_ATTRIBUTES", (SearchAttributeKey.for_int("OrderId"),)
        )

        with pytest.raises(Refused, match="OrderId"):
            await temporal_setup.register(Settings(temporal_address=address))
