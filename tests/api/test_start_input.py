import pytest

from paysaga.settings import Environment
from tests.api.world import Api, Caller, World, a_token, an_order, serving


class TestInput:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("order_id", "../admin"),
            ("order_id", ""),
            ("order_id", "a" * 101),
            ("order_id", 17),
            ("amount", 12.5),
            ("amount", 1250.0),
            ("amount", "1250"),
            ("amount", 0),
            ("amount", -1),
            ("amount", True),
            ("amount", 10**12),
            ("amount", 10**400),
            ("amount", 49),
            ("currency", "XXX"),
            ("currency", "EURO"),
            ("currency", "XAU"),
            ("customer_id", "cus_1"),
            ("customer_id", "cst_1\n"),
            ("payment_method_id", "visa"),
            ("payment_method_id", "pm_" + "a" * 101),
            ("capture_method", "later"),
            ("description", "a" * 501),
            ("description", "one\u0000two"),
            ("description", "one\ntwo"),
            ("return_url", "javascript:alert(1)"),
            ("return_url", "/thanks"),
            ("return_url", "https://user:secret@shop.example/"),
            ("return_url", "https://[::1"),
            ("return_url", "https://shop.example/" + "a" * 2048),
            ("return_url", "https://shop.example/" + "ä" * 1000),
            ("metadata", {"a" * 41: "b"}),
            ("metadata", {"": "b"}),
            ("metadata", {"a": "b" * 501}),
            ("metadata", {"a": 1}),
            ("metadata", {"a": "\u0007"}),
            ("metadata", {f"key{number}": "b" for number in range(51)}),
            ("service_date", "2026-12-24T00:00:00Z"),
            ("service_date", "2026-02-29"),
            ("service_date", "24.12.2026"),
            ("service_date", "9999-12-31"),
            ("service_date", "1999-12-31"),
            ("service_date", 1798070400),
            ("shipped_on", "2026-12-24"),
        ],
    )
    async def test_a_wrong_field_is_422_and_named(
        self, api: Api, field: str, value: object
    ) -> None:
        """What cannot be taken is refused by its name; nothing is stored, nothing is started."""
        order = an_order()

        answer = await api.shop.post("/payments", order | {field: value})

        told = answer.json()
        assert 422 == answer.status_code
        assert told["errors"][0]["field"].startswith(field.encode("ascii", "replace").decode())
        listed = await api.shop.get("/payments", order_id=order["order_id"])
        assert [] == listed.json()["items"]

    @pytest.mark.parametrize("field", ["order_id", "payment_method_id", "return_url"])
    async def test_a_missing_field_is_422_and_named(self, api: Api, field: str) -> None:
        """What is needed is asked for."""
        answer = await api.shop.post("/payments", an_order(**{field: None}))

        assert (422, field) == (answer.status_code, answer.json()["errors"][0]["field"])

    @pytest.mark.parametrize("field", ["amount", "currency", "customer_id"])
    async def test_without_an_order_service_the_shop_says_all(self, api: Api, field: str) -> None:
        """Nobody else knows the price and the customer."""
        answer = await api.shop.post("/payments", an_order(**{field: None}))

        assert (422, field) == (answer.status_code, answer.json()["errors"][0]["field"])

    async def test_values_are_not_repeated(self, api: Api) -> None:
        """What somebody sent by mistake does not come back in an error."""
        answer = await api.shop.post("/payments", an_order(order_id="my secret"))

        assert "my secret" not in answer.text

    async def test_production_wants_an_encrypted_return(self, world: World) -> None:
        """In a test an http address will do; a customer's browser gets https only."""
        settings = world.settings.model_copy(update={"environment": Environment.PRODUCTION})
        body = an_order(return_url="http://shop.example/")
        async with serving(settings) as production:
            shop = Caller(production.http, {"Authorization": f"Bearer {a_token(world.settings)}"})

            answer = await shop.post("/payments", body)

        assert (422, "return_url") == (answer.status_code, answer.json()["errors"][0]["field"])

    @pytest.mark.parametrize("key", ["a" * 256, "not visible", "tab\there"])
    async def test_a_wrong_key_is_422(self, api: Api, key: str) -> None:
        """A key is short and plain, since it is kept."""
        answer = await api.shop.post("/payments", an_order(), key=key)

        assert 422 == answer.status_code
        assert "Idempotency-Key" == answer.json()["errors"][0]["field"]

    async def test_a_missing_key_is_400(self, api: Api) -> None:
        """Without a key a repeat would pay twice."""
        answer = await api.shop.post("/payments", an_order(), key=None)

        assert (400, "idempotency_key_required") == (answer.status_code, answer.json()["code"])

    async def test_a_key_of_255_characters_is_taken(self, api: Api) -> None:
        """Stripe's own limit is ours."""
        answer = await api.shop.post("/payments", an_order(), key="k" * 255)

        assert 201 == answer.status_code
