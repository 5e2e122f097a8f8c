"""The shop keeps the mails that it would send, and shows each to whom it was for."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from paysaga.demo.preflight import free_port
from paysaga.demo.shop import letterbox as module
from paysaga.demo.shop.app import create_app
from paysaga.demo.shop.catalog import CUSTOMERS
from paysaga.demo.shop.letterbox import Letterbox
from paysaga.demo.shop.settings import ShopSettings
from paysaga.domain.languages import Language
from paysaga.events.mail.envelope import message
from paysaga.events.mail.letters import Letter
from paysaga.events.mail.smtp import NotSent, Smtp, Trouble
from paysaga.mail_settings import MailServer, Sender
from paysaga.settings import Settings

AS_ADA = {"Cookie": "customer=cst_ada"}
SHOP = Sender(name="Slow Mornings", address="payments@example.com")
HELLO = Letter("Grüße, Ada", "Hello in text\n", '<p style="color:red">Hello in HTML</p>')


def written(to: str, letter: Letter = HELLO) -> bytes:
    return message(
        letter,
        sender=SHOP,
        to=to,
        language=Language.EN,
        named="<evn_1.receipt@example.com>",
        at=datetime(2026, 11, 21, tzinfo=UTC),
    )


def kept(shop: FastAPI, to: str = "ada@example.com", letter: Letter = HELLO) -> int:
    """The number of a mail that has come."""
    box: Letterbox = shop.state.letterbox
    box.keep(to, written(to, letter))
    return box.mails(None)[0].number


class TestCatcher:
    @pytest.fixture
    async def server(self, tmp_path: Path) -> AsyncIterator[tuple[FastAPI, MailServer]]:
        """The shop as it runs in the demo, and its mail server."""
        port = free_port()
        settings = ShopSettings(
            shop_state=tmp_path / "shop.db",
            order_service_token=SecretStr("token"),
            shop_mail_port=port,
        )
        app = create_app(settings, Settings())
        async with app.router.lifespan_context(app):
            yield app, MailServer.at(f"smtp://127.0.0.1:{port}?starttls=never")

    async def test_what_is_sent_is_kept(self, server: tuple[FastAPI, MailServer]) -> None:
        """For its recipient, as it was written, and not sent on."""
        app, address = server

        async with Smtp(address).accepted(SHOP.address, "ada@example.com") as envelope:
            await envelope.send(written("ada@example.com"))

        [mail] = app.state.letterbox.mails("ada@example.com")
        assert (HELLO.subject, HELLO.text, HELLO.html) == (
            mail.subject,
            mail.text.replace("\r\n", "\n"),
            mail.html.strip(),
        )

    async def test_what_cannot_be_kept_is_not_taken(
        self, server: tuple[FastAPI, MailServer], tmp_path: Path
    ) -> None:
        """The sender is told to come again."""
        (tmp_path / "shop.db").unlink()
        (tmp_path / "shop.db").mkdir()

        with pytest.raises(NotSent) as refused:
            async with Smtp(server[1]).accepted(SHOP.address, "ada@example.com") as envelope:
                await envelope.send(written("ada@example.com"))

        assert Trouble.LATER is refused.value.trouble


class TestLetterbox:
    def test_it_survives_a_restart(self, tmp_path: Path) -> None:
        """A new process finds what the last one kept, the newest first."""
        first = Letterbox(tmp_path / "shop.db")
        for subject in ("one", "two"):
            first.keep("ada@example.com", written("a@b.example", HELLO._replace(subject=subject)))

        found = Letterbox(tmp_path / "shop.db").mails("ada@example.com")

        assert ["two", "one"] == [mail.subject for mail in found]

    def test_it_never_overflows(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The oldest go; numbers are not given twice."""
        monkeypatch.setattr(module, "KEPT", 3)
        box = Letterbox(tmp_path / "shop.db")

        for _ in range(5):
            box.keep("ada@example.com", written("ada@example.com"))

        assert [5, 4, 3] == [mail.number for mail in box.mails(None)]

    def test_a_mail_of_any_form(self, tmp_path: Path) -> None:
        """One without HTML, or without anything, is a mail, too."""
        box = Letterbox(tmp_path / "shop.db")

        box.keep("ada@example.com", b"Subject: Hello\r\n\r\nHello\r\n")
        box.keep("ada@example.com", b"")

        assert [("", ""), ("Hello", "")] == [(mail.subject, mail.html) for mail in box.mails(None)]


class TestPages:
    async def test_an_inbox_is_a_customers_own(
        self, browser: httpx.AsyncClient, shop: FastAPI
    ) -> None:
        """Who is nobody signs in first; everybody sees the mails to them and no others."""
        kept(shop)
        kept(shop, "ben@example.com", HELLO._replace(subject="For Ben"))

        nobody = await browser.get("/inbox")
        ada = (await browser.get("/inbox", headers=AS_ADA)).text

        assert "/sign-in?next=/inbox" == nobody.headers["location"]
        assert (True, False) == ("Grüße, Ada" in ada, "For Ben" in ada)

    @pytest.mark.parametrize("end", ["", "/html"])
    async def test_a_foreign_mail_is_told_as_missing(
        self, browser: httpx.AsyncClient, shop: FastAPI, end: str
    ) -> None:
        """Like one that there is not."""
        number = kept(shop, "ben@example.com")

        answers = [
            await browser.get(f"/inbox/{one}{end}", headers=AS_ADA) for one in (number, number + 1)
        ]

        assert [404, 404] == [answer.status_code for answer in answers]

    async def test_a_mail_is_shown_in_a_sandbox(
        self, browser: httpx.AsyncClient, shop: FastAPI
    ) -> None:
        """With its own styles, and with nothing else that it might bring."""
        number = kept(shop, letter=HELLO._replace(subject="<b>Hello</b>"))

        page = (await browser.get(f"/inbox/{number}", headers=AS_ADA)).text
        frame = await browser.get(f"/inbox/{number}/html", headers=AS_ADA)

        rules = frame.headers["content-security-policy"]
        assert "&lt;b&gt;Hello&lt;/b&gt;" in page
        assert "Hello in text" in page
        assert re.search(rf'<iframe [^>]*sandbox="[^"]*"[^>]* src="/inbox/{number}/html"', page)
        assert HELLO.html == frame.text.strip()
        assert all(rule in rules for rule in ("default-src 'none'", "sandbox", "'unsafe-inline'"))
        assert "allow-scripts" not in page + rules
        assert "allow-same-origin" not in page + rules

    async def test_the_back_office_sees_all(
        self, browser: httpx.AsyncClient, shop: FastAPI
    ) -> None:
        """Also what operations are written about; its page leads there."""
        number = kept(shop, "operations@example.com")

        mails = (await browser.get("/back-office/mails")).text
        mail = (await browser.get(f"/back-office/mails/{number}")).text
        frame = await browser.get(f"/back-office/mails/{number}/html")

        assert "operations@example.com" in mails
        assert "Grüße, Ada" in mail
        assert "sandbox" in frame.headers["content-security-policy"]

    async def test_an_empty_inbox(self, browser: httpx.AsyncClient) -> None:
        """Nothing has come yet, and the page says so."""
        assert "Nothing yet" in (await browser.get("/inbox", headers=AS_ADA)).text


def test_every_visitor_has_an_address() -> None:
    """Nobody's is somebody's in the world, and no two are the same."""
    addresses = [customer.email for customer in CUSTOMERS.values()]

    assert len(addresses) == len(set(addresses))
    assert all(address.endswith("@example.com") for address in addresses)
