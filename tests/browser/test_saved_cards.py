import pytest

from tests.browser.conftest import Visit, on_all_screens

pytestmark = pytest.mark.timeout(180)


class TestSavedCards:
    @on_all_screens
    def test_saved_with_3ds_paid_with_and_removed(self, visit: Visit) -> None:
        """
        The bank confirms the card once; it is then chosen first at the till, until it is removed.
        """
        page = visit.page
        page.goto(f"{visit.shop_url}/my/cards")
        page.get_by_role("button", name="Ben Okafor").click()
        visit.reads("#none", "No card is saved yet.")
        page.wait_for_load_state()
        page.get_by_role("button", name="Asks for 3-D Secure").click()
        page.get_by_label("Make it my default").check()
        page.locator("#save-button").click()
        page.get_by_role("button", name="Authorize").click()

        visit.reads("#saved", "Visa •••• 3184")
        visit.reads("#saved .badge", "default")
        assert page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )

        page.goto(visit.shop_url)
        page.get_by_text("Stoneware mug").click()
        page.get_by_role("button", name="Buy now").click()
        visit.reads("#pay", "•••• 3184")
        page.wait_for_load_state()
        assert page.locator("#card").is_hidden()
        page.locator("#pay-button").click()
        page.get_by_role("button", name="Authorize").click()
        visit.reads("#outcome", "Thank you, Ben")

        page.goto(f"{visit.shop_url}/my/cards")
        page.get_by_role("button", name="Remove").click()
        visit.reads("#none", "No card is saved yet.")

    def test_who_left_the_banks_page_can_go_on(self, visit: Visit) -> None:
        """
        The card is shown as not confirmed yet, with the way back to the bank.
        """
        page = visit.page
        page.goto(f"{visit.shop_url}/my/cards")
        page.get_by_role("button", name="Ben Okafor").click()
        page.wait_for_selector("#save")
        page.wait_for_load_state()
        page.get_by_role("button", name="Asks for 3-D Secure").click()
        page.locator("#save-button").click()
        page.wait_for_selector("text=Authorize")
        page.goto(f"{visit.shop_url}/my/cards")
        visit.reads("#unconfirmed", "not confirmed yet")
        page.get_by_role("link", name="Go to your bank").click()
        page.get_by_role("button", name="Authorize").click()

        visit.reads("#saved", "•••• 3184")
        assert page.locator("#unconfirmed").count() == 0
        page.get_by_role("button", name="Remove").click()
        visit.reads("#none", "No card is saved yet.")

    def test_what_went_wrong_is_told(self, visit: Visit) -> None:
        """
        A card that the bank refuses, and one that was not confirmed, are not saved: and say so.
        """
        page = visit.page
        page.goto(f"{visit.shop_url}/my/cards")
        page.get_by_role("button", name="Chiara Rossi").click()
        page.wait_for_selector("#save")
        page.wait_for_load_state()
        page.get_by_role("button", name="Expired").click()
        page.locator("#save-button").click()
        visit.reads("#told", "Your card has expired. Please use another card.")
        page.wait_for_load_state()
        page.get_by_role("button", name="Asks for 3-D Secure").click()
        page.locator("#save-button").click()
        page.get_by_role("button", name="Fail").click()

        visit.reads("#told", "It could not be confirmed with your bank, so it was not saved.")
        visit.reads("#none", "No card is saved yet.")
