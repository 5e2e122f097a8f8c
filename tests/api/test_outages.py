import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError
from structlog.testing import capture_logs
from temporalio.testing import WorkflowEnvironment

from paysaga.database.breakers import GATEWAY, Breakers
from paysaga.database.engine import create_engine, reading, sessions
from paysaga.database.reads import Reads
from paysaga.demo.preflight import free_port
from paysaga.domain.breaker import Breaker
from paysaga.domain.payment import PaymentState
from paysaga.settings import Settings
from tests.api.world import Api, World, an_order, serving
from tests.database.databases import Databases

NOWHERE = {
    "database": {"database_url": "sqlite:////nowhere/paysaga.db"},
    "temporal": {"temporal_address": "127.0.0.1:9"},
}


class DriverError(Exception):
    """What a driver raises; SQLAlchemy's own error holds it as `orig`."""

    def __init__(self, sqlstate: str | None = None) -> None:
        super().__init__("the driver's words")
        self.sqlstate = sqlstate


class FailingReads(Reads):
    """Its database answers every question with this error."""

    def __init__(self, reads: Reads, error: Exception) -> None:
        super().__init__(reads._sessions)
        self._error = error

    async def payment(self, payment_id: str) -> PaymentState | None:
        raise self._error


class AskingReads(Reads):
    """Asks its database this, whatever it was to ask."""

    def __init__(self, reads: Reads, question: str) -> None:
        super().__init__(reads._sessions)
        self._question = question

    async def payment(self, payment_id: str) -> PaymentState | None:
        async with reading(self._sessions) as session:
            await session.execute(text(self._question))
        return None


def lost_connection() -> DBAPIError:
    """What SQLAlchemy makes of a connection that ends in the middle of a question."""
    return DBAPIError("SELECT 1", {}, DriverError(), connection_invalidated=True)


def refused_value() -> InterfaceError:
    """What SQLAlchemy makes of a value that asyncpg cannot send."""
    driver = DriverError()
    driver.__cause__ = ValueError("invalid input for query argument $1")
    return InterfaceError("SELECT 1", {}, driver)


async def told_of(world: World, reads: Reads) -> tuple[int, str, str | None]:
    async with serving(world.settings) as api:
        api.app.state.connections = replace(api.app.state.connections, reads=reads)
        with capture_logs():
            answer = await api.shop.get("/payments/pay_" + "a" * 26)
    return answer.status_code, answer.json()["code"], answer.headers.get("Retry-After")


@pytest.fixture
async def postgres(databases: Databases) -> AsyncIterator[Reads]:
    engine = create_engine(await databases.empty("postgresql"))
    yield Reads(sessions(engine))
    await engine.dispose()


def without(world: World, name: str) -> Settings:
    return world.settings.model_copy(update=NOWHERE[name])


async def readiness(api: Api) -> tuple[int, dict[str, bool]]:
    answer = await api.http.get("http://api.example/health/ready")
    dependencies = answer.json()["dependencies"]
    return answer.status_code, {name: found["up"] for name, found in dependencies.items()}


class TestHealth:
    async def test_the_process_lives_whatever_else_is_down(self, world: World) -> None:
        """A restart would help nobody while others are down."""
        async with serving(without(world, "database")) as api:
            answer = await api.http.get("http://api.example/health")

        assert (200, {"status": "alive"}) == (answer.status_code, answer.json())

    async def test_ready_names_each_dependency(self, ordered: Api) -> None:
        """All is up, and each is named."""
        expected = {"database": True, "temporal": True, "gateway": True, "order_service": True}

        assert (200, expected) == await readiness(ordered)

    @pytest.mark.parametrize("name", NOWHERE)
    async def test_without_a_needed_one_it_is_503(self, world: World, name: str) -> None:
        """Whoever asks hears which one is down."""
        async with serving(without(world, name)) as api:
            status, dependencies = await readiness(api)

        assert 503 == status
        # How the gateway does is written in the database.
        expected = {"database": True, "temporal": True, "gateway": name != "database"}
        assert expected | {name: False} == dependencies

    async def test_without_the_order_service_it_is_ready(self, ordered: Api, world: World) -> None:
        """Payments under way go on without it."""
        world.shop.is_down = True

        status, dependencies = await readiness(ordered)

        world.shop.is_down = False
        assert (200, False) == (status, dependencies["order_service"])

    async def test_an_open_breaker_is_told(self, api: Api, world: World) -> None:
        """The gateway does not answer the workers: payments are taken all the same."""
        breakers = Breakers(world.records._sessions)
        opened = Breaker(version=1, failures=5, opened_at=datetime.now(UTC))
        await breakers.move(GATEWAY, opened)

        told = await readiness(api)

        await breakers.move(GATEWAY, opened.answered())
        assert (200, {"database": True, "temporal": True, "gateway": False}) == told


class TestTemporalDown:
    async def test_a_start_is_503_stores_nothing_and_can_be_repeated(
        self, api: Api, world: World
    ) -> None:
        """The client is told when to come again, and its repeat is a first request."""
        order = an_order()
        async with serving(without(world, "temporal")) as lonely:
            down = await lonely.shop.post("/payments", order, key="lonely")
        listed = await api.shop.get("/payments", order_id=order["order_id"])

        repeat = await api.shop.post("/payments", order, key="lonely")

        assert (503, "temporal_unavailable") == (down.status_code, down.json()["code"])
        assert 0 < int(down.headers["Retry-After"])
        assert [] == listed.json()["items"]
        assert 201 == repeat.status_code

    async def test_reads_go_on(self, api: Api, world: World) -> None:
        """What stands in the database can be told, and repeats are answered."""
        order = an_order(payment_method_id="pm_requires_action")
        payment = (await api.shop.post("/payments", order, key="read-on")).json()
        path = f"/payments/{payment['id']}"
        async with serving(without(world, "temporal")) as lonely:
            read = await lonely.shop.get(path)
            replay = await lonely.shop.post("/payments", order, key="read-on")
            back = await lonely.nobody.get(f"{path}/return")

        assert [(200, payment), (200, payment)] == [
            (answer.status_code, answer.json()) for answer in (read, replay)
        ]
        assert 303 == back.status_code

    @pytest.mark.parametrize(
        ("step", "method"),
        [
            ("retry", "pm_insufficient_funds"),
            ("cancel", "pm_requires_action"),
            ("refresh", "pm_requires_action"),
        ],
    )
    async def test_what_needs_the_run_is_503(
        self, api: Api, world: World, step: str, method: str
    ) -> None:
        """A change that nobody carries out is not acknowledged."""
        payment = await api.shop.pay(method)
        async with serving(without(world, "temporal")) as lonely:
            answer = await lonely.shop.post(f"/payments/{payment['id']}/{step}")

        assert (503, "temporal_unavailable") == (answer.status_code, answer.json()["code"])

    async def test_an_unknown_payment_is_503(self, world: World) -> None:
        """It may be one whose row is on its way: nobody can say that there is none."""
        async with serving(without(world, "temporal")) as lonely:
            answer = await lonely.shop.get("/payments/pay_" + "a" * 26)

        assert 503 == answer.status_code

    async def test_it_finds_back_by_itself(self, world: World) -> None:
        """The API starts before Temporal does, outlives it, and needs no restart afterwards."""
        port = free_port()
        settings = world.settings.model_copy(
            update={"temporal_address": f"127.0.0.1:{port}", "api_wait_seconds": 0.5}
        )
        async with serving(settings) as api:
            before, _ = await readiness(api)
            async with await WorkflowEnvironment.start_local(
                port=port,
                dev_server_existing_path=str(Path(sys.executable).parent / "temporal"),
                dev_server_log_level="error",
            ):
                meanwhile, _ = await readiness(api)
            after, _ = await readiness(api)
            start = await api.shop.post("/payments", an_order())

        assert [503, 200, 503] == [before, meanwhile, after]
        assert (503, "temporal_unavailable") == (start.status_code, start.json()["code"])


class TestDatabaseDown:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/payments"),
            ("GET", "/payments/pay_" + "a" * 26),
            ("GET", "/payments/pay_" + "a" * 26 + "/return"),
            ("GET", "/orders/order-1/payment"),
            ("POST", "/payments"),
            ("POST", "/payments/pay_" + "a" * 26 + "/retry"),
        ],
    )
    async def test_it_is_503(self, world: World, method: str, path: str) -> None:
        """Who cannot look up what is there does not guess, and starts nothing."""
        async with serving(without(world, "database")) as api:
            if method == "GET":
                answer = await api.shop.get(path)
            else:
                answer = await api.shop.post(path, an_order() if path == "/payments" else None)

        assert (503, "database_unavailable") == (answer.status_code, answer.json()["code"])
        assert answer.headers["Retry-After"]
        assert "nowhere" not in answer.text

    @pytest.mark.parametrize(
        "error",
        [
            pytest.param(lost_connection(), id="connection lost"),
            pytest.param(InterfaceError("SELECT 1", {}, DriverError()), id="connection closed"),
            pytest.param(asyncpg.InterfaceError("connection is closed"), id="while it is made"),
            pytest.param(DBAPIError("SELECT 1", {}, DriverError("08003")), id="no connection"),
            pytest.param(DBAPIError("SELECT 1", {}, DriverError("40001")), id="serialization"),
            pytest.param(DBAPIError("SELECT 1", {}, DriverError("53300")), id="too many"),
            pytest.param(DBAPIError("SELECT 1", {}, DriverError("55P03")), id="lock"),
            pytest.param(DBAPIError("SELECT 1", {}, DriverError("57014")), id="statement timeout"),
            pytest.param(DBAPIError("SELECT 1", {}, DriverError("57P01")), id="admin shutdown"),
            pytest.param(DBAPIError("SELECT 1", {}, DriverError("57P03")), id="starting up"),
            pytest.param(DBAPIError("SELECT 1", {}, DriverError("25006")), id="stand-by"),
        ],
    )
    async def test_what_passes_is_503(self, api: Api, world: World, error: Exception) -> None:
        """However the driver tells it: what works again in a moment is worth a repeat."""
        reads = FailingReads(api.app.state.connections.reads, error)

        assert (503, "database_unavailable", "2") == await told_of(world, reads)

    @pytest.mark.parametrize(
        "error",
        [
            pytest.param(ProgrammingError("SELECT 1", {}, DriverError("42703")), id="programming"),
            pytest.param(DataError("SELECT 1", {}, DriverError("22001")), id="data"),
            pytest.param(DBAPIError("SELECT 1", {}, DriverError("22012")), id="data, unnamed"),
            pytest.param(IntegrityError("SELECT 1", {}, DriverError("23505")), id="integrity"),
            pytest.param(DBAPIError("SELECT 1", {}, DriverError()), id="unknown"),
            pytest.param(refused_value(), id="a value of the wrong kind"),
        ],
    )
    async def test_a_mistake_of_ours_stays_500(
        self, api: Api, world: World, error: DBAPIError
    ) -> None:
        """Nobody is told to repeat what will never work, and the log holds the whole error."""
        reads = FailingReads(api.app.state.connections.reads, error)

        assert (500, "internal_error", None) == await told_of(world, reads)

    @pytest.mark.parametrize(
        ("question", "status"),
        [
            ("SELECT pg_terminate_backend(pg_backend_pid())", 503),
            ("DO $$ BEGIN RAISE SQLSTATE '57P03'; END $$", 503),
            ("SELECT 1 / 0", 500),
            ("SELECT nothing", 500),
        ],
    )
    async def test_postgresqls_own_words_are_understood(
        self, world: World, postgres: Reads, question: str, status: int
    ) -> None:
        """A connection that an administrator ends is 503, a question that makes no sense is 500."""
        assert status == (await told_of(world, AskingReads(postgres, question)))[0]
