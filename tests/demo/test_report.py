import io

import pytest
from rich.console import Console

from paysaga.demo import report
from paysaga.demo.settings import DemoSettings
from paysaga.demo.verdict import Story
from paysaga.domain.money import Money
from paysaga.domain.payment import PaymentStatus

PAYMENT_ID = "pay_aaaaaaaaaaaaaaaaaaaaaaaaaa"
PAID = Story(
    title="3-D Secure, refused; gives up",
    expected=PaymentStatus.SUCCEEDED,
    complaints=(),
    payment_id=PAYMENT_ID,
    price=Money(minor=12900, currency="EUR"),
    database="succeeded",
    gateway="succeeded 129.00 EUR",
    workflow="succeeded",
)
LOST = Story("Card, paid at once", PaymentStatus.SUCCEEDED, ("took too long",))


def _printed(settings: DemoSettings, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    report.print_stories(console, settings, [PAID, LOST])
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


class TestStories:
    @pytest.mark.parametrize("width", [80, 100, 130])
    def test_nothing_is_cut(self, demo_settings: DemoSettings, width: int) -> None:
        """
        Mark, price, all three states and the whole id are there at every width.
        """
        lines = _printed(demo_settings, width)

        told = " ".join(lines)
        assert "…" not in told
        for words in ("✓ ", "✗ ", PAID.title, "129.00 EUR", PAYMENT_ID):
            assert words in told
        assert 3 == told.count("succeeded")
        assert "succeeded 129.00 EUR" in told

    def test_it_fits_into_80_columns(self, demo_settings: DemoSettings) -> None:
        """
        What is told of a purchase is not broken by the terminal.
        """
        lines = _printed(demo_settings, 80)

        purchase = next(i for i, line in enumerate(lines) if PAYMENT_ID in line)
        assert f"✓ {PAID.title}  129.00 EUR  {PAYMENT_ID}" == lines[purchase]
        assert (
            "  database succeeded, gateway succeeded 129.00 EUR, workflow succeeded"
            == lines[purchase + 1]
        )

    def test_complaints_and_the_count_are_told(self, demo_settings: DemoSettings) -> None:
        """
        What went wrong stands in words below the purchases, and how many ended well.
        """
        lines = _printed(demo_settings, 80)

        assert "✗ Card, paid at once: took too long" in lines
        assert lines[-1].startswith("1 of 2 purchases ended as they should")
