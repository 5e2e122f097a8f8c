"""The environment, as it may be and as it must not be."""

from datetime import timedelta

import pytest

from paysaga.settings import (
    DEMO_WEBHOOK_SECRET,
    DEVELOPMENT_SECRET,
    Environment,
    Settings,
    WrongSettings,
    load_settings,
)

LIVE = {
    "ENVIRONMENT": "production",
    "STRIPE_SECRET_KEY": "sk_live_1",
    "STRIPE_PUBLISHABLE_KEY": "pk_live_1",
    "STRIPE_WEBHOOK_SECRET": "whsec_of_its_own",
    "PUBLIC_BASE_URL": "https://pay.example",
    "JWT_SECRET": "a secret of its own, of 32 characters",
}


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of this shell counts."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def given(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


class TestRefundPolicy:
    def test_terms_as_json(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is left out is as if it had never been thought of."""
        rule = '{"percent": 80, "asked_by": ["shop"], "days_after_payment": 30}'
        given(
            monkeypatch,
            REFUND_POLICY=f'{{"name": "ours-2", "timezone": "Asia/Tokyo",'
            f' "without_service_date": [{rule}]}}',
        )

        policy = load_settings().refund_policy

        assert ("ours-2", "Asia/Tokyo", ()) == (
            policy.name,
            policy.timezone,
            policy.with_service_date,
        )
        assert [80] == [rule.percent for rule in policy.without_service_date]

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            ("{", "REFUND_POLICY: Invalid JSON"),
            ("{}", "REFUND_POLICY: name: Field required"),
            ('{"name": "a b"}', "REFUND_POLICY: name: "),
            ('{"name": "a", "rules": []}', "REFUND_POLICY: rules: Extra inputs"),
            (
                '{"name": "a", "with_service_date": [{"percent": 50, "days": 7}]}',
                "REFUND_POLICY: with_service_date.0.days: Extra inputs",
            ),
            (
                '{"name": "a", "without_service_date": [{"percent": 101}]}',
                "REFUND_POLICY: without_service_date.0.percent: ",
            ),
            (
                '{"name": "a", "without_service_date": [{"percent": 1, "days_before_service": 7}]}',
                "REFUND_POLICY: without_service_date has no day",
            ),
            ('{"name": "a", "timezone": "Berlin"}', "REFUND_POLICY: a zone of the IANA's"),
            ('{"name": "a", "timezone": "../etc/passwd"}', "REFUND_POLICY: a zone of the IANA's"),
        ],
    )
    def test_what_is_wrong_is_told(
        self, monkeypatch: pytest.MonkeyPatch, wrong: str, sentence: str
    ) -> None:
        """A misspelt word would promise customers something else than was meant."""
        given(monkeypatch, REFUND_POLICY=wrong)

        with pytest.raises(WrongSettings) as raised:
            load_settings()

        assert str(raised.value).startswith(sentence)


class TestDefaults:
    def test_nothing_needs_to_be_set(self) -> None:
        """Development starts with an empty environment: at the simulator, with its own secrets."""
        settings = load_settings()

        assert Environment.DEVELOPMENT is settings.environment
        assert settings.stripe_secret_key.get_secret_value().startswith("sk_test_")
        assert (timedelta(hours=24), timedelta(minutes=15)) == (
            settings.hold,
            settings.action_window,
        )

    def test_settings_cannot_be_changed(self) -> None:
        """What was read at the start holds until the end."""
        settings = load_settings()

        with pytest.raises(ValueError, match="frozen"):
            settings.api_port = 1  # type: ignore[misc]  # that is the point

    def test_secrets_are_not_shown(self) -> None:
        """Settings in a traceback or a log line tell no secret."""
        settings = load_settings()

        shown = f"{settings!r} {settings}"

        for secret in (
            settings.stripe_secret_key,
            settings.stripe_webhook_secret,
            settings.jwt_secret,
        ):
            assert secret is not None
            assert secret.get_secret_value() not in shown

    def test_variables_of_others_are_ignored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The environment is full of what is not ours."""
        given(monkeypatch, PATH_TO_NOWHERE="1", STRIPE_COLOR="purple")

        assert Settings() == load_settings()


class TestMails:
    @pytest.mark.parametrize(
        ("url", "server"),
        [
            ("smtp://mail.example", ("mail.example", 587, "starttls", None, None)),
            ("smtp://mail.example:25/", ("mail.example", 25, "starttls", None, None)),
            (
                "smtps://shop:p%40ss%2Fword@mail.example",
                ("mail.example", 465, "tls", "shop", "p@ss/word"),
            ),
            ("smtp://127.0.0.1:2525?starttls=never", ("127.0.0.1", 2525, "none", None, None)),
            ("smtp://localhost?starttls=never", ("localhost", 25, "none", None, None)),
        ],
    )
    def test_a_mail_server(
        self, monkeypatch: pytest.MonkeyPatch, url: str, server: tuple[object, ...]
    ) -> None:
        """One address tells host, port, encryption and who we are there."""
        given(monkeypatch, SMTP_URL=url, MAIL_FROM="payments@shop.example")

        read = load_settings().mail_server

        assert read is not None
        password = read.password.get_secret_value() if read.password else None
        assert server == (read.host, read.port, read.encryption, read.user, password)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "mail.example:587",
            "http://shop:hidden@mail.example",
            "smtp://:587",
            "smtp://shop:hidden@mail.example:99999",
            "smtp://shop@mail.example",
            "smtp://shop:hidden@mail.example?starttls=maybe",
            "smtp://shop:hidden@mail.example?tls=never",
            "smtps://shop:hidden@mail.example?starttls=never",
            "smtp://shop:hidden@mail.example/path",
            "smtp://shop:hidden@[mail.example",
        ],
    )
    def test_what_is_none(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        """The sentence names the variable, and does not repeat the password."""
        given(monkeypatch, SMTP_URL=url, MAIL_FROM="payments@shop.example")

        with pytest.raises(WrongSettings, match="SMTP_URL") as wrong:
            load_settings()

        assert "hidden" not in str(wrong.value)

    @pytest.mark.parametrize(
        ("told", "name", "address", "shop"),
        [
            ("payments@shop.example", "", "payments@shop.example", "shop.example"),
            (
                "Slow Mornings <payments@shop.example>",
                "Slow Mornings",
                "payments@shop.example",
                "Slow Mornings",
            ),
            (
                "Bücher <a@bücher.example>",
                "Bücher",
                "a@xn--bcher-kva.example",
                "Bücher",
            ),
            ('"Bücher, & Co" <a@b.example>', "Bücher, & Co", "a@b.example", "Bücher, & Co"),
        ],
    )
    def test_a_sender(
        self, monkeypatch: pytest.MonkeyPatch, told: str, name: str, address: str, shop: str
    ) -> None:
        """An address, with a name or without; the shop is called so unless it is told."""
        given(monkeypatch, MAIL_FROM=told)

        settings = load_settings()

        assert settings.mail_sender is not None
        assert (name, address) == (settings.mail_sender.name, settings.mail_sender.address)
        assert shop == settings.mail_shop

    def test_the_shops_own_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is called what it is told to be called."""
        given(monkeypatch, MAIL_FROM="Sender <a@b.example>", MAIL_SHOP_NAME="Slow Mornings")

        assert "Slow Mornings" == load_settings().mail_shop

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            ({"SMTP_URL": "smtps://mail.example"}, "MAIL_FROM is needed with SMTP_URL"),
            ({"MAIL_FROM": "Shop"}, "MAIL_FROM: one address"),
            ({"MAIL_FROM": "a@b.example, c@d.example"}, "MAIL_FROM: one address"),
            ({"MAIL_FROM": "a@b.example\r\nBcc: c@d.example"}, "MAIL_FROM: one address"),
            ({"MAIL_OPERATIONS_TO": "everybody"}, "MAIL_OPERATIONS_TO: an e-mail address"),
            ({"MAIL_SHOP_NAME": "two\nlines"}, "MAIL_SHOP_NAME"),
            ({"MAIL_LANGUAGE": "fr"}, "MAIL_LANGUAGE"),
            ({"MAIL_TIMEZONE": "Berlin"}, "MAIL_TIMEZONE: a zone of the IANA's"),
            ({"MAIL_TIMEZONE": "../../etc/passwd"}, "MAIL_TIMEZONE: a zone of the IANA's"),
        ],
    )
    def test_what_is_wrong_is_told(
        self, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str], sentence: str
    ) -> None:
        """A mail that could not be sent, or to nobody, is known at the start."""
        given(monkeypatch, **wrong)

        with pytest.raises(WrongSettings, match=sentence):
            load_settings()

    @pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "10.1.2.3"])
    def test_a_server_that_is_near(self, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
        """On this machine, or inside a private network, mails may go in clear."""
        url = f"smtp://{host}?starttls=never"
        given(monkeypatch, **LIVE, SMTP_URL=url, MAIL_FROM="payments@shop.example")

        assert load_settings().mail_server is not None

    @pytest.mark.parametrize("host", ["mail.example", "8.8.8.8"])
    def test_production_sends_nothing_in_clear(
        self, monkeypatch: pytest.MonkeyPatch, host: str
    ) -> None:
        """Over any other way neither mails nor the password."""
        url = f"smtp://{host}?starttls=never"
        given(monkeypatch, **LIVE, SMTP_URL=url, MAIL_FROM="payments@shop.example")

        with pytest.raises(WrongSettings, match="SMTP_URL must not say starttls=never"):
            load_settings()


class TestReading:
    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ("https://a.example,https://b.example", ("https://a.example", "https://b.example")),
            (" https://a.example , ", ("https://a.example",)),
            ("", ()),
        ],
    )
    def test_lists_are_written_with_commas(
        self, monkeypatch: pytest.MonkeyPatch, written: str, read: tuple[str, ...]
    ) -> None:
        """Nobody has to write JSON into an environment file."""
        given(monkeypatch, CORS_ORIGINS=written)

        assert read == load_settings().cors_origins

    def test_a_list_may_be_given_as_one(self) -> None:
        """In code a tuple is a tuple."""
        settings = Settings(cors_origins=("https://a.example",))

        assert ("https://a.example",) == settings.cors_origins

    @pytest.mark.parametrize(
        ("told", "read"),
        [
            ("", ()),
            ("10.0.0.1", ("10.0.0.1",)),
            ("10.0.0.0/8, 2001:db8::/32", ("10.0.0.0/8", "2001:db8::/32")),
        ],
    )
    def test_proxies_are_addresses_or_networks(
        self, monkeypatch: pytest.MonkeyPatch, told: str, read: tuple[str, ...]
    ) -> None:
        """Whose word on where a request comes from is believed; nobody's if none is named."""
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", told)

        assert read == load_settings().forwarded_allow_ips

    @pytest.mark.parametrize("told", ["*", "0.0.0.0/0", "::/0", "proxy.example"])
    def test_not_everybody_is_a_proxy(self, monkeypatch: pytest.MonkeyPatch, told: str) -> None:
        """Were everybody believed, anybody could come from anywhere."""
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", told)

        with pytest.raises(WrongSettings, match="FORWARDED_ALLOW_IPS"):
            load_settings()

    def test_case_of_a_variable_does_not_count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A variable in lower case is the same."""
        given(monkeypatch, api_port="8010")

        assert 8010 == load_settings().api_port


class TestWrongValues:
    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("API_PORT", "none"),
            ("API_PORT", "70000"),
            ("API_WAIT_SECONDS", "0"),
            ("ENVIRONMENT", "staging"),
            ("ENVIRONMENT_NAME", "My Test"),
            ("PUBLIC_BASE_URL", "not a url"),
            ("STRIPE_API_BASE", "localhost"),
            ("STRIPE_REQUESTS_PER_SECOND", "0"),
            ("PAYMENT_ATTEMPTS", "0"),
            ("PAYMENT_HOLD_SECONDS", "-1"),
            ("LOG_LEVEL", "LOUD"),
            ("TEMPORAL_TLS", "perhaps"),
            ("STATEMENT_DESCRIPTOR_SUFFIX", "x" * 23),
            ("STRIPE_WEBHOOK_SECRET", ""),
            ("STRIPE_WEBHOOK_SECRET_PREVIOUS", ""),
            ("JWT_SECRET", ""),
            ("CORS_ORIGINS", "shop.example"),
            ("CORS_ORIGINS", "*"),
            ("CORS_ORIGINS", "https://shop.example/"),
            ("CORS_ORIGINS", "https://shop.example/thanks"),
            ("CORS_ORIGINS", "https://shop.example:443"),
            ("CORS_ORIGINS", "https://Shop.example"),
            ("CORS_ORIGINS", "https://jane@shop.example"),
            ("CORS_ORIGINS", "https://a.example,ftp://b.example"),
        ],
    )
    def test_variable_is_named(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
    ) -> None:
        """A wrong value stops the start with a sentence that begins with its variable."""
        given(monkeypatch, **{variable: value})

        with pytest.raises(WrongSettings) as wrong:
            load_settings()

        assert str(wrong.value).startswith(f"{variable}: ")

    def test_all_are_named_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two mistakes need one start, not two."""
        given(monkeypatch, API_PORT="none", LOG_LEVEL="LOUD")

        with pytest.raises(WrongSettings) as wrong:
            load_settings()

        assert ["API_PORT", "LOG_LEVEL"] == sorted(
            line.split(":")[0] for line in str(wrong.value).splitlines()
        )

    def test_secret_is_not_repeated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A key that stands in the wrong place is not printed to the log of the start."""
        given(monkeypatch, STRIPE_SECRET_KEY="sk_live_of_somebody")

        with pytest.raises(WrongSettings) as wrong:
            load_settings()

        assert "of_somebody" not in str(wrong.value)
        assert wrong.value.__cause__ is None


class TestStripeKeys:
    @pytest.mark.parametrize("environment", ["development", "test"])
    @pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1"])
    def test_live_key_outside_production_stops_the_start(
        self, monkeypatch: pytest.MonkeyPatch, environment: str, key: str
    ) -> None:
        """A test run must not take real money."""
        given(monkeypatch, ENVIRONMENT=environment, STRIPE_SECRET_KEY=key)

        with pytest.raises(WrongSettings, match="STRIPE_SECRET_KEY is a live key"):
            load_settings()

    def test_test_key_in_production_stops_the_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Production must not hand out goods for play money."""
        given(monkeypatch, **LIVE | {"STRIPE_SECRET_KEY": "sk_test_1"})

        with pytest.raises(WrongSettings, match="STRIPE_SECRET_KEY is a test key"):
            load_settings()

    @pytest.mark.parametrize("key", ["sk_test_of_a_live_shop", "rk_test_a_live_b"])
    def test_the_mode_is_what_the_key_begins_with(
        self, monkeypatch: pytest.MonkeyPatch, key: str
    ) -> None:
        """A test key that has `_live_` further on is a test key."""
        given(monkeypatch, STRIPE_SECRET_KEY=key)

        assert key == load_settings().stripe_secret_key.get_secret_value()

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("STRIPE_SECRET_KEY", "sk_livetest_1"),
            ("STRIPE_SECRET_KEY", "my_sk_live_1"),
            ("STRIPE_SECRET_KEY", "pk_test_1"),
            ("STRIPE_SECRET_KEY", "sk_test_"),
            ("STRIPE_SECRET_KEY", ""),
            ("STRIPE_PUBLISHABLE_KEY", "sk_test_1"),
            ("STRIPE_PUBLISHABLE_KEY", "my_pk_test_1"),
        ],
    )
    @pytest.mark.parametrize("environment", ["development", "production"])
    def test_what_is_no_key_stops_the_start(
        self, monkeypatch: pytest.MonkeyPatch, environment: str, variable: str, value: str
    ) -> None:
        """Of an unknown beginning nobody can say which mode it is."""
        given(monkeypatch, **LIVE if environment == "production" else {})
        given(monkeypatch, **{variable: value})

        with pytest.raises(WrongSettings, match=f"^{variable} must begin with"):
            load_settings()

    def test_keys_are_of_one_mode(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A card tokenized in one mode is unknown in the other."""
        given(monkeypatch, **LIVE | {"STRIPE_PUBLISHABLE_KEY": "pk_test_1"})

        with pytest.raises(WrongSettings, match="STRIPE_PUBLISHABLE_KEY"):
            load_settings()


class TestProduction:
    def test_starts_with_secrets_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What production needs is what the README lists, and nothing more."""
        given(monkeypatch, **LIVE)

        assert Environment.PRODUCTION is load_settings().environment

    @pytest.mark.parametrize("secret", [DEVELOPMENT_SECRET, "short"])
    def test_refuses_a_secret_that_others_know_or_guess(
        self, monkeypatch: pytest.MonkeyPatch, secret: str
    ) -> None:
        """Whoever knows the secret is whoever they like."""
        given(monkeypatch, **LIVE | {"JWT_SECRET": secret})

        with pytest.raises(WrongSettings, match="JWT_SECRET"):
            load_settings()

    def test_refuses_the_webhook_secret_of_the_demo(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever has read this repository could sign webhooks."""
        given(monkeypatch, **LIVE)
        monkeypatch.delenv("STRIPE_WEBHOOK_SECRET")

        with pytest.raises(WrongSettings, match="STRIPE_WEBHOOK_SECRET"):
            load_settings()

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("STRIPE_WEBHOOK_SECRET_PREVIOUS", DEMO_WEBHOOK_SECRET),
            ("STRIPE_API_BASE", "http://simulator:12111"),
            ("PUBLIC_BASE_URL", "http://pay.example"),
        ],
    )
    def test_refuses_what_suits_development_only(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
    ) -> None:
        """Neither the simulator nor an open line, and no secret from this repository."""
        given(monkeypatch, **LIVE | {variable: value})

        with pytest.raises(WrongSettings) as wrong:
            load_settings()

        assert str(wrong.value).startswith(f"{variable} ")
        assert 1 == len(str(wrong.value).splitlines())

    def test_takes_another_encrypted_address_of_the_gateway(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Stripe's own address may be written down, as compose needs it."""
        given(monkeypatch, **LIVE, STRIPE_API_BASE="https://api.stripe.com")

        assert "https://api.stripe.com/" == str(load_settings().stripe_api_base)

    def test_names_all_that_is_wrong_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Going live takes one start, not one for each mistake."""
        given(
            monkeypatch,
            **LIVE
            | {
                "JWT_SECRET": "short",
                "STRIPE_WEBHOOK_SECRET": DEMO_WEBHOOK_SECRET,
                "STRIPE_API_BASE": "http://simulator:12111",
                "PUBLIC_BASE_URL": "http://pay.example",
            },
        )

        with pytest.raises(WrongSettings) as wrong:
            load_settings()

        assert [
            "JWT_SECRET",
            "STRIPE_WEBHOOK_SECRET",
            "STRIPE_API_BASE",
            "PUBLIC_BASE_URL",
        ] == [line.split()[0] for line in str(wrong.value).splitlines()]

    def test_public_keys_need_no_secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With a JWKS nothing is shared, so nothing is checked for its length."""
        given(
            monkeypatch,
            **LIVE,
            JWT_JWKS_URL="https://auth.example/jwks.json",
            JWT_ALGORITHMS="RS256,ES256",
        )
        monkeypatch.delenv("JWT_SECRET")

        assert ("RS256", "ES256") == load_settings().jwt_algorithms


class TestBroker:
    def test_there_is_none_by_itself(self) -> None:
        """Without an address nothing is sent, and no order is taken."""
        settings = load_settings()

        assert (None, None) == (settings.amqp_url, settings.amqp_orders_queue)

    @pytest.mark.parametrize(
        "url", ["amqp://guest:guest@127.0.0.1:5672/", "amqps://mq.example", "amqps://a:b@c:1/v%2Fh"]
    )
    def test_its_address(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        """With and without credentials, port and virtual host; it is never shown."""
        given(monkeypatch, AMQP_URL=url)

        settings = load_settings()

        assert settings.amqp_url is not None
        assert url == settings.amqp_url.get_secret_value()
        assert url not in f"{settings!r}"

    @pytest.mark.parametrize("url", ["", "http://mq.example", "amqp://", "mq.example:5672"])
    def test_what_is_no_address_stops_the_start(
        self, monkeypatch: pytest.MonkeyPatch, url: str
    ) -> None:
        """And is not repeated: it may hold a password."""
        given(monkeypatch, AMQP_URL=url)

        with pytest.raises(WrongSettings, match=r"^AMQP_URL: an address such as") as wrong:
            load_settings()

        assert not url or url not in str(wrong.value)

    def test_orders_need_a_broker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A queue without an address would never be read, and nobody would know."""
        given(monkeypatch, AMQP_ORDERS_QUEUE="paysaga.orders")

        with pytest.raises(WrongSettings, match="AMQP_ORDERS_QUEUE needs AMQP_URL"):
            load_settings()


class TestTokens:
    def test_something_must_check_them(self) -> None:
        """Without secret and without public keys every token would be refused, or worse, taken."""
        with pytest.raises(ValueError, match="JWT_SECRET, JWT_JWKS_URL or AUTH_SERVICE_URL"):
            Settings(jwt_secret=None)

    def test_public_key_is_not_taken_for_a_shared_secret(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """HS256 with a public key as its secret is the oldest forgery."""
        given(
            monkeypatch,
            JWT_JWKS_URL="https://auth.example/jwks.json",
            JWT_ALGORITHMS="RS256,HS256",
        )

        with pytest.raises(WrongSettings, match="JWT_ALGORITHMS must name only asymmetric"):
            load_settings()

    def test_asymmetric_algorithms_need_public_keys(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """RS256 cannot be checked with a shared secret."""
        given(monkeypatch, JWT_ALGORITHMS="HS256,RS256")

        with pytest.raises(WrongSettings, match="JWT_ALGORITHMS beyond HS256"):
            load_settings()

    @pytest.mark.parametrize("algorithms", ["none", "RS256,none", "", "rs256"])
    def test_unknown_algorithm_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, algorithms: str
    ) -> None:
        """`none` and a slip of the pen are found at the start, not by the first customer."""
        given(
            monkeypatch,
            JWT_JWKS_URL="https://auth.example/jwks.json",
            JWT_ALGORITHMS=algorithms,
        )

        with pytest.raises(WrongSettings, match="JWT_ALGORITHMS"):
            load_settings()
