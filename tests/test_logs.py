"""What is written to the log, and what never is."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import structlog
from pydantic import BaseModel, SecretStr

from paysaga.logs import configure_logs, drop_secrets

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
SECRETS = [
    "sk_test_51Habc",
    "sk_live_51Habc",
    "rk_live_51Habc",
    "pk_test_51Habc",
    "whsec_abc+/=",
    "pi_1_secret_abc",
    "seti_1_secret_abc",
    JWT,
]


class Answer(BaseModel):
    """What a library may hand to a log line."""

    id: str
    client_secret: str
    note: str


class Lines:
    """A process that logs, and what it has written so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def ours(self, name: str = "here") -> structlog.stdlib.BoundLogger:
        """A logger of ours. The first one configures: before, pytest adds handlers of its own."""
        self._configure()
        logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
        return logger

    def standard(self, name: str = "library") -> logging.Logger:
        """A logger of a library."""
        self._configure()
        return logging.getLogger(name)

    def text(self) -> str:
        return self._capsys.readouterr().err

    def last(self) -> dict[str, Any]:
        line: dict[str, Any] = json.loads(self.text().splitlines()[-1])
        return line

    def _configure(self) -> None:
        configure_logs("INFO", "worker")


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Logs as a process writes them; afterwards pytest has its own again."""
    root = logging.getLogger()
    handlers, level, config = root.handlers, root.level, structlog.get_config()
    yield Lines(capsys)
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**config)


def fail(message: str) -> None:
    raise ValueError(message)


class TestForm:
    def test_one_json_line_for_each_event(self, lines: Lines) -> None:
        """Our own lines tell process, level, logger, time and what was given."""
        lines.ours().info("it happened", amount=1250)

        line = lines.last()

        assert ("it happened", 1250, "worker", "info", "here") == (
            line["message"],
            line["amount"],
            line["process"],
            line["level"],
            line["logger"],
        )
        assert line["timestamp"].endswith("Z")

    def test_lines_of_libraries_look_the_same(self, lines: Lines) -> None:
        """The standard library's records keep their arguments and extras."""
        lines.standard().warning("%s of %s", 1, 2, extra={"step": "confirm"})

        line = lines.last()

        assert ("1 of 2", "confirm", "warning", "library") == (
            line["message"],
            line["step"],
            line["level"],
            line["logger"],
        )

    def test_traceback_is_in_its_line(self, lines: Lines) -> None:
        """A failure is one line, too, so that it is found by its payment."""
        try:
            fail("broken")
        except ValueError:
            lines.standard().exception("it failed")

        line = lines.last()

        assert "ValueError: broken" in line["exception"]

    def test_level_is_kept(self, lines: Lines) -> None:
        """What is below the level is not written."""
        lines.standard().debug("chatter")

        assert "" == lines.text()

    @pytest.mark.parametrize("name", ["httpx", "httpcore", "stripe", "uvicorn.access"])
    def test_talkative_libraries_are_kept_short(self, lines: Lines, name: str) -> None:
        """They tell each call's URL, or the whole answer."""
        lines.standard(name).info("GET https://api.stripe.com/v1/payment_intents/pi_1")

        assert "" == lines.text()


class TestPayment:
    @pytest.mark.parametrize(
        "told",
        [
            {"temporal_workflow": {"workflow_id": "pay_1", "run_id": "run-1"}},
            {"temporal_activity": {"workflow_id": "pay_1", "workflow_run_id": "run-1"}},
        ],
    )
    def test_workflow_and_activity_lines_name_it(
        self, lines: Lines, told: dict[str, dict[str, str]]
    ) -> None:
        """Whoever searches for a payment finds what its run and its activities said."""
        lines.standard("temporalio").warning("later", extra=told)

        line = lines.last()

        assert ("pay_1", "run-1") == (line["payment_id"], line["run"])
        assert not set(told) & set(line)

    def test_activity_lines_name_their_try(self, lines: Lines) -> None:
        """The third try of a confirm is told from the first."""
        told = {"workflow_id": "pay_1", "activity_type": "confirm_intent", "attempt": 3}

        lines.standard("temporalio").warning("later", extra={"temporal_activity": told})

        line = lines.last()
        assert ("confirm_intent", 3) == (line["activity"], line["attempt"])

    def test_what_was_bound_comes_first(self, lines: Lines) -> None:
        """A payment that the line names itself is not replaced."""
        told = {"payment_id": "pay_2", "temporal_workflow": {"workflow_id": "pay_1"}}

        lines.standard("temporalio").warning("later", extra=told)

        assert "pay_2" == lines.last()["payment_id"]


class TestSecrets:
    @pytest.mark.parametrize("secret", SECRETS)
    def test_secret_in_a_text_is_dropped(self, lines: Lines, secret: str) -> None:
        """Wherever it stands in a text, alone or among words."""
        lines.ours().info(f"key={secret}, and on", note=f"({secret})")

        text = lines.text()

        assert secret not in text
        assert "and on" in text

    @pytest.mark.parametrize("secret", SECRETS)
    def test_secret_in_an_argument_is_dropped(self, lines: Lines, secret: str) -> None:
        """Libraries write theirs as arguments."""
        lines.standard().warning("used %s", secret)

        assert secret not in lines.text()

    def test_bearer_token_is_dropped_whatever_it_looks_like(self, lines: Lines) -> None:
        """What follows Bearer is a secret by its place."""
        lines.ours().info("sent Authorization: Bearer opaque-1234 to them")

        text = lines.text()

        assert "opaque-1234" not in text
        assert "to them" in text

    @pytest.mark.parametrize(
        "key",
        [
            "Authorization",
            "stripe_secret_key",
            "password",
            "order_service_token",
            "api_key",
            "apikey",
            "Stripe-Signature",
            "Cookie",
            "client_secret",
            "card_number",
            "cvc",
        ],
    )
    def test_value_is_dropped_by_its_name(self, lines: Lines, key: str) -> None:
        """What has a secret's name is one, whatever it looks like."""
        lines.ours().info("told", **{key: "opaque-1234"})

        assert "[dropped]" == lines.last()[key]

    def test_nothing_is_too_deep(self) -> None:
        """Secrets in mappings, lists and tuples are found, too."""
        event = {
            "headers": [{"Authorization": "opaque", "Accept": "json"}],
            "answer": {"intent": {"client_secret": "opaque", "id": "pi_1"}},
            "pair": ("sk_live_1", 1),
        }

        cleaned = drop_secrets(None, "info", event)

        assert {
            "headers": [{"Authorization": "[dropped]", "Accept": "json"}],
            "answer": {"intent": {"client_secret": "[dropped]", "id": "pi_1"}},
            "pair": ["[dropped]", 1],
        } == cleaned

    def test_secret_in_an_extra_is_dropped(self, lines: Lines) -> None:
        """The extras of a standard record go the same way."""
        lines.standard().warning("told", extra={"sent": {"api_key": "opaque-1234"}})

        assert "opaque-1234" not in lines.text()

    def test_secret_in_a_traceback_is_dropped(self, lines: Lines) -> None:
        """A message that quotes a key is cleaned as well."""
        try:
            fail("Invalid API Key provided: sk_live_51Habc")
        except ValueError:
            lines.ours().exception("it failed")

        assert "sk_live" not in lines.text()

    @pytest.mark.parametrize(
        "value",
        [
            ValueError("sk_live_51Habc"),
            {"sk_live_51Habc"},
            frozenset({"sk_live_51Habc"}),
            ("key", ["sk_live_51Habc"]),
            b"sk_live_51Habc",
            {"sk_live_51Habc": 1},
            MappingProxyType({"client": {"secret": "sk_live_51Habc"}}),
            Answer(id="pi_1", client_secret="opaque", note="sk_live_51Habc"),
            [Answer(id="pi_1", client_secret="opaque", note="sk_live_51Habc")],
            Path("/keys/sk_live_51Habc"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_secret_in_anything_else_is_dropped(self, lines: Lines, value: object) -> None:
        """Whatever is logged is written as a text in the end: it is looked at, too."""
        lines.ours().warning("told", error=value)

        assert "sk_live" not in lines.text()

    def test_a_models_fields_have_names(self, lines: Lines) -> None:
        """An answer that is logged as a whole loses its secrets and keeps the rest."""
        lines.ours().warning("told", answer=Answer(id="pi_1", client_secret="opaque", note="late"))

        assert {"id": "pi_1", "client_secret": "[dropped]", "note": "late"} == lines.last()[
            "answer"
        ]

    def test_secret_type_stays_one(self, lines: Lines) -> None:
        """A SecretStr that is logged by mistake shows stars."""
        lines.ours().warning("told", value=SecretStr("opaque-1234"))

        assert "opaque-1234" not in lines.text()

    def test_what_is_no_secret_stays(self, lines: Lines) -> None:
        """Ids and amounts are what operators search for."""
        lines.ours().info("paid pi_1", payment_id="pay_1", attempt=2, done=True, nothing=None)

        line = lines.last()

        assert ("paid pi_1", "pay_1", 2, True, None) == (
            line["message"],
            line["payment_id"],
            line["attempt"],
            line["done"],
            line["nothing"],
        )
