"""One call and what its handler may use: the storage, the time, the dice, and who is asking."""

import random
from dataclasses import dataclass

from paysaga.simulator.errors import missing
from paysaga.simulator.knobs import Knobs
from paysaga.simulator.storage import Record, Storage

DEFAULT_VERSION = "2026-08-26.dahlia"
_ENDIVE = "2026-09-30"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The surroundings of one effect; everything in it happens at `now` (Unix seconds)."""

    storage: Storage
    knobs: Knobs
    chance: random.Random
    now: int
    exact_now: float
    public_url: str
    target: str = ""
    target_child: str = ""
    request_id: str | None = None
    idempotency_key: str | None = None
    version: str = DEFAULT_VERSION
    client_only: bool = False
    forced_decline: str | None = None

    @property
    def is_endive(self) -> bool:
        """Whether the caller speaks API version 2026-09-30.endive or later."""
        return self.version[:10] >= _ENDIVE

    def own(self, kind: str, param: str = "id") -> Record:
        """Find the object named in the path, or answer 404."""
        found = self.storage.get(kind, self.target)
        if not found:
            raise missing(kind, self.target, param, in_path=True)
        return found

    def other(self, kind: str, identifier: str, param: str) -> Record:
        """Find an object named by a parameter, or answer 400."""
        found = self.storage.get(kind, identifier)
        if not found:
            raise missing(kind, identifier, param, in_path=False)
        return found
