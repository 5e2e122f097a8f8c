"""`python -m api` and `python -m worker` as typed by a person who looks for help."""

from collections.abc import Callable, Sequence

import pytest

import api.__main__
import worker.__main__


@pytest.mark.parametrize("main", [api.__main__.main, worker.__main__.main])
def test_arguments_are_refused(
    main: Callable[[Sequence[str]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A server that takes no arguments says so in one line, and does not start.
    """
    code = main(["--help"])

    printed = capsys.readouterr()
    assert (2, "") == (code, printed.out)
    assert printed.err.startswith(f"usage: python -m {main.__module__.partition('.')[0]}")
    assert 1 == len(printed.err.splitlines())
