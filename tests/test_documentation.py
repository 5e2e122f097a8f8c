"""The documents say what the code does: names, routes, variables and figures are compared."""

import importlib.util
import json
import re
import shlex
import subprocess
import sys
import tomllib
import typing
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from pydantic import BaseModel
from pydantic_settings import BaseSettings

from activities.checkout_calls import CheckoutCalls
from activities.saved_methods import MethodCalls
from activities.stripe_audit import StripeAudit
from activities.stripe_calls import StripeCalls
from activities.sweeping import EventList
from api.app import create_app
from api.views import RefundQuoteView
from paysaga.cli.commands import app as cli
from paysaga.demo.purchases import PURCHASES
from paysaga.demo.settings import DemoSettings
from paysaga.demo.shop.order_service import router as order_service
from paysaga.demo.shop.settings import ShopSettings
from paysaga.domain import payment, saved_method
from paysaga.domain.declines import decline_for
from paysaga.domain.method_event import LISTENED_FOR
from paysaga.domain.money import AmountProblem, Money, percent_of
from paysaga.domain.reasons import Reason
from paysaga.domain.refund_policy import STANDARD, Asker, promised
from paysaga.domain.repairs import RepairKind
from paysaga.refund_settings import RefundSettings
from paysaga.settings import Settings
from paysaga.simulator.control import Control
from paysaga.simulator.faults import Kind
from paysaga.simulator.settings import SimulatorSettings
from paysaga.starting.refusals import NotStarted
from tests.end_to_end.demo_process import demo_process, environment_for
from worker import order_messages, order_taking
from worker.reconciling import DAILY
from workflows import addresses
from workflows.addresses import SEARCH_ATTRIBUTES

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda page: page.as_posix()
)
# What the command line, the tests and docker compose read besides the settings.
OTHER_VARIABLES: Final = {
    "BENCH_SECONDS",
    "OUTAGE",
    "PAYSAGA_API_URL",
    "PAYSAGA_TOKEN",
    "POSTGRESQL",
    "POSTGRES_PASSWORD",
    "RABBITMQ_PASSWORD",
    "SAGAS",
    "SEED",
    "SIMULATOR_REPLICAS",
    "STRIPE_CLI",
    "STRIPE_OPENAPI",
    "STRIPE_TEST_KEY",
    "TEST_AMQP_URL",
    "TEST_POSTGRES_URL",
    "TEST_REDIS_URL",
}


# The demo's ports as the pages tell them, by the variable that moves each.
PORTS: Final = {
    str(field.default): f"DEMO_{name}".upper()
    for name, field in DemoSettings.model_fields.items()
    if name.endswith("_port")
}


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _code(text: str) -> list[str]:
    """Fenced blocks (without mermaid) and inline code."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", _prose(text))
    return [block for language, block in blocks if language != "mermaid"] + inline


def _prose(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def _all_code() -> str:
    return "\n".join(part for page in PAGES for part in _code(page.read_text()))


def _slug(heading: str) -> str:
    """A heading's anchor, as the forge makes it."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", _prose(page.read_text()), re.MULTILINE)
    return {_slug(heading) for heading in headings}


def _table(page: str, *, after: str) -> list[list[str]]:
    """The rows of the first table after a text."""
    text = (ROOT / page).read_text()
    lines = text[text.index(after) + len(after) :].splitlines()
    rows: list[list[str]] = []
    for line in lines:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            break
    return rows[2:]


def _shape(path: str) -> str:
    """A path with all its variable parts alike."""
    return re.sub(r"\{[^}]*\}|\$\w+", "{}", path.partition("?")[0]).rstrip("/") or "/"


def _routes() -> set[tuple[str, str]]:
    """Every route of the API, of the demo's order service and of the simulator's control."""
    document = create_app(Settings()).openapi()
    found = {
        (method.upper(), _shape(path))
        for path, operations in document["paths"].items()
        for method in operations
    }
    found |= {(method, path.removeprefix("/api/v1")) for method, path in found}
    for route in order_service.routes:
        methods: set[str] = getattr(route, "methods", set())
        found |= {(method, _shape(getattr(route, "path", ""))) for method in methods}
    for control in Control.__new__(Control).routes():
        found |= {(method, _shape(f"/_control{control.path}")) for method in control.methods or ()}
    return found


class TestLinks:
    @pytest.mark.parametrize("page", PAGES, ids=_name)
    def test_every_link_leads_somewhere(self, page: Path) -> None:
        """A link to a page or to a heading of it is good in a checkout, without the network."""
        broken = []
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            if not there.exists() or (anchor and anchor not in _anchors(there)):
                broken.append(target)

        assert [] == broken

    def test_every_page_is_found_from_the_readme(self) -> None:
        """No page of the documentation is an orphan."""
        seen: set[Path] = set()
        todo = [ROOT / "README.md"]
        while todo:
            page = todo.pop()
            if page in seen or page.suffix != ".md":
                continue
            seen.add(page)
            targets = re.findall(r"\]\((?![a-z]+:)([^)#\s]+)", page.read_text())
            todo.extend((page.parent / target).resolve() for target in targets)

        assert [] == [_name(page) for page in PAGES if page not in seen]

    def test_every_file_that_is_named_exists(self) -> None:
        """`workflows/payment.py` and its like are there."""
        roots = "workflows|activities|worker|api|paysaga|tests|benchmarks|docs|requirements"
        named = re.findall(rf"(?<![\w/.-])((?:{roots})/[\w./-]*\w)", _all_code())

        assert {"workflows/payment.py"} <= set(named)
        assert [] == sorted({path for path in named if not list(ROOT.glob(f"{path}*"))})


class TestCommands:
    def test_every_make_target_exists(self) -> None:
        """What a page says to `make` is on the menu."""
        makefile = (ROOT / "Makefile").read_text()
        targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
        named = set(re.findall(r"(?:^|[\s`])make ([a-z][a-z-]*)", _all_code()))

        assert {"demo", "test"} <= named
        assert set() == named - targets

    def test_every_module_can_be_run(self) -> None:
        """`python -m …` names a package with a `__main__`, or a module."""
        for module in set(re.findall(r"python -m ([\w.]+)", _all_code())):
            spec = importlib.util.find_spec(module)
            assert spec is not None, module
            if spec.submodule_search_locations is not None:
                assert importlib.util.find_spec(f"{module}.__main__"), module

    def test_every_command_of_the_command_line_exists(self) -> None:
        """Each `payment-cli …` in the pages is a command with these options."""
        lines = re.findall(r"payment-cli((?: [^`\n|#)]*)?)", _all_code())
        wrong = [line for line in lines if not _is_known(shlex.split(line))]

        assert " token --role service --subject shop" in lines
        assert [] == wrong

    def test_every_command_of_the_command_line_is_documented(self) -> None:
        """A new command comes with its line in the guide."""
        guide = (ROOT / "docs/cli.md").read_text()

        assert [] == [name for name in _commands() if f"payment-cli {name}" not in guide]

    def test_the_demo_plays_as_many_purchases_as_the_readme_says(self) -> None:
        """Eleven."""
        assert "plays eleven purchases" in " ".join((ROOT / "README.md").read_text().split())
        assert 11 == len(PURCHASES)


def _is_known(words: list[str]) -> bool:
    command: Any = typer.main.get_command(cli)
    words = [word for word in words if word != "..."]
    while words and hasattr(command, "commands") and words[0] in command.commands:
        command = command.commands[words.pop(0)]
    if hasattr(command, "commands"):
        return not words
    options = {name for param in command.params for name in param.opts + param.secondary_opts}
    return {word for word in words if word.startswith("--")} <= options


def _commands() -> Iterator[str]:
    group: Any = typer.main.get_command(cli)
    for name, command in group.commands.items():
        below = getattr(command, "commands", None)
        if below is None:
            yield name
        else:
            yield from (f"{name} {inner}" for inner in below)


class TestRoutes:
    def test_every_route_exists(self) -> None:
        """`POST /payments/{id}/retry` and its like are routes, with this method."""
        text = "\n".join(page.read_text() for page in PAGES)
        named = re.findall(r"\b(GET|POST|PATCH|DELETE)\s+(/[\w{}$/-]+)", text)
        known = _routes()

        assert ("POST", "/payments/{id}/cancel") in named
        assert [] == [route for route in named if (route[0], _shape(route[1])) not in known]

    def test_every_address_in_an_example_exists(self) -> None:
        """What a reader is told to call with curl or to open answers there."""
        text = "\n".join(page.read_text() for page in PAGES)
        pages = {"/", "/docs", "/return", "/back-office", "/back-office/mails", ""}
        known = {path for _, path in _routes()} | pages | {"/v1/payment_methods"}  # as Stripe's
        paths = re.findall(r"http://127\.0\.0\.1:\d+(/[\w{}$/-]*)?", text)

        assert [] == sorted({path for path in paths if path and _shape(path) not in known})


class TestRefunds:
    def test_the_terms_in_the_page_are_the_standard(self) -> None:
        """What is shipped is what is written, and what may be copied is read."""
        terms, quote = _json_blocks("docs/refunds.md")

        read = RefundSettings.model_validate({"refund_policy": json.dumps(terms)})

        assert STANDARD == read.refund_policy
        assert list(RefundQuoteView.model_fields) == list(quote)

    def test_the_quote_in_the_page_is_the_one_that_is_told(self) -> None:
        """The example's figures follow from the example's terms."""
        quote = RefundQuoteView.model_validate(_json_blocks("docs/refunds.md")[1])
        paid = datetime(2026, 11, 1, tzinfo=UTC)

        promise = promised(STANDARD, paid, date(2026, 12, 3), Asker.CUSTOMER, quote.at)

        assert (quote.percent, quote.until, quote.why) == promise
        assert percent_of(Money(minor=quote.amount_left, currency="EUR"), 50).minor == quote.amount


class TestVariables:
    def test_every_variable_is_read_by_something(self) -> None:
        """A name in capitals with an underscore is a variable that the code knows."""
        known = {
            name.upper() for kind in (Settings, SimulatorSettings) for name in kind.model_fields
        }
        known |= {f"DEMO_{name.upper()}" for name in DemoSettings.model_fields}
        known |= {name.upper() for name in ShopSettings.model_fields} | OTHER_VARIABLES
        named = set(re.findall(r"(?<![\w$])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?!\w)", _all_code()))

        assert {"STRIPE_SECRET_KEY"} <= named
        assert set() == {name for name in named if name not in known}

    @pytest.mark.parametrize("kind", [Settings, SimulatorSettings, DemoSettings])
    def test_configuration_lists_every_variable_with_its_default(
        self, kind: type[BaseSettings]
    ) -> None:
        """The page of variables is complete and up to date."""
        told = dict(
            re.findall(
                r"^\| `([A-Z_0-9]+)` \| (.*?) \|",
                (ROOT / "docs/configuration.md").read_text(),
                re.MULTILINE,
            )
        )
        prefix = kind.model_config.get("env_prefix", "")

        wrong = {}
        for name, field in kind.model_fields.items():
            variable = f"{prefix}{name}".upper()
            if variable != "DEMO_TEMPORAL_BINARY" and told.get(variable) != _told(field.default):
                wrong[variable] = told.get(variable)

        assert {} == wrong


def _told(default: Any) -> str:
    """A default as the page and `.env.example` write it."""
    if default is None:
        return "none"
    if hasattr(default, "get_secret_value"):
        default = default.get_secret_value()
    if isinstance(default, BaseModel):
        default = default.model_dump_json(exclude_defaults=True)
    if isinstance(default, bool):
        default = str(default).lower()
    if isinstance(default, tuple):
        default = ",".join(default)
    return f"`{default}`" if str(default) else "empty"


def _ways(first: str, moves: Mapping[Any, Collection[str]]) -> list[tuple[str, str]]:
    """A state machine's ways, from its first state on."""
    ways = [(str(one), str(other)) for one, others in moves.items() for other in others]
    return sorted([("[*]", first), *ways])


def _arrows(page: str) -> list[tuple[str, str]]:
    """The arrows of the page's state diagram."""
    _, _, diagram = (ROOT / page).read_text().partition("stateDiagram-v2")
    drawn = re.findall(r"^\s*(\S+) --> (\S+)$", diagram.partition("```")[0], re.MULTILINE)
    return sorted(drawn)


class TestPaymentFlow:
    def test_the_state_diagram_is_the_state_machine(self) -> None:
        """Each arrow is a move, and each move is an arrow."""
        assert _ways("created", payment.MOVES) == _arrows("docs/payment-flow.md")

    def test_every_status_is_explained(self) -> None:
        """The table under the diagram has a line for each."""
        rows = _table("docs/payment-flow.md", after="canceled --> needs_operator\n```")

        assert {f"`{status}`" for status in payment.PaymentStatus} == {row[0] for row in rows}

    def test_declines_are_told_as_documented(self) -> None:
        """Code and sentence are the decline table's own."""
        rows = _table("docs/payment-flow.md", after="`paysaga/domain/declines.py` has them all")
        for code, told, message in rows:
            decline = decline_for(code.strip("`"))
            assert (decline.code, decline.message) == (told.strip("`"), message)

        assert rows

    def test_the_actions_add_up(self) -> None:
        """The billable actions in the table sum to the number below it."""
        rows = _table("docs/payment-flow.md", after="## What a checkout costs")
        figures = [int(cell.strip("*")) for _, cell in rows]

        assert sum(figures[:-1]) == figures[-1] == 7


class TestSavedMethods:
    def test_the_state_diagram_is_the_state_machine(self) -> None:
        """Each arrow is a move, and each move is an arrow."""
        assert _ways("processing", saved_method.MOVES) == _arrows("docs/saved-methods.md")

    def test_every_status_is_explained(self) -> None:
        """The table under the diagram has a line for each."""
        rows = _table("docs/saved-methods.md", after="active --> removed\n```")

        assert [f"`{status}`" for status in saved_method.SavedMethodStatus] == [
            row[0] for row in rows
        ]


class TestBroker:
    def test_the_order_in_the_page_is_taken(self) -> None:
        """Whoever copies it starts a payment; every field is in the table, and no other."""
        [order] = _json_blocks("docs/broker.md")[:1]
        fields = [
            name for row in _table("docs/broker.md", after="## An order") for name in _names(row[0])
        ]

        read = order_messages.read(json.dumps(order).encode(), Settings())

        assert order == read.model_dump(mode="json")
        assert sorted(order_messages.StockConfirmed.model_fields) == sorted(fields) == sorted(order)

    def test_the_refusal_in_the_page_is_the_one_that_is_sent(self) -> None:
        """Field by field."""
        refusal = _json_blocks("docs/broker.md")[1]

        assert list(order_messages.PaymentRefused.model_fields) == list(refusal)
        order_messages.PaymentRefused.model_validate(refusal)

    def test_every_reason_of_a_dead_letter_is_explained(self) -> None:
        """Operators find what to do about each, and none that does not exist."""
        rows = _table("docs/broker.md", after="## Dead letters")
        told = [code for row in rows for code in _names(row[0])]

        refusals = {refusal.code for refusal in _below(NotStarted)}
        assert refusals > {order_taking.KeyReused.code, order_taking.RunEnded.code}
        malformed = {"malformed_json", "validation_failed", "body_too_large", "internal_error"}
        known = refusals | malformed | {order_messages.HoldsCardNumber().code}
        assert sorted(known | set(typing.get_args(AmountProblem))) == sorted(told)


def _below(kind: type[NotStarted]) -> Iterator[type[NotStarted]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def _names(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def _json_blocks(page: str) -> list[dict[str, Any]]:
    return [
        json.loads(block)
        for block in re.findall(r"```json\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    ]


class TestOtherPages:
    def test_the_webhook_events_are_the_ones_that_nudge(self) -> None:
        """Whoever subscribes to the documented list misses nothing and gets nothing for nothing."""
        text = (ROOT / "docs/stripe.md").read_text()
        block = text[text.index("exactly these") :].split("```")[1]

        assert sorted(LISTENED_FOR) == block.removeprefix("text").split()

    def test_every_reason_is_explained(self) -> None:
        """Shops branch on these words."""
        text = (ROOT / "docs/payment-flow.md").read_text()
        table = text[text.index("## Every reason") :]

        assert [] == [reason.value for reason in Reason if f"`{reason}`" not in table]

    def test_the_layers_are_import_linters(self) -> None:
        """The architecture's picture of who may know whom is the enforced one."""
        contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
        text = (ROOT / "docs/architecture.md").read_text()
        block = text[text.index("Downwards only") :].split("```")[1]

        assert contracts["contracts"][0]["layers"] == block.removeprefix("text\n").splitlines()

    def test_queries_use_registered_search_attributes(self) -> None:
        """What an operator is told to type finds something."""
        text = (ROOT / "README.md").read_text() + (ROOT / "docs/operating.md").read_text()
        named = set(re.findall(r"\b([A-Z][A-Za-z]+) (?:=|<|>=) [\"\d]", text))

        assert {"OrderId", "GatewayId"} <= named
        assert named <= {key.name for key in SEARCH_ATTRIBUTES} | {"ExecutionStatus"}

    def test_whoever_needs_an_operator_is_found_while_it_lasts(self) -> None:
        """A payment's own run stays as it ended, long after its repair: only open runs count."""
        rows = _table("docs/operating.md", after="A payment's run has the payment's id")
        [query] = [row[1] for row in rows if "needs_operator" in row[1]]

        assert "ExecutionStatus" in query

    def test_operators_are_told_of_every_schedule(self) -> None:
        """What happens by the clock is on one page."""
        text = (ROOT / "docs/operating.md").read_text()
        told = text[text.index("three schedules") :].split("lists their runs")[0]

        schedules = {addresses.SWEEP, addresses.INBOX_CLEANUP, DAILY}
        assert schedules == set(re.findall(r"`([\w-]+)`", told))

    def test_load_tells_of_everything_that_calls_the_gateway(self) -> None:
        """The limit counts activities: for each the page says how many calls that is."""
        rows = _table("docs/operating.md", after="## Load")

        told = {name for row in rows for name in re.findall(r"`(\w+)`", row[0])}
        made = [
            name
            for kind in (StripeCalls, CheckoutCalls, StripeAudit, MethodCalls, EventList)
            for name, it in vars(kind).items()
            if hasattr(it, "__temporal_activity_definition")
        ]
        assert sorted(made) == sorted(told)

    def test_every_module_of_the_workflows_is_found(self) -> None:
        """Whoever looks for a part of a payment's life finds where it is."""
        text = (ROOT / "docs/architecture.md").read_text()

        modules = [_name(path) for path in (ROOT / "workflows").glob("[!_]*.py")]
        assert [] == [name for name in modules if f"`{name}`" not in text]

    def test_key_may_read_what_a_reconciliation_asks_for(self) -> None:
        """Balance transactions with what is behind them need permissions of their own."""
        rows = _table("docs/stripe.md", after="A restricted key")

        assert {"Balance", "Balance transaction sources"} <= {row[0] for row in rows}

    def test_operators_are_told_of_reasons_that_exist(self) -> None:
        """Each reason of a parked payment is a word that the code writes."""
        rows = _table("docs/operating.md", after="## Payments that need an operator")

        assert {row[0].strip("`") for row in rows} <= set(Reason)
        assert len(rows) >= 3

    def test_operators_are_told_of_every_repair(self) -> None:
        """The runbook has what `payment-cli payments repair` takes, and nothing else."""
        rows = _table("docs/operating.md", after="### Repairs")

        assert [kind.value for kind in RepairKind] == [row[0].strip("`") for row in rows]

    def test_the_faults_are_the_simulators(self) -> None:
        """The list of misfortunes is complete."""
        rows = _table("docs/testing.md", after="Its kinds:")
        listed = [kind for row in rows for kind in re.findall(r"`(\w+)`", row[0])]

        assert sorted(typing.get_args(Kind)) == sorted(listed)

    def test_every_decision_is_in_the_index(self) -> None:
        """Decisions are numbered without a gap, and listed under their own title."""
        index = (ROOT / "docs/decisions/README.md").read_text()
        pages = sorted((ROOT / "docs/decisions").glob("0*.md"))

        assert [f"{n:04}" for n in range(1, len(pages) + 1)] == [page.name[:4] for page in pages]
        for page in pages:
            title = page.read_text().splitlines()[0].removeprefix(f"# {page.name[:4]}: ")
            assert f"[{page.name[:4]}]({page.name}) | {title} |" in index

    def test_no_page_names_a_machine_or_an_index(self) -> None:
        """What is written here is good on every machine."""
        files = [*PAGES, ROOT / ".ci/run", ROOT / ".env.example", ROOT / "Dockerfile"]
        banned = r"/work/|/root/|pypi\.org|pythonhosted|npmjs"

        assert [] == [_name(page) for page in files if re.search(banned, page.read_text())]


@pytest.mark.full
class TestReadme:
    @pytest.mark.timeout(240)
    def test_its_example_works_against_the_demo(self, tmp_path: Path) -> None:
        """Typed as they stand, the README's commands pay an order through 3-D Secure."""
        environment = environment_for(tmp_path / "state")
        _, _, text = (ROOT / "README.md").read_text().partition("## Pay an order by hand")
        script = "\n".join(["set -eu", *re.findall(r"```sh\n(.*?)```", text, re.DOTALL)])
        script = script.replace(".venv/bin/payment-cli", f"{sys.executable} -m paysaga.cli")
        for usual, variable in PORTS.items():
            script = script.replace(f":{usual}", f":{environment[variable]}")

        with demo_process(tmp_path / "state", "--serve-only", environment=environment) as demo:
            demo.wait_for("Serving until Ctrl-C")
            done = subprocess.run(
                ["bash", "-c", script],
                cwd=tmp_path,
                env={**environment, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

        assert 0 == done.returncode, done.stderr
        assert "waits for the customer at http://" in done.stdout
        assert '"status":"succeeded"' in done.stdout
        assert "order confirmed" in done.stdout
