import re
from datetime import UTC, date, datetime

import httpx
import pytest

from tests.browser.conftest import Visit, on_all_screens
from tests.end_to_end.demo_process import DemoProcess

pytestmark = pytest.mark.timeout(180)


class TestPaying:
    @on_all_screens
    def test_a_good_card(self, visit: Visit) -> None:
        """
        Pick, pay, done; the page links to the payment's run, which is there.
        """
        visit.buys("Morning roast")
        visit.pays_with("Succeeds")

        visit.reads("#outcome", "Thank you, Ada")
        visit.reads("#status", "succeeded")
        run = visit.page.locator("#run").get_attribute("href")
        assert run is not None
        assert httpx.get(run).is_success

    def test_an_evening_is_for_its_day(self, visit: Visit) -> None:
        """
        The day is the order's: it goes with the payment, which says what would go back.
        """
        visit.buys("Barista evening")
        visit.pays_with("Succeeds")
        visit.reads("#outcome", "Thank you, Ada")

        told = visit.page.locator(".status .lead").inner_text()
        [day] = re.findall(r"See you on (\d{4}-\d\d-\d\d)\.", told)
        assert 9 <= (date.fromisoformat(day) - datetime.now(UTC).date()).days <= 10

    def test_the_number_never_reaches_the_shop(self, visit: Visit, demo: DemoProcess) -> None:
        """
        The card goes to the gateway only: neither the shop nor Paysaga is sent any of it.
        """
        visit.buys()
        visit.pays_with("Succeeds")
        visit.reads("#outcome", "Thank you")

        seen = [request for request in visit.requests if "4242" in (request.post_data or "")]
        assert {demo.simulator_url + "/v1/payment_methods"} == {request.url for request in seen}

    def test_3ds_authorized(self, visit: Visit) -> None:
        """
        The bank's page, authorize, and back to a paid order.
        """
        visit.buys()
        visit.pays_with("Asks for 3-D Secure")

        visit.page.get_by_role("button", name="Authorize").click()

        visit.reads("#outcome", "Thank you")

    def test_3ds_failed_then_another_card(self, visit: Visit) -> None:
        """
        Back from the bank without success: what went wrong, and the form for another card.
        """
        visit.buys()
        visit.pays_with("Asks for 3-D Secure")
        visit.page.get_by_role("button", name="Fail").click()

        visit.reads("#declined", "2 attempts left")
        visit.pays_with("Debit card")

        visit.reads("#outcome", "Thank you")

    @on_all_screens
    def test_paypal(self, visit: Visit) -> None:
        """
        To PayPal's page and back, and no page is wider than the screen.
        """
        visit.buys()
        visit.goes_to_paypal()
        assert visit.fits()

        visit.page.get_by_role("button", name="Approve").click()

        visit.reads("#outcome", "Thank you")
        visit.reads(".status .lead", "paid with PayPal")
        assert visit.fits()

    @on_all_screens
    def test_paypal_canceled_then_a_card(self, visit: Visit) -> None:
        """
        Who cancels at PayPal hears so, may try there again, and pays with a debit card instead.
        """
        visit.buys()
        visit.goes_to_paypal()
        visit.page.get_by_role("button", name="Cancel and return").click()

        visit.reads("#declined", "The payment was not approved. Please try again or use another")
        visit.reads("#declined", "2 attempts left")
        visit.reads("#pay-label", "Continue to PayPal")
        assert visit.fits()
        visit.pays_with("Debit card")

        visit.reads("#outcome", "Thank you")
        visit.reads(".status .lead", "Visa debit •••• 5556")

    def test_paypal_is_held_for_what_is_made_to_order(self, visit: Visit) -> None:
        """
        Also PayPal's money is only held until the parcel leaves.
        """
        visit.buys("Walnut tray")
        visit.goes_to_paypal()

        visit.page.get_by_role("button", name="Approve").click()

        visit.reads("#outcome", "Ordered, Ada")
        visit.reads(".status .lead", "held on PayPal")
        visit.page.locator("#cancel").click()
        visit.reads("#outcome", "Payment canceled")


class TestPaymentPage:
    @on_all_screens
    def test_paid_there(self, visit: Visit) -> None:
        """
        To the gateway's own page, a card there, and back to a paid order.
        """
        visit.buys()
        visit.goes_to_the_payment_page()
        visit.fills_in_the_page("4242424242424242")

        visit.reads("#outcome", "Thank you")
        visit.reads("#status", "succeeded")

    def test_3ds_there(self, visit: Visit) -> None:
        """
        The bank asks within the gateway's page.
        """
        visit.buys()
        visit.goes_to_the_payment_page()
        visit.fills_in_the_page("4000002760003184")
        visit.page.get_by_role("button", name="Authorize").click()

        visit.reads("#outcome", "Thank you")

    def test_declined_there_then_another_card(self, visit: Visit) -> None:
        """
        The page tells of the decline and takes another card: the shop has seen one attempt.
        """
        visit.buys()
        visit.goes_to_the_payment_page()
        visit.fills_in_the_page("4000000000009995")
        visit.page.wait_for_selector("#complaint")
        visit.fills_in_the_page("4242424242424242")

        visit.reads("#outcome", "Thank you")
        visit.reads(".behind", "1 used")

    @on_all_screens
    def test_left_and_canceled(self, visit: Visit) -> None:
        """
        Who goes back may go on there, or cancel: then nobody can pay on that page any more.
        """
        visit.buys()
        visit.goes_to_the_payment_page()
        address = visit.page.url
        visit.page.locator("#back").click()
        visit.reads("#outcome", "One more step")
        assert address == visit.page.get_by_role("link", name="payment page").get_attribute("href")

        visit.page.locator("#cancel").click()

        visit.reads("#outcome", "Payment canceled")
        visit.page.goto(address)
        visit.reads("body", "This checkout has expired")

    def test_expired_then_a_new_one(self, visit: Visit, demo: DemoProcess) -> None:
        """
        The gateway closes a page that nobody used: the shop says so, and opens another.
        """
        visit.buys()
        visit.goes_to_the_payment_page()
        session = visit.page.url.rpartition("/")[2]
        closed = httpx.post(
            f"{demo.simulator_url}/v1/checkout/sessions/{session}/expire",
            headers={"Authorization": "Bearer sk_test_paysaga_demo"},
        )
        assert closed.is_success
        visit.page.goto(f"{visit.shop_url}/my/orders")
        visit.page.get_by_text("payment open").first.click()
        visit.reads("#outcome", "Not paid yet")
        visit.reads(".status .lead", "expired")

        visit.page.get_by_role("link", name="Try again").click()
        visit.page.wait_for_load_state()
        visit.page.locator("#pay-button").click()
        visit.page.wait_for_url("**/c/pay/**")
        visit.fills_in_the_page("4242424242424242")

        visit.reads("#outcome", "Thank you")
        visit.reads(".behind", "2 used")


class TestDeclines:
    @on_all_screens
    def test_another_card_pays(self, visit: Visit) -> None:
        """
        The decline is told in the customer's words, with the attempts left; then it works.
        """
        visit.buys()
        visit.pays_with("Insufficient funds")

        visit.reads("#declined", "Your card has insufficient funds. Please use another card.")
        visit.reads("#declined", "2 attempts left")
        visit.pays_with("Succeeds")

        visit.reads("#outcome", "Thank you")

    def test_three_declines_end_it_and_the_order_can_be_paid_anew(self, visit: Visit) -> None:
        """
        After the third decline nothing is charged, and a new payment may start.
        """
        visit.buys()
        visit.pays_with("Declined")
        visit.reads("#declined", "2 attempts left")
        visit.pays_with("Expired")
        visit.reads("#declined", "1 attempt left")
        visit.pays_with("Insufficient funds")

        visit.reads("#outcome", "Payment failed")
        visit.page.get_by_role("link", name="Start again").click()
        visit.pays_with("Succeeds")
        visit.reads("#outcome", "Thank you")

    def test_a_number_that_cannot_be_is_told_at_once(self, visit: Visit) -> None:
        """
        The gateway refuses the number before any payment begins.
        """
        visit.buys()
        visit.page.locator("#number").fill("4242424242424241")
        visit.page.locator("#expiry").fill("12 / 34")
        visit.page.locator("#cvc").fill("123")
        visit.page.locator("#pay-button").click()

        visit.reads("#problem", "card number is incorrect")
        assert visit.page.locator("#pay-button").is_enabled()


class TestGivingUp:
    def test_cancel_after_a_decline(self, visit: Visit) -> None:
        """
        The customer gives up: not charged, and the order says so.
        """
        visit.buys()
        visit.pays_with("Declined")
        visit.reads("#declined", "2 attempts left")

        visit.page.locator("#cancel").click()

        visit.reads("#outcome", "Payment canceled")
        visit.reads(".status .lead", "You have not been charged.")

    def test_cancel_instead_of_3ds(self, visit: Visit) -> None:
        """
        Who does not want to go to the bank may cancel on the order's page.
        """
        visit.buys()
        visit.pays_with("Asks for 3-D Secure")
        visit.page.wait_for_url("**/3ds/**")
        visit.page.goto(f"{visit.shop_url}/my/orders")
        visit.page.get_by_text("payment open").first.click()
        visit.reads("#outcome", "One more step")

        visit.page.locator("#cancel").click()

        visit.reads("#outcome", "Payment canceled")


class TestMadeToOrder:
    @on_all_screens
    def test_held_and_captured_when_it_ships(self, visit: Visit) -> None:
        """
        The customer has ordered and is charged nothing; behind the counter a part of it is taken.
        """
        visit.buys("Walnut tray")
        visit.pays_with("Succeeds")
        visit.reads("#outcome", "Ordered, Ada")
        visit.reads("#status", "authorized")
        order = visit.page.url

        visit.page.get_by_role("link", name="Back office").click()
        assert visit.fits()
        visit.page.get_by_label("Take").fill("80.50")
        visit.page.get_by_role("button", name="Ship and capture").click()
        visit.page.wait_for_selector("#empty")

        visit.page.goto(order)
        visit.reads("#outcome", "Thank you")
        visit.reads("#status", "succeeded")

    def test_more_than_is_held_is_told(self, visit: Visit) -> None:
        """
        The shop's own mistake is told on its page; letting go frees the customer's money.
        """
        visit.buys("Walnut tray")
        visit.pays_with("Succeeds")
        visit.reads("#outcome", "Ordered")
        order = visit.page.url
        visit.page.goto(f"{visit.shop_url}/back-office")
        visit.page.get_by_label("Take").fill("8900.00")
        visit.page.get_by_role("button", name="Ship and capture").click()
        visit.reads("#problem", "No more than 89.00 EUR is held.")

        visit.page.get_by_role("button", name="Let go").click()
        visit.page.wait_for_selector("#empty")

        visit.page.goto(order)
        visit.reads("#outcome", "Payment canceled")


class TestStatus:
    def test_the_page_follows_what_happens_elsewhere(self, visit: Visit, demo: DemoProcess) -> None:
        """
        Paid in another window: the order's page shows it without a reload by hand.
        """
        visit.buys()
        visit.pays_with("Asks for 3-D Secure")
        visit.page.wait_for_url("**/3ds/**")
        intent = visit.page.url.split("/")[-2]
        visit.page.goto(f"{visit.shop_url}/my/orders")
        visit.page.get_by_text("payment open").first.click()
        visit.reads("#outcome", "One more step")

        httpx.post(
            f"{demo.simulator_url}/_control/intents/{intent}/authenticate",
            json={"outcome": "authorize"},
        )

        visit.reads("#outcome", "Thank you")

    @on_all_screens
    def test_no_page_is_wider_than_the_screen(self, visit: Visit) -> None:
        """
        Nothing scrolls sideways, also on a phone.
        """
        visit.buys()
        for path in ("/", "/products/hand-grinder", "/my/orders", "/sign-in"):
            visit.page.goto(visit.shop_url + path)
            assert visit.fits()


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
        assert visit.fits()

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
