"""What others read of a payment: state, history, ledger and event, written in one transaction."""

from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from temporalio import activity
from temporalio.exceptions import ApplicationError

from paysaga.database.engine import Sessions
from paysaga.database.steps import OrderHeld, refuse_if_held, write
from paysaga.domain.payment import Change, Changes

ORDER_TAKEN: Final = "OrderTaken"


class Records:
    """Writes the steps of payments.

    A repeat finds its version already there and changes nothing, so that a lost answer, even to
    the COMMIT, is simply asked again. What the database cannot do now is raised: Temporal retries.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def record(self, batch: Changes) -> None:
        """Write these steps, all or none.

        Raises:
            ApplicationError: `OrderTaken`, with the id of the payment that holds the order.
            RuntimeError: A step is missing before these, which is a bug.
        """
        try:
            await self._write(batch)
        except OrderHeld as held:
            raise ApplicationError(
                "the order has another payment", held.holder, type=ORDER_TAKEN, non_retryable=True
            ) from held

    async def _write(self, batch: Changes) -> None:
        payments = _by_payment(batch)
        try:
            async with self._sessions.begin() as session:
                await session.run_sync(_write_each, payments)
        except IntegrityError:
            # A payment that had let its order go may come back to find it taken.
            async with self._sessions() as session:
                for changes in payments:
                    await session.run_sync(refuse_if_held, changes[-1].state)
            raise


def _write_each(session: Session, payments: list[list[Change]]) -> None:
    for changes in payments:
        write(session, changes)


def _by_payment(batch: Changes) -> list[list[Change]]:
    payments: dict[str, list[Change]] = {}
    for change in batch.changes:
        payments.setdefault(change.state.id, []).append(change)
    return list(payments.values())
