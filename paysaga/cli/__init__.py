"""`payment-cli`: Paysaga from the command line, through its API and never its database."""

from paysaga.cli.commands import main

__all__ = ["main"]
