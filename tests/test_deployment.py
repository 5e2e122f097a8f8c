"""What deploys Paysaga fits the code: `.env.example`, Dockerfile, docker-compose.yml, `.ci/run`."""

import fnmatch
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
import typer
import yaml
from pydantic_settings import BaseSettings
from sqlalchemy import make_url

from api.app import create_app
from paysaga.cli.commands import app as cli
from paysaga.settings import Settings
from paysaga.simulator.control import Control
from paysaga.simulator.settings import SimulatorSettings

ROOT: Final = Path(__file__).parent.parent
COMPOSE: Final = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = [name for name, service in SERVICES.items() if "build" in service]
FOREIGN: Final = [name for name in SERVICES if name not in OURS]
ONCE: Final = {"migrate", "search-attributes", "temporal-schema", "temporal-namespace"}
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())
VARIABLE: Final = re.compile(r"^(# )?([A-Z][A-Z0-9_]*)=(.*)$")
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text()


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the one who runs the tests has set does not count."""
    for kind in (Settings, SimulatorSettings):
        for name in kind.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)


def _interpolated(value: Any, environment: dict[str, str] | None = None) -> str:
    """A value as compose passes it on: `${NAME:-default}` and `$$`."""
    known = environment or {}
    text = re.sub(
        r"\$\{(\w+):-([^}]*)\}", lambda match: known.get(match[1]) or match[2], str(value)
    )
    return text.replace("$$", "$")


def _environment(name: str, environment: dict[str, str] | None = None) -> dict[str, str]:
    """A service's environment: what has no value is passed on only if it is set."""
    known = environment or {}
    told: dict[str, Any] = SERVICES[name].get("environment", {})
    passed_on = {key: known[key] for key, value in told.items() if value is None and key in known}
    given = {key: value for key, value in told.items() if value is not None}
    return passed_on | {key: _interpolated(value, known) for key, value in given.items()}


def _example() -> dict[str, str | None]:
    """Each variable of `.env.example`; `None` where its line is commented out."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    found = [match for line in lines if (match := VARIABLE.match(line))]
    assert len(found) == len({match[2] for match in found})
    return {match[2]: None if match[1] else match[3] for match in found}


def _settings_of(name: str) -> type[BaseSettings]:
    return SimulatorSettings if name == "simulator" else Settings


def _settings(name: str, environment: dict[str, str] | None = None) -> Any:
    """The settings that a service's process would read."""
    told: dict[str, Any] = {
        key.lower(): value for key, value in _environment(name, environment).items()
    }
    return _settings_of(name)(**told)


def _port(service: str) -> int:
    """The port that one of our services listens on."""
    settings = _settings(service)
    port = settings.simulator_port if service == "simulator" else settings.api_port
    return int(port)


def _paths(service: str) -> set[str]:
    """What one of our services answers."""
    if service == "simulator":
        return {f"/_control{route.path}" for route in Control.__new__(Control).routes()}
    return set(create_app(Settings()).openapi()["paths"])


def _check_command(command: list[str]) -> None:
    """The command starts something that is there."""
    if command[0] == "payment-cli":
        assert "payment-cli" in PROJECT["project"]["scripts"]
        group: Any = typer.main.get_command(cli)
        for word in command[1:]:
            group = group.commands[word]
        return
    assert ["python", "-m"] == command[:2]
    assert importlib.util.find_spec(f"{command[2]}.__main__"), command
    for word in command[3:]:
        told = subprocess.run(
            [sys.executable, "-m", command[2], "--help"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert word in told.stdout


class TestEnvironmentExample:
    def test_it_has_every_variable_and_no_other(self) -> None:
        """Whoever copies the file misses nothing, and sets nothing that is not read."""
        known = {
            name.upper() for kind in (Settings, SimulatorSettings) for name in kind.model_fields
        }

        assert known == set(_example())

    @pytest.mark.parametrize("kind", [Settings, SimulatorSettings])
    def test_every_default_is_the_codes(self, kind: type[BaseSettings]) -> None:
        """Setting all of its lines is the same as setting none; what has no default is no line."""
        told: dict[str, Any] = {
            name.lower(): value for name, value in _example().items() if value is not None
        }
        without = {name for name, field in kind.model_fields.items() if field.default is None}

        assert without.isdisjoint(told)
        assert kind() == kind(**told)

    def test_every_variable_is_explained(self) -> None:
        """The line above each says what it means."""
        lines = (ROOT / ".env.example").read_text().splitlines()
        bare = [
            line
            for before, line in pairwise(lines)
            if VARIABLE.match(line) and not re.match(r"# \S.*[^=]$", before)
        ]

        assert [] == bare

    def test_a_shell_can_read_it(self) -> None:
        """`set -a; . ./.env` sets what is written there."""
        shell = 'set -aeu; . ./.env.example; printf "%s" "$PAYMENT_FAILURE_SCENARIOS"'
        told = subprocess.run(
            ["sh", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=True
        )

        assert _example()["PAYMENT_FAILURE_SCENARIOS"] == told.stdout


class TestDockerfile:
    def test_it_installs_what_is_locked(self) -> None:
        """Only dependencies with a known hash get in."""
        locked = (ROOT / "requirements/runtime.txt").read_text()
        blocks = re.split(r"\n(?=\S)", locked.strip())

        assert "--require-hashes -r requirements/runtime.txt" in DOCKERFILE
        assert all("--hash=sha256:" in block for block in blocks if not block.startswith("#"))

    def test_it_starts_from_pinned_images(self) -> None:
        """Both stages have the same Python, with its version and system named."""
        images = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)

        assert 2 == len(images)
        assert {"python:3.12-slim-bookworm"} == set(images)

    def test_it_does_not_run_as_root(self) -> None:
        """The last word on the user is somebody without rights."""
        _, _, stage = DOCKERFILE.rpartition("FROM ")

        assert ["paysaga"] == re.findall(r"^USER (\S+)", stage, re.MULTILINE)
        assert re.search(r"useradd .*paysaga", stage)

    def test_its_command_and_healthcheck_fit_the_api(self) -> None:
        """Started without a command the image is an API that is found healthy."""
        command = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
        [path] = re.findall(r"os\.environ\['API_PORT'\] \+ '(/[^']*)'", DOCKERFILE)
        [port] = re.findall(r"API_PORT=(\d+)", DOCKERFILE)

        _check_command(yaml.safe_load(command[0]))
        assert path in _paths("api")
        assert port == str(Settings().api_port)
        assert f"EXPOSE {port}" in DOCKERFILE

    def test_what_is_copied_is_sent(self) -> None:
        """Each source exists, and `.dockerignore` lets it through and little else."""
        ignored = (ROOT / ".dockerignore").read_text().splitlines()
        sent = {line[1:] for line in ignored if line.startswith("!")}

        assert "*" in ignored
        assert set(_copied()) == sent
        assert all((ROOT / source).exists() for source in sent)

    def test_the_image_holds_the_whole_service(self, tmp_path: Path) -> None:
        """What the Dockerfile copies builds a wheel with all modules, templates and migrations."""
        context = tmp_path / "context"
        for source in _copied():
            _copy(ROOT / source, context / source)

        quietly = ["--disable-pip-version-check", "--quiet"]
        locally = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", *quietly, *locally, "."],
            cwd=context,
            env={**os.environ, "PIP_NO_INDEX": "1"},
            check=True,
        )
        [wheel] = tmp_path.glob("*.whl")
        held = set(zipfile.ZipFile(wheel).namelist())

        packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        needed = {
            path.relative_to(ROOT).as_posix()
            for package in packages
            for path in (ROOT / package).rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        assert {"api/__main__.py", "worker/__main__.py", "paysaga/cli/__main__.py"} <= needed
        assert set() == needed - held


def _copied() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def _copy(source: Path, target: Path) -> None:
    files = [path for path in source.rglob("*") if path.is_file()] if source.is_dir() else [source]
    for file in files:
        if file.suffix == ".pyc":
            continue
        there = target / file.relative_to(source) if source.is_dir() else target
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(file.read_bytes())


class TestComposeServices:
    @pytest.mark.parametrize("name", OURS)
    def test_each_command_starts_something(self, name: str) -> None:
        """The module or the command of the command line is there, with these arguments."""
        _check_command(SERVICES[name]["command"])

    @pytest.mark.parametrize("name", OURS)
    def test_each_variable_is_read(self, name: str) -> None:
        """Nothing is set that the process does not know."""
        known = {field.upper() for field in _settings_of(name).model_fields}

        assert set() == set(SERVICES[name]["environment"]) - known

    @pytest.mark.parametrize("name", OURS)
    def test_the_defaults_are_good_settings(self, name: str) -> None:
        """Without any `.env` each process starts."""
        assert _settings(name)

    @pytest.mark.parametrize("name", OURS)
    def test_a_copy_of_the_example_is_a_good_env(self, name: str) -> None:
        """`cp .env.example .env` changes nothing but the environment's name."""
        copied = {key: value for key, value in _example().items() if value is not None}
        changed = {"environment_name": "compose"} if name != "simulator" else {}

        assert _settings(name) == _settings(name, copied).model_copy(update=changed)

    @pytest.mark.parametrize("name", ["api", "worker", "migrate", "search-attributes"])
    def test_production_needs_variables_only(self, name: str) -> None:
        """A live deployment changes `.env`, not this file."""
        live = {
            "ENVIRONMENT": "production",
            "STRIPE_SECRET_KEY": "rk_live_1",
            "STRIPE_PUBLISHABLE_KEY": "pk_live_1",
            "STRIPE_WEBHOOK_SECRET": "whsec_live_1",
            "STRIPE_WEBHOOK_SECRET_PREVIOUS": "whsec_live_0",
            "STRIPE_API_BASE": "https://api.stripe.com",
            "PUBLIC_BASE_URL": "https://pay.example",
            "ORDER_SERVICE_URL": "https://orders.example",
            "JWT_SECRET": "a-secret-of-the-shop's-own-with-32-characters",
            "SMTP_URL": "smtps://shop:secret@mail.example",
        }

        settings = _settings(name, live)

        assert "https://orders.example/" == str(settings.order_service_url)
        assert settings.stripe_webhook_secret_previous is not None

    @pytest.mark.parametrize(("env", "replicas"), [({}, 1), ({"SIMULATOR_REPLICAS": "0"}, 0)])
    def test_the_simulator_stays_away_when_told(self, env: dict[str, str], replicas: int) -> None:
        """Whoever tries it gets it without a word; nobody runs it beside a real key."""
        simulator = SERVICES["simulator"]

        assert replicas == int(_interpolated(simulator["deploy"]["replicas"], env))
        assert not any("simulator" in one.get("depends_on", {}) for one in SERVICES.values())

    def test_every_setting_of_payments_can_be_changed(self) -> None:
        """What a deployment may want to set reaches the API and the worker."""
        elsewhere = {"TEMPORAL_NAMESPACE", "TEMPORAL_TLS", "TEMPORAL_API_KEY"}
        known = {name.upper() for name in Settings.model_fields} - elsewhere

        assert known == set(SERVICES["api"]["environment"]) | set(SERVICES["worker"]["environment"])

    @pytest.mark.parametrize("name", list(SERVICES))
    def test_each_image_is_pinned(self, name: str) -> None:
        """Tomorrow's images are today's."""
        _, _, tag = SERVICES[name]["image"].partition(":")

        assert re.match(r"v?\d+\.\d+", tag), SERVICES[name]["image"]

    def test_our_image_has_this_version(self) -> None:
        """The tag is the project's version."""
        version = PROJECT["project"]["version"]

        assert {f"paysaga:{version}"} == {SERVICES[name]["image"] for name in OURS}


class TestComposeNetwork:
    @pytest.mark.parametrize("name", list(SERVICES))
    def test_only_pages_and_the_api_are_published_and_only_here(self, name: str) -> None:
        """A laptop in a café serves nobody else; databases and queues are not published at all."""
        published = SERVICES[name].get("ports", [])
        inside = {"temporal-ui": "8080", "rabbitmq": "15672", "mail": "8025"}

        if name not in {"api", "simulator", *inside}:
            assert [] == published
            return
        [port] = published
        host, _, container = port.split(":")
        assert ("127.0.0.1", inside.get(name) or str(_port(name))) == (host, container)

    def test_processes_listen_to_each_other(self) -> None:
        """Inside a container, 127.0.0.1 would be heard by nobody."""
        assert "0.0.0.0" == _settings("api").api_host
        assert "0.0.0.0" == _settings("simulator").simulator_host

    @pytest.mark.parametrize("name", ["api", "worker", "migrate", "search-attributes"])
    def test_addresses_lead_to_services(self, name: str) -> None:
        """Database, Temporal and gateway are services of this file, on the port they listen on."""
        settings = _settings(name)
        url, postgres = make_url(settings.database_url), _environment("postgres")

        assert f"simulator:{_port('simulator')}" == str(settings.stripe_api_base)[7:].rstrip("/")
        assert "temporal:7233" == settings.temporal_address
        assert ("postgres", 5432) == (url.host, url.port)
        assert (url.username, url.password, url.database) == (
            postgres["POSTGRES_USER"],
            postgres["POSTGRES_PASSWORD"],
            postgres["POSTGRES_DB"],
        )

    def test_the_worker_reaches_the_broker(self) -> None:
        """With the user that the broker is made with; it takes orders without any `.env`."""
        settings, broker = _settings("worker"), _environment("rabbitmq")
        user, password = broker["RABBITMQ_DEFAULT_USER"], broker["RABBITMQ_DEFAULT_PASS"]

        assert f"amqp://{user}:{password}@rabbitmq:5672/" == settings.amqp_url.get_secret_value()
        assert "paysaga.orders" == settings.amqp_orders_queue

    def test_webhooks_reach_the_api(self) -> None:
        """The simulator sends to the route that takes them, with the secret that is expected."""
        simulator, api = _settings("simulator"), _settings("api")
        host, port, path = re.findall(r"//(\w+):(\d+)(/.*)", simulator.simulator_webhook_url)[0]
        document = create_app(Settings()).openapi()

        assert ("api", api.api_port) == (host, int(port))
        assert "post" in document["paths"][path]
        assert simulator.stripe_webhook_secret == api.stripe_webhook_secret.get_secret_value()
        assert simulator.stripe_secret_key == api.stripe_secret_key.get_secret_value()

    def test_browsers_are_sent_to_published_ports(self) -> None:
        """Links to the API, to the 3DS page and to the runs work on this machine."""
        links = {
            "api": str(_settings("api").public_base_url),
            "simulator": str(_settings("simulator").simulator_public_url),
            "temporal-ui": str(_settings("api").temporal_ui_url),
        }
        for name, link in links.items():
            published = SERVICES[name]["ports"][0].rpartition(":")[0]
            assert f"http://{published}" == link.rstrip("/")


class TestComposeOrder:
    @pytest.mark.parametrize("name", ["api", "simulator"])
    def test_a_healthcheck_asks_a_route_on_the_right_port(self, name: str) -> None:
        """What is found healthy does answer."""
        test = SERVICES[name]["healthcheck"]["test"]
        port, path = re.findall(r"http://127\.0\.0\.1:(\d+)(/[\w/]*)", test[-1])[0]

        assert ["CMD", "python", "-c"] == test[:3]
        compile(test[3], name, "exec")
        assert _port(name) == int(port)
        assert path in _paths(name)

    def test_what_others_wait_for_can_be_waited_for(self) -> None:
        """Healthy needs a healthcheck; completed needs a service that ends and stays so."""
        for service in SERVICES.values():
            for name, wish in service.get("depends_on", {}).items():
                other = SERVICES[name]
                if wish["condition"] == "service_healthy":
                    assert "test" in other["healthcheck"], name
                else:
                    assert "service_completed_successfully" == wish["condition"]
                    assert name in ONCE
                    assert "no" == other.get("restart", "no")

    def test_every_step_that_ends_is_waited_for(self) -> None:
        """`up --wait` takes an ended service for a failure, unless another waits for its end."""
        waited_for = {
            name
            for service in SERVICES.values()
            for name, wish in service.get("depends_on", {}).items()
            if wish["condition"] == "service_completed_successfully"
        }

        assert waited_for == ONCE

    @pytest.mark.parametrize("name", ["api", "worker"])
    def test_processes_start_on_a_prepared_ground(self, name: str) -> None:
        """Tables and search attributes are there before the first payment."""
        assert {"migrate", "search-attributes"} == set(SERVICES[name]["depends_on"])

    @pytest.mark.parametrize("name", sorted(set(SERVICES) - ONCE))
    def test_what_serves_is_started_again(self, name: str) -> None:
        """A crash or a reboot is not the end."""
        assert "unless-stopped" == SERVICES[name]["restart"]

    def test_a_worker_may_drain(self) -> None:
        """It is killed only after the time that its activities are given."""
        grace = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))

        assert grace > _settings("worker").worker_drain_seconds

    def test_what_must_last_is_on_volumes(self) -> None:
        """Each named volume is declared and used, and the databases are on one."""
        used = {
            volume.partition(":")[0]: name
            for name, service in SERVICES.items()
            for volume in service.get("volumes", [])
        }

        lasting = ("postgres", "rabbitmq", "simulator")
        assert {name: name for name in lasting} == used
        assert set(COMPOSE["volumes"]) == set(used)
        directory = SERVICES["simulator"]["volumes"][0].partition(":")[2]
        assert Path(directory) == _settings("simulator").simulator_state.parent
        assert f"install --directory --owner=paysaga {directory}\n" in DOCKERFILE

    def test_temporals_tables_are_the_ones_it_uses(self) -> None:
        """The schema step prepares the databases and the user that the server is told of."""
        server, step = _environment("temporal"), _environment("temporal-schema")
        script = _interpolated(SERVICES["temporal-schema"]["command"][0])

        assert f"database={server['DBNAME']}\n" in script
        assert f"database={server['VISIBILITY_DBNAME']};" in script
        assert (server["DB"], server["POSTGRES_SEEDS"], server["DB_PORT"]) == (
            step["SQL_PLUGIN"],
            step["SQL_HOST"],
            step["SQL_PORT"],
        )
        assert (server["POSTGRES_USER"], server["POSTGRES_PWD"]) == (
            step["SQL_USER"],
            step["SQL_PASSWORD"],
        )
        [config] = SERVICES["temporal"]["configs"]
        assert config["target"] == server["DYNAMIC_CONFIG_FILE_PATH"]
        assert yaml.safe_load(COMPOSE["configs"][config["source"]]["content"])

    @pytest.mark.parametrize("name", ["temporal-schema", "temporal-namespace"])
    def test_scripts_are_shell(self, name: str) -> None:
        """A typing error is found here, not in the first start."""
        service = SERVICES[name]
        script = _interpolated(service["command"][0])

        subprocess.run(["sh", "-n", "-c", script], check=True)
        assert ["/bin/sh", "-euc"] == service["entrypoint"]


class TestContinuousIntegration:
    def test_the_script_is_good_bash_and_executable(self) -> None:
        """It can be called as it is."""
        subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, check=True)

        assert os.access(ROOT / ".ci/run", os.X_OK)
        assert "set -euo pipefail" in (ROOT / ".ci/run").read_text()

    def test_it_runs_the_checks_and_all_tests(self) -> None:
        """The three targets, in this order, and each is on the menu."""
        makefile = (ROOT / "Makefile").read_text()
        called = re.findall(r"timed \"make ([\w-]+)\" make \1", (ROOT / ".ci/run").read_text())

        assert ["check", "test", "test-full"] == called
        assert "make test COVERAGE=1" in (ROOT / ".ci/run").read_text()
        assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in called)

    def test_what_it_downloads_is_not_committed(self) -> None:
        """The cache is inside the checkout, and ignored."""
        ignored = (ROOT / ".gitignore").read_text().split()

        assert 'cache="$root/.cache/' in (ROOT / ".ci/run").read_text()
        assert any(fnmatch.fnmatch(".cache/", pattern) for pattern in ignored)

    def test_stripes_command_line_is_pinned(self) -> None:
        """The program that judges the simulator changes only when we say so."""
        assert re.search(
            r"^STRIPE_CLI_VERSION=\d+\.\d+\.\d+$", (ROOT / ".ci/run").read_text(), re.MULTILINE
        )
