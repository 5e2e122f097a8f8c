import pytest

from paysaga.demo import programs
from paysaga.demo.settings import DemoSettings


class TestEnvironment:
    def test_played_purchases_have_the_attempts_they_need(
        self, demo_settings: DemoSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        The script counts on three attempts, whatever the caller's shell says.
        """
        monkeypatch.setenv("PAYMENT_ATTEMPTS", "1")

        program = programs.api(demo_settings)

        assert "3" == program.environment["PAYMENT_ATTEMPTS"]

    def test_mails_stay_in_the_shop(
        self, demo_settings: DemoSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        The worker hands them to the shop, unless the caller has a mail server for them.
        """
        monkeypatch.delenv("SMTP_URL", raising=False)
        port = demo_settings.mail_port
        shop = programs.shop(demo_settings).environment
        caught = programs.worker(demo_settings).environment
        monkeypatch.setenv("SMTP_URL", "smtps://mail.example")
        sent = programs.worker(demo_settings).environment

        assert str(port) == shop["SHOP_MAIL_PORT"]
        assert f"smtp://127.0.0.1:{port}?starttls=never" == caught["SMTP_URL"]
        assert "smtps://mail.example" == sent["SMTP_URL"]
        assert programs.paysaga_settings(demo_settings).mail_server is not None

    def test_delays_of_the_caller_stay_in_force(
        self, demo_settings: DemoSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        How slow the gateway is may be set beside `make demo`.
        """
        monkeypatch.setenv("PAYMENT_PROCESSING_DELAY_MAX", "77")

        program = programs.simulator(demo_settings)

        assert "77" == program.environment["PAYMENT_PROCESSING_DELAY_MAX"]
