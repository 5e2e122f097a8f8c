"""What the shop sells, and who buys in the demo."""

from datetime import date, timedelta
from typing import Final

from paysaga.domain.message import Message
from paysaga.domain.money import Money


class Product(Message):
    """Something to buy."""

    slug: str
    name: str
    maker: str
    text: str
    price: Money
    picture: str
    made_to_order: bool = False  # its money is held until it ships
    days_ahead: int | None = None  # it is for a day, so many days after it was ordered

    def day(self, ordered_on: date) -> date | None:
        """The day that it is for, if it is for one."""
        return None if self.days_ahead is None else ordered_on + timedelta(days=self.days_ahead)


class Customer(Message):
    """Somebody to buy as."""

    id: str
    name: str
    email: str
    about: str


def _euros(cents: int) -> Money:
    return Money(minor=cents, currency="EUR")


PRODUCTS: Final = {
    product.slug: product
    for product in (
        Product(
            slug="pour-over-kettle",
            name="Pour-over kettle",
            maker="Fjordwerk",
            text="Brushed steel, a slow gooseneck spout and a lid that stays on. Holds 0.9 litres.",
            price=_euros(6450),
            picture="kettle",
        ),
        Product(
            slug="stoneware-mug",
            name="Stoneware mug",
            maker="Atelier Ume",
            text="Thrown by hand, glazed in ash white. No two are alike; all keep coffee warm.",
            price=_euros(2400),
            picture="mug",
        ),
        Product(
            slug="morning-roast",
            name="Morning roast, 500 g",
            maker="Kaffeemanufaktur Nord",
            text="Washed beans from Huila with notes of cocoa and red apple. Roasted on Tuesdays.",
            price=_euros(1290),
            picture="beans",
        ),
        Product(
            slug="walnut-tray",
            name="Walnut tray",
            maker="Holz & Sohn",
            text="One piece of oiled walnut, with a rim that forgives clumsy mornings.",
            price=_euros(8900),
            picture="tray",
            made_to_order=True,
        ),
        Product(
            slug="linen-cloth",
            name="Linen cloth, set of two",
            maker="Maison Lys",
            text="Heavy washed linen that dries glasses without a trace and looks good crumpled.",
            price=_euros(1850),
            picture="cloth",
        ),
        Product(
            slug="hand-grinder",
            name="Hand grinder",
            maker="Fjordwerk",
            text="Steel burrs, forty clicks from espresso to French press, and a quiet crank.",
            price=_euros(11900),
            picture="grinder",
        ),
        Product(
            slug="barista-evening",
            name="Barista evening",
            maker="Kaffeemanufaktur Nord",
            text="Three hours at the machine: grind, pour, and milk that shines. With cake.",
            price=_euros(9500),
            picture="evening",
            days_ahead=10,
        ),
    )
}

CUSTOMERS: Final = {
    customer.id: customer
    for customer in (
        Customer(
            id="cst_ada",
            name="Ada Lindqvist",
            email="ada@example.com",
            about="buys coffee every other week",
        ),
        Customer(
            id="cst_ben",
            name="Ben Okafor",
            email="ben@example.com",
            about="furnishes his first kitchen",
        ),
        Customer(
            id="cst_chiara",
            name="Chiara Rossi",
            email="chiara@example.com",
            about="has a birthday to prepare",
        ),
    )
}
