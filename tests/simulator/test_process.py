import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
import stripe

from paysaga.demo.preflight import free_port
from tests.simulator.support import SECRET_KEY, Control, Receiver, gateway, served, until
from tests.simulator.test_cards import pay

Start = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
async def start(state: Path, port: int) -> AsyncIterator[Start]:
    """Start real simulator processes on one port and one state file."""
    running = []

    async def begin(**environment: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "paysaga.simulator",
            stderr=asyncio.subprocess.PIPE,
            env={
                **{
                    k: v for k, v in os.environ.items() if not k.startswith(("SIMULATOR", "STRIPE"))
                },
                "SIMULATOR_PORT": str(port),
                "SIMULATOR_STATE": str(state),
                "SIMULATOR_WEBHOOK_RETRY_BASE_SECONDS": "0.05",
                "PAYMENT_PROCESSING_DELAY_MIN": "0",
                "PAYMENT_PROCESSING_DELAY_MAX": "0",
                **environment,
            },
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ready(process: asyncio.subprocess.Process) -> None:
    assert process.stderr is not None
    assert b"Stripe simulator on" in await process.stderr.readline()


async def said(process: asyncio.subprocess.Process) -> str:
    _, text = await process.communicate()
    return text.decode()


@pytest.fixture
async def client(port: int) -> AsyncIterator[stripe.StripeClient]:
    async with gateway(f"http://127.0.0.1:{port}") as client:
        yield client


class TestRestart:
    async def test_killed_process_forgets_nothing(
        self, start: Start, client: stripe.StripeClient, port: int
    ) -> None:
        """
        After SIGKILL the objects, the idempotency records, the armed faults and the undelivered
        webhooks are all there, and the webhooks arrive.
        """
        receiver = Receiver(answer=lambda _delivery: 503)
        async with served(lambda _url: receiver) as url:
            hook = {"SIMULATOR_WEBHOOK_URL": url, "STRIPE_WEBHOOK_SECRET": "whsec_known"}
            process = await start(**hook)
            await ready(process)
            paid = await pay(client, "pm_card_visa")
            keyed = await client.v1.customers.create_async({}, {"idempotency_key": "k"})
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                await Control(http).fault("events.list", "rate_limit")
            await until(lambda: len(receiver.received) >= 4)

            process.send_signal(signal.SIGKILL)
            await process.wait()
            seen = len(receiver.received)
            receiver.answer = lambda _delivery: 200
            await ready(await start(**hook))
            await until(lambda: len(receiver.received) >= seen + 4)

        again = await client.v1.customers.create_async({}, {"idempotency_key": "k"})
        found = await client.v1.payment_intents.retrieve_async(paid.id)
        endpoints = await client.v1.webhook_endpoints.list_async()
        with pytest.raises(stripe.RateLimitError):
            await client.v1.events.list_async()
        one = receiver.received[-1]
        client.construct_event(one.body, one.signature, "whsec_known")
        assert (keyed.id, "succeeded", 1) == (again.id, found.status, len(endpoints.data))

    async def test_sigterm_is_quick(self, start: Start, client: stripe.StripeClient) -> None:
        """
        SIGTERM ends the process within seconds and without a complaint.
        """
        process = await start()
        await ready(process)
        await pay(client, "pm_card_visa")

        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            text = await said(process)

        assert "" == text


class TestConnection:
    async def test_closed_without_a_byte(self, start: Start, port: int) -> None:
        """
        Under the event loop of the real process, too, a lost reply is no reply at all.
        """
        await ready(await start())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            await Control(http).fault("customers.list", "effect_reply_lost")

            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)) as lost:
                await http.get("/v1/customers", auth=(SECRET_KEY, ""))

        assert "complete message" not in str(lost.value)


class TestRefusalToStart:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("SIMULATOR_PORT", "http"),
            ("PAYMENT_SUCCESS_RATE", "1.5"),
            ("PAYMENT_FAILURE_SCENARIOS", "insufficient_funds,meteorite"),
            ("STRIPE_SECRET_KEY", "sk_live_real"),
            ("SIMULATOR_WEBHOOK_URL", "ftp://a"),
            ("PAYMENT_PROCESSING_DELAY_MIN", "500"),
        ],
    )
    async def test_wrong_value(self, start: Start, name: str, value: str) -> None:
        """
        A wrong value stops the start with one sentence that names the variable.
        """
        process = await start(**{name: value})

        text = await said(process)

        assert 2 == process.returncode
        assert 1 == len(text.splitlines())
        assert name in text

    async def test_busy_port(self, start: Start, port: int) -> None:
        """
        A port that somebody else holds stops the start with one sentence.
        """
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", port))
            holder.listen()
            process = await start()
            text = await said(process)

        assert 2 == process.returncode
        assert 1 == len(text.splitlines())
        assert "SIMULATOR_PORT" in text

    async def test_unusable_state(self, start: Start, tmp_path: Path) -> None:
        """
        A state file that cannot be one stops the start with one sentence.
        """
        (tmp_path / "file").write_text("not a database, but long enough to be taken for one" * 50)

        process = await start(SIMULATOR_STATE=str(tmp_path / "file"))
        text = await said(process)

        assert (2, True) == (process.returncode, "SIMULATOR_STATE" in text)
