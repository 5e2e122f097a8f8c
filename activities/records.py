"""What others read of a payment: state, history, ledger and event, written in one transaction."""

from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from paysaga.database.engine import Sessions, reading
from paysaga.database.reads import Reads
from paysaga.database.steps import (
    OrderHeld,
    StepMissing,
    is_about_order,
    refuse_if_held,
    standing,
    write,
)
from paysaga.domain.payment import Changes, Recorded
from paysaga.waking import Waking

ORDER_TAKEN: Final = "OrderTaken"
NOT_WRITABLE: Final = "NotWritable"


class Records:
    """Writes the steps of payments.

    A repeat finds its version already there and changes nothing, so that a lost answer, even to
    the COMMIT, is simply asked again. What the database cannot do now is raised: Temporal retries.
    """

    def __init__(self, sessions: Sessions, waking: Waking | None = None) -> None:
        self._sessions = sessions
        self._waking = waking

    @activity.defn
    async def record(self, batch: Changes) -> Recorded | None:
        """Write these steps of one payment, all or none.

        Answers `None` if all were news. Else with how the payment stands: a workflow task that was
        lost has written before, the same steps or others.

        Raises:
            ApplicationError: `OrderTaken`, with the id of the payment that holds the order, or
                `NotWritable`: a bug that the database, or a missing step, has shown.
        """
        try:
            recorded = await self._write(batch)
        except OrderHeld as held:
            raise ApplicationError(
                "the order has another payment", held.holder, type=ORDER_TAKEN, non_retryable=True
            ) from held
        except (DataError, IntegrityError, ProgrammingError) as error:
            raise ApplicationError(in_one_line(error), type=NOT_WRITABLE) from None
        except StepMissing as error:
            raise ApplicationError(str(error), type=NOT_WRITABLE) from None
        if self._waking is not None:
            # Also by a repeat: whoever wrote before may have been killed at this place.
            await self._waking.wake()
        return recorded

    @activity.defn
    async def standing(self, payment_id: str) -> Recorded | None:
        """How the payment stands; `None` if there is none of this id."""
        async with reading(self._sessions) as session:
            return await session.run_sync(standing, payment_id)

    @activity.defn
    async def payment_of(self, gateway_id: str) -> str | None:
        """The payment that has this intent or charge, if one has."""
        return await Reads(self._sessions).payment_of(gateway_id)

    async def _write(self, batch: Changes) -> Recorded | None:
        try:
            async with self._sessions.begin() as session:
                return await session.run_sync(write, batch.changes)
        except IntegrityError as error:
            # A payment that had let its order go may come back to find it taken.
            if is_about_order(error):
                async with self._sessions() as session:
                    await session.run_sync(refuse_if_held, batch.changes[-1].state)
            raise


def in_one_line(error: DBAPIError) -> str:
    """The database's word, without the row that it quotes in the lines that follow."""
    return str(error.orig).partition("\n")[0]
