"""The sinks that the settings ask for: made, kept, tried again, and never in a payment's way."""

import pytest
from pydantic import SecretStr

from paysaga.database.engine import Sessions, create_engine, sessions
from paysaga.database.outbox import Outbox
from paysaga.database.sink_changes import SinkChanges
from paysaga.database.sinks import Sinks
from paysaga.domain.sink import Sink, SinkReason, SinkStatus
from paysaga.settings import Settings
from tests.sinks import NOON, pay, until
from tests.worker.orders import SETTINGS
from worker.delivering import keep_configured_sinks

AMQP = SecretStr("amqp://guest:guest@127.0.0.1:5672/")


def with_broker(exchange: str = "paysaga.events") -> Settings:
    return SETTINGS.model_copy(update={"amqp_url": AMQP, "amqp_exchange": exchange})


async def kept(opened: Sessions, settings: Settings) -> Sink:
    await keep_configured_sinks(opened, settings)
    found = await Sinks(opened).sink("snk_amqp")
    assert found is not None
    return found


class TestConfigured:
    async def test_it_begins_with_what_comes_from_then_on(self, opened: Sessions) -> None:
        """Whoever sets the variable later is not flooded with what was; a restart moves nothing."""
        await pay(opened)
        await until(lambda: Outbox(opened).after(None, 9), lambda all_: len(all_) == 3)

        first = await kept(opened, with_broker())
        await pay(opened)
        again = await kept(opened, with_broker())

        assert [] == [
            event
            for event in await Outbox(opened).after(None, 3)
            if event.place.position > first.place.position
        ]
        assert first == again

    async def test_without_its_variable_there_is_none(self, opened: Sessions) -> None:
        """Nothing is kept for somebody who does not exist."""
        await keep_configured_sinks(opened, SETTINGS)

        assert [] == await Sinks(opened).all()

    async def test_another_exchange(self, opened: Sessions) -> None:
        """The settings say where; what waited goes there."""
        first = await kept(opened, with_broker())

        moved = await kept(opened, with_broker("elsewhere"))

        assert ("elsewhere", first.place) == (moved.exchange, moved.place)

    async def test_one_that_was_given_up_is_tried_again(self, opened: Sessions) -> None:
        """A worker without the variable could not serve it; one that somebody paused stays so."""
        await kept(opened, with_broker())
        given_up = {"status": SinkStatus.PAUSED, "reason": SinkReason.AWAY_TOO_LONG}
        await SinkChanges(opened).change("snk_amqp", given_up, NOON)
        resumed = await kept(opened, with_broker())
        paused = {"status": SinkStatus.PAUSED, "reason": SinkReason.REQUESTED}
        await SinkChanges(opened).change("snk_amqp", paused, NOON)

        still = await kept(opened, with_broker())

        assert [SinkStatus.ACTIVE, SinkStatus.PAUSED] == [resumed.status, still.status]

    async def test_one_that_was_removed_begins_again(self, opened: Sessions) -> None:
        """Removed while nobody served it; whoever serves it again means what comes from now on."""
        first = await kept(opened, with_broker())
        await SinkChanges(opened).remove("snk_amqp", NOON)
        await pay(opened)
        await until(lambda: Outbox(opened).after(None, 9), lambda all_: len(all_) == 3)

        again = await kept(opened, with_broker())

        assert (SinkStatus.ACTIVE, SinkReason.CREATED) == (again.status, again.reason)
        assert [] == await Outbox(opened).after(again.place, 9)
        assert again.turn > first.turn

    async def test_a_worker_starts_without_it(self, url: str) -> None:
        """Trouble with sinks is no trouble of payments."""
        engine = create_engine(url)  # whose tables nobody has made
        await keep_configured_sinks(sessions(engine), with_broker())
        await engine.dispose()


@pytest.fixture
def url(tmp_path: object) -> str:
    return f"sqlite:///{tmp_path}/empty.db"
