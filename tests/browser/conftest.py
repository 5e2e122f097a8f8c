"""A person in front of the shop: every process real, the browser Debian's Chromium."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, ViewportSize, sync_playwright

from tests.end_to_end.demo_process import DemoProcess, demo_process

CHROMIUM: Final = Path("/usr/bin/chromium")
QUIET: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENS: Final[dict[str, ViewportSize]] = {
    "desktop": {"width": 1200, "height": 900},
    "phone": {"width": 390, "height": 844},
}
on_all_screens: Final = pytest.mark.parametrize("visit", list(SCREENS), indirect=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Without Chromium the tests skip; in CI that would hide something."""
    if not CHROMIUM.exists():
        reason = f"there is no {CHROMIUM}: install Debian's package chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def demo(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    """The whole service, without the scripted purchases."""
    with demo_process(tmp_path_factory.mktemp("shop"), "--serve-only") as running:
        running.wait_for("Serving until Ctrl-C")
        yield running


class Visit:
    """One visit to the shop, as nobody yet; it remembers every request and every page error."""

    def __init__(self, page: Page, shop_url: str) -> None:
        self.page = page
        self.shop_url = shop_url
        self.requests: list[Request] = []
        self.errors: list[str] = []
        page.set_default_timeout(40_000)
        page.on("request", self._note)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def buys(self, product: str = "Stoneware mug", name: str = "Ada Lindqvist") -> None:
        """From the shelf to the card form."""
        self.page.goto(self.shop_url)
        self.page.get_by_text(product).click()
        self.page.get_by_role("button", name="Sign in to buy").click()
        self.page.get_by_role("button", name=name).click()
        self.page.get_by_role("button", name="Buy now").click()
        self.page.wait_for_selector("#pay")
        self.page.wait_for_load_state()

    def goes_to_the_payment_page(self) -> None:
        """Choose to pay at the gateway."""
        self.page.wait_for_load_state()
        self.page.get_by_role("radio", name="Payment page").check()
        self.page.get_by_role("button", name="Continue to the payment page").click()
        self.page.wait_for_url("**/c/pay/**")

    def fills_in_the_page(self, number: str) -> None:
        """Enter a card on the gateway's page and pay."""
        self.page.wait_for_load_state()
        email = self.page.locator("#email")
        if email.is_editable():
            email.fill("ada@shop.example")
        self.page.locator("#number").fill(number)
        self.page.locator("#expiry").fill("12 / 34")
        self.page.locator("#cvc").fill("123")
        self.page.locator("#submit").click()

    def pays_with(self, card: str) -> None:
        """Take a test card by its name and press pay."""
        self.page.wait_for_load_state()  # before it the form's script does not listen
        self.page.get_by_role("button", name=card, exact=True).click()
        self.page.locator("#pay-button").click()

    def goes_to_paypal(self) -> None:
        """Choose PayPal, and arrive at its page."""
        self.page.wait_for_load_state()
        self.page.get_by_role("radio", name="PayPal").check()
        self.page.get_by_role("button", name="Continue to PayPal").click()
        self.page.wait_for_url("**/paypal/**")

    def fits(self) -> bool:
        """Whether nothing scrolls sideways. A page that reloads itself is waited for."""
        root = self.page.locator("html")
        return bool(root.evaluate("root => root.scrollWidth <= root.clientWidth"))

    def reads(self, selector: str, text: str) -> None:
        """Wait until it says that."""
        self.page.locator(selector).filter(has_text=text).wait_for()

    def strangers(self) -> list[str]:
        """Hosts other than this machine that were asked for anything."""
        hosts = {urlsplit(request.url).hostname for request in self.requests}
        return sorted(str(host) for host in hosts - {"127.0.0.1", None})

    def _note(self, request: Request) -> None:
        self.requests.append(request)


@pytest.fixture
def visit(browser: Browser, demo: DemoProcess, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """From a desk, unless the test asks for a phone; no visit asks another machine anything."""
    context = browser.new_context(viewport=SCREENS[getattr(request, "param", "desktop")])
    visiting = Visit(context.new_page(), demo.shop_url)
    yield visiting
    context.close()
    assert [] == visiting.strangers()
    assert [] == visiting.errors
