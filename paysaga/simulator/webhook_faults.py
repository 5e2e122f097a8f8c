"""Scripted misfortunes of webhooks: armed in advance, drawn when an event is queued."""

import json
import random
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from paysaga.simulator.ids import new_id
from paysaga.simulator.storage import Body, Storage

Tampering = Literal["forged", "stale", "future", "wrong_secret", "wrong_amount", "wrong_currency"]
Kind = Tampering | Literal["drop", "double", "copies", "delay", "terminal_first"]
# A spent `terminal_first` still holds back for the objects that it met.
_UNSPENT = (
    "SELECT body FROM webhook_faults WHERE body ->> '$.kind' = 'terminal_first'"
    " OR coalesce(body ->> '$.fired' < body ->> '$.times', 1) ORDER BY rowid"
)


class WebhookFault(BaseModel):
    """One armed misfortune. `times` counts events (for `terminal_first`: objects); None is always.

    A tampered delivery spoils the first `attempts` tries of a delivery; a later retry is genuine.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = Field(default_factory=lambda: new_id("whf_"))
    event_type: str | None = None
    kind: Kind
    times: Annotated[int, Field(ge=1)] | None = 1
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    seconds: Annotated[float, Field(ge=0, le=86_400)] = 5.0
    copies: Annotated[int, Field(ge=2, le=1000)] = 20
    attempts: Annotated[int, Field(ge=1)] = 1
    fired: int = 0
    chains: list[str] = Field(default_factory=list)

    def concerns(self, event_type: str) -> bool:
        """Tell whether the fault is still armed for events of that type."""
        left = self.times is None or self.fired < self.times
        return left and self.event_type in (None, event_type)


def arm(storage: Storage, fault: WebhookFault) -> None:
    """Keep the fault until it has fired, across restarts."""
    storage.execute(
        "INSERT OR REPLACE INTO webhook_faults (id, body) VALUES (?, ?)",
        (fault.id, fault.model_dump_json()),
    )


def armed(storage: Storage) -> list[WebhookFault]:
    """List the faults in the order in which they were armed, spent ones included."""
    rows = storage.rows("SELECT body FROM webhook_faults ORDER BY rowid")
    return [WebhookFault.model_validate_json(row["body"]) for row in rows]


def disarm(storage: Storage) -> None:
    """Forget all of them."""
    storage.execute("DELETE FROM webhook_faults")


def draw(
    storage: Storage, chance: random.Random, event: Body, chain: str, *, terminal: bool
) -> WebhookFault | None:
    """Take the first armed fault that meets this event, and count it as fired."""
    for row in storage.rows(_UNSPENT):
        fault = WebhookFault.model_validate_json(row["body"])
        if fault.kind == "terminal_first" and (terminal or chain in fault.chains):
            if terminal:
                continue
            return fault
        if not fault.concerns(event["type"]):
            continue
        if fault.probability < 1 and chance.random() >= fault.probability:
            continue
        chains = [*fault.chains, chain] if fault.kind == "terminal_first" else []
        fired = fault.model_copy(update={"fired": fault.fired + 1, "chains": chains})
        storage.execute(
            "UPDATE webhook_faults SET body = ? WHERE id = ?", (fired.model_dump_json(), fault.id)
        )
        return fired
    return None


def spoiled(body: Body, kind: str) -> Body:
    """Change what the event says about money; everything else stays."""
    changed: Body = json.loads(json.dumps(body))
    thing = changed["data"]["object"]
    if kind == "wrong_amount" and "amount" in thing:
        thing["amount"] += 1
    if kind == "wrong_currency" and "currency" in thing:
        thing["currency"] = "usd" if thing["currency"] != "usd" else "eur"
    return changed
