"""How a command fails: one sentence and an exit code."""

from typing import ClassVar


class CliError(Exception):
    """The message is for the person at the terminal."""

    exit_code: ClassVar[int]


class Refused(CliError):
    """The other side understood and said no, or has no such thing."""

    exit_code = 1


class WrongUsage(CliError):
    """What was typed cannot be meant."""

    exit_code = 2


class CannotAsk(CliError):
    """There was nobody to ask, or nothing to ask with."""

    exit_code = 2
