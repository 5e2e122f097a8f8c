"""Which processes the demo runs, with what command and environment, and when each is ready."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from paysaga.demo import probes
from paysaga.demo.settings import DemoSettings
from paysaga.settings import DEVELOPMENT_SECRET, Settings
from workflows.addresses import SEARCH_ATTRIBUTES

ORDER_SERVICE_TOKEN: Final = "demo-order-service-token"  # noqa: S105 - the demo's own, on loopback
# One played purchase is declined three times, and that must be its end.
PLAYED_ATTEMPTS: Final = "3"
# facts about the dev server: these halve its latency and keep its data over restarts.
_TEMPORAL_TUNING: Final = (
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    "history.transferProcessorMaxPollRPS=100",
    "history.timerProcessorMaxPollRPS=100",
    "history.visibilityProcessorMaxPollRPS=100",
    'history.timerProcessorMaxTimeShift="10ms"',
)
# What a shell may carry for a real deployment must not reach the demo.
_NOT_INHERITED: Final = (
    "JWT_JWKS_URL",
    "SIMULATOR_SEED",
    "STRIPE_WEBHOOK_SECRET_PREVIOUS",
    "TEMPORAL_API_KEY",
)


@dataclass(frozen=True)
class Program:
    """One process: how it is started and how one knows that it works."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    is_ready: probes.Probe = probes.always


def environment(settings: DemoSettings) -> dict[str, str]:
    """What all processes of the demo are told; the caller's delays and holds stay in force."""
    inherited = {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}
    return inherited | {
        "ENVIRONMENT": "development",
        "ENVIRONMENT_NAME": "demo",
        "DATABASE_URL": f"sqlite:///{settings.state / 'paysaga.db'}",
        "TEMPORAL_ADDRESS": settings.temporal_address,
        "TEMPORAL_NAMESPACE": "default",
        "TEMPORAL_TLS": "false",
        "TEMPORAL_UI_URL": settings.temporal_ui_url,
        "STRIPE_SECRET_KEY": "sk_test_paysaga_demo",
        "STRIPE_PUBLISHABLE_KEY": "pk_test_paysaga_demo",
        "STRIPE_WEBHOOK_SECRET": "whsec_paysaga_demo_secret",
        "STRIPE_API_BASE": settings.simulator_url,
        "JWT_SECRET": DEVELOPMENT_SECRET,
        "JWT_ALGORITHMS": "HS256",
        "JWT_ISSUER": "paysaga",
        "JWT_AUDIENCE": "paysaga",
        "API_HOST": "127.0.0.1",
        "API_PORT": str(settings.api_port),
        "PUBLIC_BASE_URL": settings.api_url,
        "CORS_ORIGINS": settings.shop_url,
        "ORDER_SERVICE_URL": settings.shop_url,
        "ORDER_SERVICE_TOKEN": ORDER_SERVICE_TOKEN,
        "SIMULATOR_HOST": "127.0.0.1",
        "SIMULATOR_PORT": str(settings.simulator_port),
        "SIMULATOR_STATE": str(settings.state / "simulator.db"),
        "SIMULATOR_PUBLIC_URL": settings.simulator_url,
        "SIMULATOR_WEBHOOK_URL": f"{settings.api_url}/api/v1/webhooks/stripe",
        "PAYMENT_ATTEMPTS": PLAYED_ATTEMPTS,
        "PAYMENT_ATTEMPTS_PER_HOUR": "100",  # who tries it out tries many cards
        "PAYMENT_DECLINES_PER_CUSTOMER_DAY": "0",
        "PAYMENT_DECLINES_PER_CARD_DAY": "0",  # all trial cards of a kind are one card
        "PAYMENT_DECLINES_PER_ADDRESS_HOUR": "0",
        "LIMITS_URL": "memory://",
        "SHOP_PORT": str(settings.shop_port),
        "SHOP_STATE": str(settings.state / "shop.db"),
        "SHOP_MAIL_PORT": str(settings.mail_port),
        # The shop keeps the mails, unless the caller has a mail server for them.
        "SMTP_URL": inherited.get(
            "SMTP_URL", f"smtp://127.0.0.1:{settings.mail_port}?starttls=never"
        ),
        "MAIL_FROM": inherited.get("MAIL_FROM", "Slow Mornings <payments@example.com>"),
        "MAIL_SHOP_NAME": "Slow Mornings",
        "MAIL_OPERATIONS_TO": "operations@example.com",
        "PYTHONUNBUFFERED": "1",
    }


def paysaga_settings(settings: DemoSettings) -> Settings:
    """The same for code of ours that runs in this process."""
    told = environment(settings)
    known = {
        key.lower(): value for key, value in told.items() if key.lower() in Settings.model_fields
    }
    absent = {key.lower(): None for key in _NOT_INHERITED if key.lower() in Settings.model_fields}
    return Settings.model_validate(known | absent)


def temporal(settings: DemoSettings) -> Program:
    """Temporal's own server, with a database file and our search attributes."""
    command = [str(settings.temporal_binary), "server", "start-dev", "--ip", "127.0.0.1"]
    command += ["--port", str(settings.temporal_port)]
    command += ["--ui-port", str(settings.temporal_ui_port)]
    command += ["--ui-disable-news-fetch", "--log-level", "warn"]
    command += ["--db-filename", str(settings.state / "temporal.db")]
    command += ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"]
    for key in SEARCH_ATTRIBUTES:
        kind = key.indexed_value_type.name.title().replace("_", "")
        command += ["--search-attribute", f"{key.name}={kind}"]
    for value in _TEMPORAL_TUNING:
        command += ["--dynamic-config-value", value]
    ready = probes.temporal_serves(settings.temporal_address)
    return Program("Temporal", tuple(command), environment(settings), ready)


def migrations(settings: DemoSettings) -> Program:
    """Bring the database to the newest version, and end."""
    return _ours("migrations", settings, "paysaga.database", "upgrade")


def simulator(settings: DemoSettings) -> Program:
    """Stripe's stand-in."""
    ready = probes.answers(f"{settings.simulator_url}/_control/health")
    return _ours("simulator", settings, "paysaga.simulator", ready=ready)


def worker(settings: DemoSettings) -> Program:
    """The worker of both task queues."""
    ready = probes.queues_are_polled(settings.temporal_address)
    return _ours("worker", settings, "worker", ready=ready)


def api(settings: DemoSettings) -> Program:
    """The API that shops and people use."""
    return _api("API", settings, settings.api_url)


def hasty_api(settings: DemoSettings, port: int) -> Program:
    """A second API whose payments are held for seconds only, so that one can be seen to expire."""
    url = f"http://127.0.0.1:{port}"
    program = _api("hasty API", settings, url)
    hasty = {
        "API_PORT": str(port),
        "PAYMENT_ACTION_SECONDS": "3",
        "PAYMENT_HOLD_SECONDS": "6",
    }
    return replace(program, environment={**program.environment, **hasty})


def _api(name: str, settings: DemoSettings, url: str) -> Program:
    program = _ours(name, settings, "api", ready=probes.answers(f"{url}/health/ready"))
    # One address serves one process: here the worker's.
    own = {key: value for key, value in program.environment.items() if key != "METRICS_ADDRESS"}
    return replace(program, environment=own)


def shop(settings: DemoSettings) -> Program:
    """The shop with its order service."""
    ready = probes.answers(f"{settings.shop_url}/health")
    return _ours("shop", settings, "paysaga.demo.shop", ready=ready)


def _ours(
    name: str,
    settings: DemoSettings,
    *module: str,
    ready: probes.Probe = probes.always,
) -> Program:
    return Program(name, (sys.executable, "-m", *module), environment(settings), ready)
