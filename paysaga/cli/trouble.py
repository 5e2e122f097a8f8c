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


class Disagree(CliError):
    """It was compared, and it does not all agree."""

    exit_code = 3


class NotAllowed(CliError):
    """The token is not taken, or its role may not do this."""

    exit_code = 4


class NoAnswerYet(CliError):
    """The API cannot answer now, or what was asked for is not done yet."""

    exit_code = 5
