"""Our own rules, each with its reason: a rule that no test holds is soon forgotten."""

import ast
import io
import os
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest
from pydantic import BaseModel

from paysaga.settings import Settings

ROOT: Final = Path(__file__).parents[1]
ROOMS: Final = ("workflows", "activities", "worker", "api", "paysaga")
PRODUCT: Final = tuple(
    sorted(path for room in (*ROOMS, "benchmarks") for path in (ROOT / room).rglob("*.py"))
)
TESTS: Final = tuple(sorted((ROOT / "tests").rglob("*.py")))

MODULE_LINES: Final = 300
FUNCTION_LINES: Final = 60
# Longer today, and not to grow much further; whoever divides one takes it off this list.
LONG_MODULES: Final = {
    "activities/stripe_calls.py": 420,
    "paysaga/domain/transitions.py": 385,
    "workflows/payment.py": 590,
}

BUCKETS: Final = frozenset(
    {
        *("base", "common", "core", "helper", "helpers", "manager", "managers", "misc", "service"),
        *("services", "shared", "util", "utils"),
    }
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=_name(path))


@cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(_tree(path)))


def _functions(path: Path) -> Iterator[Function]:
    for node in _nodes(path):
        if isinstance(node, Function):
            yield node


def _at(path: Path, node: ast.expr | ast.stmt) -> str:
    return f"{_name(path)}:{node.lineno}"


def _files() -> Iterator[tuple[Path, str]]:
    """Every text that is ours. Hidden folders hold caches, but for our checks' own."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(
            name
            for name in folders
            if name == ".ci" or not name.startswith((".", "__pycache__", "dist"))
        )
        for name in sorted(names):
            path = Path(folder) / name
            if name.startswith(".") and name not in {".env.example", ".gitignore"}:
                continue
            try:
                yield path, path.read_text()
            except UnicodeDecodeError:
                continue


class TestSize:
    def test_module_is_read_in_one_sitting(self) -> None:
        """A module beyond 300 lines holds more than one idea."""
        too_long = [
            f"{_name(path)}: {_lines(path)}"
            for path in PRODUCT
            if _lines(path) > LONG_MODULES.get(_name(path), MODULE_LINES)
        ]

        assert [] == too_long

    def test_list_of_long_modules_is_kept(self) -> None:
        """A module that has become short leaves the list, so that it stays short."""
        long = {_name(path) for path in PRODUCT if _lines(path) > MODULE_LINES}

        assert set(LONG_MODULES) == long

    def test_function_fits_a_screen(self) -> None:
        """What does not fit a screen is not seen as a whole."""
        too_long = [
            f"{_at(path, function)} {function.name}"
            for path in PRODUCT
            for function in _functions(path)
            if (function.end_lineno or 0) - function.lineno >= FUNCTION_LINES
        ]

        assert [] == too_long


class TestNames:
    def test_no_module_is_a_bucket(self) -> None:
        """A name that says nothing collects everything."""
        buckets = [
            _name(path)
            for path in (*PRODUCT, *TESTS)
            if BUCKETS & {path.stem, *(part.strip("_") for part in path.relative_to(ROOT).parts)}
        ]

        assert [] == buckets

    @pytest.mark.parametrize("room", ROOMS)
    def test_room_is_ours(self, room: str) -> None:
        """`api` or `worker` may be a package of somebody else: here they are the project's own."""
        spec = find_spec(room)

        assert spec is not None
        assert spec.origin is not None
        assert Path(spec.origin).is_relative_to(ROOT)


class TestMoney:
    def test_domain_knows_no_float(self) -> None:
        """Money is a whole number of minor units; a float loses cents."""
        floats = [
            _at(path, node)
            for path in sorted((ROOT / "paysaga/domain").rglob("*.py"))
            for node in _nodes(path)
            if (isinstance(node, ast.Constant) and isinstance(node.value, float))
            or (isinstance(node, ast.Name) and node.id == "float")
        ]

        assert [] == floats


class TestWorkflows:
    def test_update_that_changes_something_has_a_validator(self) -> None:
        """A request is refused before it is in the history, or not at all.

        An update that changes nothing (`first_outcome`) has nothing to refuse.
        """
        unguarded = []
        for path in sorted((ROOT / "workflows").rglob("*.py")):
            functions = list(_functions(path))
            guarded = {
                ast.unparse(decorator).removesuffix(".validator")
                for function in functions
                for decorator in function.decorator_list
            }
            unguarded += [
                f"{_at(path, function)} {function.name}"
                for function in functions
                if _is_update(function) and _changes_self(function) and function.name not in guarded
            ]

        assert [] == unguarded

    def test_patches_have_one_place(self) -> None:
        """Each flag of a changed workflow is a named function with its day of removal."""
        elsewhere = [
            _at(path, node)
            for path in PRODUCT
            for node in _nodes(path)
            if isinstance(node, ast.Attribute | ast.Name)
            and ast.unparse(node).split(".")[-1] in {"patched", "deprecate_patch"}
            and _name(path) != "workflows/patches.py"
        ]

        assert [] == elsewhere


class TestTests:
    def test_test_states_its_promise(self) -> None:
        """When it fails, the docstring says what no longer holds."""
        silent = [
            f"{_at(path, function)} {function.name}"
            for path in TESTS
            for function in _functions(path)
            if function.name.startswith("test_") and not ast.get_docstring(function)
        ]

        assert [] == silent

    def test_nothing_waits_by_the_clock(self) -> None:
        """A sleep is too short on a slow machine and too long on every other.

        What other processes bring about has no event: it is polled, with a limit, and only by a
        function that is named `until`. The run's own clock (`env.sleep`) is no clock on the wall.
        """
        sleeps = [
            _at(path, node)
            for path in TESTS
            for function in _functions(path)
            if function.name.strip("_") != "until"
            for node in ast.walk(function)
            if isinstance(node, ast.Attribute)
            and ast.unparse(node) in {"time.sleep", "asyncio.sleep", "anyio.sleep"}
        ]

        assert [] == sleeps

    def test_nothing_is_patched(self) -> None:
        """A test that replaces our code tests something else.

        Fakes stand where the product has a place for them; the environment may be set, and so may
        a limit in capitals (half a second instead of ten).
        """
        patched = []
        for path in TESTS:
            tree = _tree(path)
            modules = _our_modules(tree)
            patched += [
                _at(path, node)
                for node in _nodes(path)
                if (isinstance(node, ast.Import | ast.ImportFrom) and _brings_mocks(node))
                or (isinstance(node, ast.Call) and _replaces_ours(node, modules))
            ]

        assert [] == patched


class TestTexts:
    def test_nothing_is_left_for_later(self) -> None:
        """A note in a comment is a promise that nobody reads: it is done, or it is an issue."""
        later = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3]) + r")\b")
        left = [
            f"{_name(path)}: {comment}"
            for path in (*PRODUCT, *TESTS)
            for comment in _comments(path)
            if later.search(comment) and "refuses every" not in comment
        ]
        pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        left += [_name(page) for page in pages if later.search(page.read_text())]

        assert [] == left

    def test_nothing_names_a_machine_or_an_index(self) -> None:
        """The repository is good on every machine: no path of one, and no package index's host.

        The two files that hold this rule name what they look for.
        """
        hosts = ["pypi.org", "pythonhosted.org", "registry.npmjs.org", "index-url", "devpi"]
        paths = ["/work" + "/", "/root" + "/"]
        banned = re.compile("|".join(re.escape(word) for word in (*hosts, *paths)))
        rules = {"tests/test_house_rules.py", "tests/test_documentation.py"}

        found = [
            f"{_name(path)}: {match[0]}"
            for path, text in _files()
            if _name(path) not in rules and (match := banned.search(_without_flags(text)))
        ]

        assert [] == found


class TestSettings:
    def test_every_variable_is_in_the_example(self) -> None:
        """Whoever deploys reads one file: each variable with its default, or as a comment."""
        example = (ROOT / ".env.example").read_text()
        told = dict(re.findall(r"^(?:# )?([A-Z][A-Z_]+)=(.*)$", example, re.MULTILINE))
        unset = set(re.findall(r"^# ([A-Z][A-Z_]+)=", example, re.MULTILINE))
        defaults = {
            name.upper(): _written(field.default) for name, field in Settings.model_fields.items()
        }

        assert {} == {
            name: (default, told.get(name))
            for name, default in defaults.items()
            if (told.get(name) or None) != (default or None) or (default is None) > (name in unset)
        }


def _lines(path: Path) -> int:
    return 0 if "migrations" in path.parts else len(path.read_text().splitlines())


def _comments(path: Path) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def _without_flags(text: str) -> str:
    """`--no-emit-index-url` keeps an index out: it is no mention of one."""
    return text.replace("--no-emit-index-url", "")


def _is_update(function: Function) -> bool:
    return any(
        ast.unparse(decorator).split("(")[0] == "workflow.update"
        for decorator in function.decorator_list
    )


def _changes_self(function: Function) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and ast.unparse(node.value) == "self"
        for node in ast.walk(function)
    )


def _our_modules(tree: ast.Module) -> set[str]:
    """The names under which a test knows the product's modules and classes."""
    return {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if (getattr(node, "module", None) or alias.name).split(".")[0] in ROOMS
    }


def _brings_mocks(node: ast.Import | ast.ImportFrom) -> bool:
    modules = {getattr(node, "module", None) or "", *(alias.name for alias in node.names)}
    return bool(modules & {"mock", "unittest.mock", "pytest_mock"})


def _replaces_ours(call: ast.Call, modules: set[str]) -> bool:
    """Whether it is a `setattr` of a fixture on our code, and of more than a limit."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in {"setattr", "delattr"}:
        return False
    target = call.args[0]
    if isinstance(target, ast.Constant):
        return str(target.value).split(".")[0] in ROOMS
    name = call.args[1]
    is_limit = isinstance(name, ast.Constant) and str(name.value).isupper()
    return ast.unparse(target).split(".")[0] in modules and not is_limit


def _written(default: object) -> str | None:
    """A default as it stands in an environment file."""
    match default:
        case None:
            return None
        case bool():
            return str(default).lower()
        case tuple():
            return ",".join(str(item) for item in default)
        case BaseModel():
            return default.model_dump_json(exclude_defaults=True)
        case _ if hasattr(default, "get_secret_value"):
            return str(default.get_secret_value())
        case _:
            return str(default)
