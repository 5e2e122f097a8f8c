"""What becomes of a gateway event that is about a saved method."""

from datetime import timedelta

from paysaga.database.engine import Sessions
from paysaga.database.inbox import Result
from paysaga.database.saved_methods import SavedMethods
from paysaga.domain.gateway_event import GatewayEvent, is_word
from paysaga.domain.method_event import MethodDuty, method_duty
from paysaga.domain.saved_method import SavedMethod
from paysaga.nudging import Nudging


class IncomingMethods:
    """Finds the method that an event is about, and tells whoever must look."""

    def __init__(self, sessions: Sessions, nudging: Nudging) -> None:
        self._methods = SavedMethods(sessions)
        self._nudging = nudging

    async def result(self, event: GatewayEvent, age: timedelta) -> Result | None:
        """What came of it; `None` if it is to be looked at again later."""
        method = await self._owner(event)
        if method is None:
            return Result(word="unknown_method")
        match method_duty(event.type, method, age):
            case MethodDuty.LATER:
                return None
            case MethodDuty.NOBODY:
                return Result(word="nothing_to_do")
            case MethodDuty.LOOK:
                return Result(word="look_begun", run_id=await self._nudging.look(method.id))
            case MethodDuty.RUN:
                if await self._nudging.run(method.id):
                    return Result(word="nudged", run_id=method.id)
                # Somebody has ended the run: another one finds what it would have found.
                named = event.about.id if is_word(event.about.id) else None
                look = await self._nudging.look(method.id, named)
                return Result(word="look_begun", run_id=look)

    async def _owner(self, event: GatewayEvent) -> SavedMethod | None:
        if named := event.about.mark("method_id"):
            return await self._methods.method(named)
        if is_word(event.about.id):
            return await self._methods.of_gateway(event.about.id)
        return None
