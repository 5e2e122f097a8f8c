"""What a shop says about how its customers are written to."""

from paysaga.client.answers import Customer
from paysaga.client.calls import Call, Repeat, look, part
from paysaga.client.operations import Operation
from paysaga.client.orders import CustomerChange


class Customers:
    """Customers, as far as Paysaga writes to them."""

    @Operation
    def get_customer(self, customer_id: str) -> Call[Customer]:
        """How they are written to; `NotFound` as long as nothing is known of them."""
        return look(Customer, _customer(customer_id))

    @Operation
    def change_customer(self, customer_id: str, change: CustomerChange) -> Call[Customer]:
        """Change how they are written to.

        It has no key, so it is not repeated once it may have been carried out: a repeat that is
        late would undo the customer's next choice.
        """
        return Call(
            method="PATCH",
            path=_customer(customer_id),
            answer=Customer,
            repeat=Repeat.NEVER,
            body=change.sent(),
        )


def _customer(customer_id: str) -> str:
    return f"/customers/{part('customer_id', customer_id)}"
