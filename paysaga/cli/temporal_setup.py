"""Registers the search attributes at the Temporal server that the settings name."""

import asyncio
from datetime import timedelta
from typing import Any, Final

import typer
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from paysaga.cli.trouble import CannotAsk, Refused
from paysaga.settings import Settings
from paysaga.temporal import connect
from workflows.addresses import SEARCH_ATTRIBUTES

PATIENCE: Final = timedelta(seconds=10)


def run(settings: Settings) -> None:
    """Add what is missing, and say what was done.

    Raises:
        CannotAsk: Temporal does not answer.
        Refused: It will not have them.
    """
    asyncio.run(register(settings))


async def register(settings: Settings) -> None:
    """The same, for code that is asynchronous already."""
    try:
        client = await connect(settings)
        missing = await _missing(client)
        if missing:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing),
                timeout=PATIENCE,
            )
    except RuntimeError as error:
        raise CannotAsk(
            f"Temporal does not answer at {settings.temporal_address}: start it, or set"
            " TEMPORAL_ADDRESS."
        ) from error
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:  # another setup was a moment faster
            raise Refused(f"Temporal refused: {error.message}") from error
    have = len(SEARCH_ATTRIBUTES) - len(missing)
    typer.echo(f"{len(missing)} search attributes registered, {have} were there already.")


async def _missing(client: Client) -> dict[str, "IndexedValueType.ValueType"]:
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace), timeout=PATIENCE
    )
    missing: dict[str, IndexedValueType.ValueType] = {}
    for key in SEARCH_ATTRIBUTES:
        kind = known.custom_attributes.get(key.name)
        if kind is None:
            missing[key.name] = IndexedValueType.Value(_name(key))
        elif kind != IndexedValueType.Value(_name(key)):
            raise Refused(
                f"The namespace {client.namespace} has a search attribute {key.name} of another"
                " type: remove that one, or use another namespace."
            )
    return missing


def _name(key: SearchAttributeKey[Any]) -> str:
    return f"INDEXED_VALUE_TYPE_{key.indexed_value_type.name}"
