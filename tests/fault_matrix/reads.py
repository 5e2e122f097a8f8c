"""The calls that read many objects at once, for the sweep and for reconciliations."""

from dataclasses import dataclass
from typing import Final

from tests.fault_matrix.cells import GATEWAY_FAULTS


@dataclass(frozen=True)
class ReadCell:
    """One call of a reading activity, and one fault."""

    call: str
    fault: str

    @property
    def operation(self) -> str:
        """As the gateway calls it."""
        return self.call.partition(", ")[2]


_CALLS: Final = (
    "read_page, events.list",
    "audit_payments, payment_intents.retrieve",
    "list_movements, balance_transactions.list",
    "list_movements, payment_intents.retrieve",
)

READS: Final = tuple(ReadCell(call, fault) for call in _CALLS for fault in GATEWAY_FAULTS)
