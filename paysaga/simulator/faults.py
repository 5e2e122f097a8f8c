"""Scripted misfortunes of API calls: armed in advance, drawn when a call arrives."""

import json
import random
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from paysaga.simulator.ids import new_id
from paysaga.simulator.storage import Body, Storage

Kind = Literal[
    "refuse_before",
    "effect_reply_lost",
    "effect_reply_late",
    "hang",
    "rate_limit",
    "sticky_500",
    "key_in_use",
    "decline",
    "parameter_mismatch",
]
_UNSPENT = (
    "SELECT body FROM faults WHERE body ->> '$.operation' IN ('*', ?)"
    " AND coalesce(body ->> '$.fired' < body ->> '$.times', 1) ORDER BY rowid"
)
_NAMING = ("payment_intent", "charge", "customer", "payment_method")


class Fault(BaseModel):
    """One armed misfortune of the calls to `operation` (`*` is any).

    Lets `skip` matching calls pass, then fires `times` times (None: always) with `probability`.
    `match` holds metadata the call or its object must carry; its key `object` names an object.
    `status` is for `refuse_before`: without one the connection is closed. `seconds` is how late a
    late reply is, or how long a call hangs.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = Field(default_factory=lambda: new_id("flt_"))
    operation: Annotated[str, Field(pattern=r"^(\*|[a-z_]+\.[a-z_]+)$")]
    kind: Kind
    times: Annotated[int, Field(ge=1)] | None = 1
    skip: Annotated[int, Field(ge=0)] = 0
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    match: dict[str, str] = Field(default_factory=dict)
    seconds: Annotated[float, Field(ge=0, le=86_400)] = 30.0
    retry_after: Annotated[int, Field(ge=0)] = 1
    decline_code: str = "generic_decline"
    status: Annotated[int, Field(ge=500, le=599)] | None = None
    effect: bool = True
    seen: int = 0
    fired: int = 0


def arm(storage: Storage, fault: Fault) -> None:
    """Keep the fault until it has fired, across restarts."""
    storage.execute(
        "INSERT OR REPLACE INTO faults (id, body) VALUES (?, ?)",
        (fault.id, fault.model_dump_json()),
    )


def armed(storage: Storage) -> list[Fault]:
    """List the faults in the order in which they were armed, spent ones included."""
    rows = storage.rows("SELECT body FROM faults ORDER BY rowid")
    return [Fault.model_validate_json(row["body"]) for row in rows]


def disarm(storage: Storage) -> None:
    """Forget all of them."""
    storage.execute("DELETE FROM faults")


def draw(
    storage: Storage, chance: random.Random, operation: str, target: str, params: Mapping[str, Any]
) -> Fault | None:
    """Take the first armed fault that meets this call, and count it."""
    for row in storage.rows(_UNSPENT, (operation,)):
        fault = Fault.model_validate_json(row["body"])
        if fault.match and not _meets(storage, fault.match, target, params):
            continue
        passes = fault.seen < fault.skip or (
            fault.probability < 1 and chance.random() >= fault.probability
        )
        counted = fault.model_copy(
            update={"seen": fault.seen + 1, "fired": fault.fired + (not passes)}
        )
        storage.execute(
            "UPDATE faults SET body = ? WHERE id = ?", (counted.model_dump_json(), fault.id)
        )
        if not passes:
            return counted
    return None


def _meets(
    storage: Storage, wanted: dict[str, str], target: str, params: Mapping[str, Any]
) -> bool:
    named = [target, *(str(params[name]) for name in _NAMING if name in params)]
    wanted_object = wanted.get("object")
    if wanted_object is not None and wanted_object not in named:
        return False
    metadata: Body = {}
    for identifier in named:
        metadata |= _metadata_of(storage, identifier)
    given = params.get("metadata")
    metadata |= given if isinstance(given, dict) else {}
    return all(metadata.get(key) == value for key, value in wanted.items() if key != "object")


def _metadata_of(storage: Storage, identifier: str) -> Body:
    row = storage.execute(
        "SELECT body -> '$.metadata' AS metadata FROM objects WHERE id = ?", (identifier,)
    ).fetchone()
    return json.loads(row["metadata"] or "{}") if row else {}
