"""Writes saved methods: one step of one row in one transaction."""

from typing import Final

from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.records import NOT_WRITABLE, in_one_line
from paysaga.database.engine import Sessions
from paysaga.database.saved_methods import AlreadySaved, SavedMethods, write
from paysaga.database.steps import StepMissing
from paysaga.domain.saved_method import SavedMethod

ALREADY_SAVED: Final = "AlreadySaved"


class MethodRecords:
    """Writes the steps of saved methods.

    A repeat finds its version already there and changes nothing. What the database cannot do now
    is raised: Temporal retries.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @activity.defn
    async def record_method(self, step: SavedMethod) -> SavedMethod:
        """Take this step, and answer with how the method stands then.

        It may stand elsewhere: a workflow task that was lost has written before, or another run.

        Raises:
            ApplicationError: `AlreadySaved`, with the id of the method that it would double, or
                `NotWritable`: a bug that the database, or a missing step, has shown.
        """
        try:
            async with self._sessions.begin() as session:
                return await session.run_sync(write, step)
        except AlreadySaved as error:
            raise ApplicationError(
                "this method is saved already",
                error.holder,
                type=ALREADY_SAVED,
                non_retryable=True,
            ) from error
        except (DataError, IntegrityError, ProgrammingError) as error:
            raise ApplicationError(in_one_line(error), type=NOT_WRITABLE) from None
        except StepMissing as error:
            raise ApplicationError(str(error), type=NOT_WRITABLE) from None

    @activity.defn
    async def method_standing(self, method_id: str) -> SavedMethod | None:
        """How the method stands; `None` if there is none of this id."""
        return await SavedMethods(self._sessions).method(method_id)
