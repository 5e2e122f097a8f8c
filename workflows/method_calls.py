"""A saved method's way through the gateway: set up, look, cancel, detach."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.method_orders import CancelSetUpOrder, DetachOrder, SetUpOrder
    from activities.saved_methods import MethodCalls
    from paysaga.domain.saved_method import AttachedMethod, Setup

from workflows.asking import Asking


class MethodAsking(Asking):
    """Each call is one activity when all is well, and is asked until there is an answer."""

    async def set_up(self, order: SetUpOrder) -> Setup:
        """Save the method at the gateway: it may be there unanswered."""
        return await self.ask(
            MethodCalls.set_up_method,
            lambda tries: order.model_copy(
                update={
                    "generation": tries.generation,
                    "customer_generation": tries.customer_generation,
                    "searched_to": tries.searched_to,
                    "is_repeat": tries.may_be_sent,
                }
            ),
            "save it at the gateway",
        )

    async def look(self, setup_id: str) -> Setup:
        """Read the SetupIntent."""
        return await self.ask(
            MethodCalls.retrieve_set_up, lambda _: setup_id, f"look at {setup_id}"
        )

    async def cancel(self, order: CancelSetUpOrder) -> Setup:
        """Cancel the SetupIntent, and prove it."""
        return await self.ask(
            MethodCalls.cancel_set_up,
            lambda tries: order.model_copy(
                update={"generation": order.generation + tries.generation}
            ),
            f"cancel {order.setup_id}",
        )

    async def detach(self, order: DetachOrder) -> AttachedMethod:
        """Take the method from its customer, and prove it."""
        return await self.ask(
            MethodCalls.detach_method,
            lambda tries: order.model_copy(update={"generation": tries.generation}),
            f"detach {order.gateway_method_id}",
        )

    async def look_at_method(self, gateway_method_id: str) -> AttachedMethod:
        """Read the saved method."""
        return await self.ask(
            MethodCalls.retrieve_method,
            lambda _: gateway_method_id,
            f"look at {gateway_method_id}",
        )
