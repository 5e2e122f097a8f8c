"""Temporal's own server, as the workflows' tests have it."""

from tests.workflows.conftest import house

__all__ = ["house"]
