import pytest
import stripe

from tests.simulator.support import event_types


class TestCustomer:
    async def test_life(self, client: stripe.StripeClient) -> None:
        """
        A customer is created, changed in the parts that are given, and deleted for good.
        """
        made = await client.v1.customers.create_async(
            {"email": "ada@example.com", "metadata": {"customer_id": "cst_1"}}
        )
        changed = await client.v1.customers.update_async(made.id, {"name": "Ada"})
        await client.v1.customers.delete_async(made.id)

        gone = await client.v1.customers.retrieve_async(made.id)

        assert ("ada@example.com", "Ada", {"customer_id": "cst_1"}) == (
            changed.email, changed.name, changed.metadata and changed.metadata.to_dict(),
        )  # fmt: skip
        assert gone.deleted is True
        assert [] == (await client.v1.customers.list_async()).data
        assert [
            "customer.created",
            "customer.updated",
            "customer.deleted",
        ] == await event_types(client)

    async def test_field_is_unset(self, client: stripe.StripeClient) -> None:
        """
        An empty value unsets a field.
        """
        customer = await client.v1.customers.create_async({"name": "Jo", "phone": "1"})

        after = await client.v1.customers.update_async(customer.id, {"phone": ""})

        assert ("Jo", None) == (after.name, after.phone)

    async def test_nobody(self, client: stripe.StripeClient) -> None:
        """
        An unknown customer in the path is 404 `resource_missing`.
        """
        with pytest.raises(stripe.InvalidRequestError) as missing:
            await client.v1.customers.retrieve_async("cus_nobody")

        assert (404, "resource_missing") == (missing.value.http_status, missing.value.code)

    async def test_deleted_customer_pays_nothing(self, client: stripe.StripeClient) -> None:
        """
        A deleted customer cannot be named by a new intent.
        """
        customer = await client.v1.customers.create_async()
        await client.v1.customers.delete_async(customer.id)

        with pytest.raises(stripe.InvalidRequestError) as missing:
            await client.v1.payment_intents.create_async(
                {"amount": 1000, "currency": "eur", "customer": customer.id}
            )

        assert (400, "resource_missing") == (missing.value.http_status, missing.value.code)

    async def test_by_email(self, client: stripe.StripeClient) -> None:
        """
        Customers can be found by their exact e-mail address.
        """
        await client.v1.customers.create_async({"email": "a@example.com"})
        wanted = await client.v1.customers.create_async({"email": "b@example.com"})

        found = await client.v1.customers.list_async({"email": "b@example.com"})

        assert [wanted.id] == [customer.id for customer in found.data]

    async def test_default_must_be_attached(self, client: stripe.StripeClient) -> None:
        """
        Only an attached method can become the customer's default.
        """
        customer = await client.v1.customers.create_async()
        method = await client.v1.payment_methods.create_async({"type": "paypal"})

        with pytest.raises(stripe.InvalidRequestError) as refused:
            await client.v1.customers.update_async(
                customer.id, {"invoice_settings": {"default_payment_method": method.id}}
            )

        assert "invoice_settings[default_payment_method]" == refused.value.param


class TestPaymentMethod:
    async def test_attach_and_detach(self, client: stripe.StripeClient) -> None:
        """
        An attached method is listed; a detached one is not, and is never used again.
        """
        customer = await client.v1.customers.create_async()
        method = await client.v1.payment_methods.attach_async(
            "pm_card_visa", {"customer": customer.id}
        )
        again = await client.v1.payment_methods.attach_async(method.id, {"customer": customer.id})
        listed = await client.v1.customers.payment_methods.list_async(customer.id)
        one = await client.v1.customers.payment_methods.retrieve_async(customer.id, method.id)

        gone = await client.v1.payment_methods.detach_async(method.id)

        with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
            await client.v1.payment_methods.attach_async(method.id, {"customer": customer.id})
        with pytest.raises(stripe.InvalidRequestError, match="not attached"):
            await client.v1.payment_methods.detach_async(method.id)
        left = await client.v1.payment_methods.list_async({"customer": customer.id})
        assert (method.id, [method.id], method.id) == (
            again.id, [each.id for each in listed.data], one.id,
        )  # fmt: skip
        assert (None, []) == (gone.customer, left.data)

    async def test_one_owner(self, client: stripe.StripeClient) -> None:
        """
        A method belongs to one customer.
        """
        owner = await client.v1.customers.create_async()
        other = await client.v1.customers.create_async()
        method = await client.v1.payment_methods.attach_async(
            "pm_card_visa", {"customer": owner.id}
        )

        with pytest.raises(stripe.InvalidRequestError, match="already been attached"):
            await client.v1.payment_methods.attach_async(method.id, {"customer": other.id})

    async def test_update(self, client: stripe.StripeClient) -> None:
        """
        Billing details and metadata of an attached method can be changed.
        """
        customer = await client.v1.customers.create_async({"payment_method": "pm_card_visa"})
        method = (await client.v1.payment_methods.list_async({"customer": customer.id})).data[0]

        changed = await client.v1.payment_methods.update_async(
            method.id, {"billing_details": {"name": "Ada"}, "metadata": {"method_id": "mtd_1"}}
        )

        assert ("Ada", {"method_id": "mtd_1"}) == (
            changed.billing_details.name, changed.metadata and changed.metadata.to_dict(),
        )  # fmt: skip

    async def test_deleting_the_customer_detaches(self, client: stripe.StripeClient) -> None:
        """
        The methods of a deleted customer are detached.
        """
        customer = await client.v1.customers.create_async()
        method = await client.v1.payment_methods.attach_async(
            "pm_card_visa", {"customer": customer.id}
        )

        await client.v1.customers.delete_async(customer.id)

        assert (await client.v1.payment_methods.retrieve_async(method.id)).customer is None
