"""Settings: read once from the environment, checked, and passed down. Never imported as a value."""

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import (
    AnyHttpUrl,
    Field,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode, SettingsConfigDict

from paysaga.broker_settings import BrokerSettings
from paysaga.domain.decline_limits import DeclineLimits
from paysaga.mail_settings import Encryption, MailSettings
from paysaga.refund_settings import RefundSettings

SECRETS_DIRECTORY: Final = Path("/run/secrets")

DEVELOPMENT_SECRET: Final = "development-only-secret-development-only"  # noqa: S105 - refused in production
DEMO_WEBHOOK_SECRET: Final = "whsec_paysaga_demo_secret"  # noqa: S105 - refused in production

IN_MEMORY: Final = "memory://"

_SECRET_KEY: Final = re.compile(r"(?:sk|rk)_(live|test)_\w+")
_PUBLISHABLE_KEY: Final = re.compile(r"pk_(live|test)_\w+")
_SYMMETRIC: Final = frozenset({"HS256", "HS384", "HS512"})
_ASYMMETRIC: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
_SHORTEST_SECRET: Final = 32
_SOCKET: Final = r"^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]):\d{1,5}$"


class Environment(StrEnum):
    """Where this deployment stands; production refuses what only suits development."""

    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


class WrongSettings(Exception):
    """The environment cannot be used; the message names the variable and what to do."""


class Settings(MailSettings, BrokerSettings, RefundSettings):
    """Everything that differs between deployments. Field names are the variables, in lower case."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_file=None,
        secrets_dir=SECRETS_DIRECTORY if SECRETS_DIRECTORY.is_dir() else None,
    )

    environment: Environment = Environment.DEVELOPMENT
    environment_name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] = "development"

    database_url: str = "sqlite:///.paysaga/paysaga.db"

    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_tls: bool = False
    temporal_api_key: SecretStr | None = None
    temporal_ui_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8233")

    stripe_secret_key: SecretStr = SecretStr("sk_test_paysaga_demo")
    stripe_publishable_key: str = "pk_test_paysaga_demo"
    # What is signed with an empty secret anybody can sign.
    stripe_webhook_secret: Annotated[SecretStr, Field(min_length=1)] = SecretStr(
        DEMO_WEBHOOK_SECRET
    )
    stripe_webhook_secret_previous: Annotated[SecretStr, Field(min_length=1)] | None = None
    stripe_api_base: AnyHttpUrl | None = None
    stripe_requests_per_second: PositiveInt = 80
    stripe_requests_per_second_each: PositiveInt = 20
    statement_descriptor_suffix: Annotated[str, Field(max_length=22)] | None = None

    api_host: str = "127.0.0.1"
    api_port: Annotated[int, Field(ge=1, le=65535)] = 8009
    api_wait_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    api_body_limit_bytes: PositiveInt = 64 * 1024
    public_base_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8009")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    # The proxies whose word on where a request comes from is believed.
    forwarded_allow_ips: Annotated[tuple[str, ...], NoDecode] = ("127.0.0.1",)

    order_service_url: AnyHttpUrl | None = None
    order_service_token: SecretStr | None = None

    jwt_secret: Annotated[SecretStr, Field(min_length=1)] | None = SecretStr(DEVELOPMENT_SECRET)
    jwt_jwks_url: AnyHttpUrl | None = None
    jwt_algorithms: Annotated[tuple[str, ...], NoDecode] = ("HS256",)
    jwt_issuer: str = "paysaga"
    jwt_audience: str = "paysaga"

    auth_service_url: AnyHttpUrl | None = None
    auth_service_token: SecretStr | None = None
    auth_service_knows_customers: bool = False

    payment_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    payment_attempts_per_hour: PositiveInt = 5
    # Who tests stolen cards shows by declines; 0 is any number.
    payment_declines_per_customer_day: NonNegativeInt = 10
    payment_declines_per_card_day: NonNegativeInt = 6
    payment_declines_per_address_hour: NonNegativeInt = 20
    # Where attempts and requests to the gateway are counted: in each process, or in a shared Redis.
    limits_url: Annotated[str, Field(pattern=r"^(memory://|rediss?://.+)$")] = IN_MEMORY
    payment_hold_seconds: PositiveInt = 24 * 60 * 60
    payment_action_seconds: PositiveInt = 15 * 60

    # Major units of the payment's currency: above it a second person must agree with a repair.
    repair_approval_above: Annotated[Decimal, Field(ge=0)] = Decimal(500)

    sweep_interval_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    inbox_keep_days: Annotated[int, Field(ge=30, le=3650)] = 90
    events_keep_days: Annotated[int, Field(ge=30, le=3650)] = 90

    # Where a worker's or an API's metrics are read, as address:port.
    metrics_address: Annotated[str, Field(pattern=_SOCKET)] | None = None
    log_level: Annotated[str, Field(pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"
    worker_drain_seconds: PositiveInt = 30

    @field_validator("cors_origins", "jwt_algorithms", "forwarded_allow_ips", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        """A list in the environment is written with commas."""
        if isinstance(value, str):
            return tuple(word.strip() for word in value.split(",") if word.strip())
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        """Browsers write an origin in one way only, and any other would never match."""
        for word in words:
            if "@" in word or str(AnyHttpUrl(word)) != f"{word}/":
                raise ValueError(
                    f"{word} is not written as browsers write an origin:"
                    " scheme, host and (unless it is the usual one) port, such as https://shop.example"
                )
        return words

    @field_validator("forwarded_allow_ips")
    @classmethod
    def _proxies(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        """Were everybody believed, anybody could come from anywhere."""
        for word in words:
            try:
                network = ip_network(word, strict=False)
            except ValueError:
                raise ValueError(f"{word} is neither an IP address nor a network") from None
            if not network.prefixlen:
                raise ValueError(f"{word} is everybody: name your proxies")
        return words

    @property
    def decline_limits(self) -> DeclineLimits:
        """How many declines are borne."""
        return DeclineLimits(
            per_customer_day=self.payment_declines_per_customer_day,
            per_card_day=self.payment_declines_per_card_day,
            per_address_hour=self.payment_declines_per_address_hour,
        )

    @property
    def livemode(self) -> bool:
        """Whether the gateway moves real money for us: its live mode is production's."""
        return self.environment is Environment.PRODUCTION

    @property
    def introspects(self) -> bool:
        """Whether the auth service is asked about each token: we have no keys of it."""
        return self.auth_service_url is not None and self.jwt_jwks_url is None

    @property
    def hold(self) -> timedelta:
        """How long an unpaid order stays reserved for its customer."""
        return timedelta(seconds=self.payment_hold_seconds)

    @property
    def action_window(self) -> timedelta:
        """How long a customer has for 3DS."""
        return timedelta(seconds=self.payment_action_seconds)

    @model_validator(mode="after")
    def _keys_are_of_this_environment(self) -> Self:
        secret = _SECRET_KEY.fullmatch(self.stripe_secret_key.get_secret_value())
        publishable = _PUBLISHABLE_KEY.fullmatch(self.stripe_publishable_key)
        if secret is None:
            raise ValueError(
                "STRIPE_SECRET_KEY must begin with sk_live_, rk_live_, sk_test_ or rk_test_"
            )
        if publishable is None:
            raise ValueError("STRIPE_PUBLISHABLE_KEY must begin with pk_live_ or pk_test_")
        mode = secret[1]
        if (mode == "live") != self.livemode:
            raise ValueError(
                f"STRIPE_SECRET_KEY is a {mode} key, which ENVIRONMENT={self.environment} must"
                " not use: set the key of this environment, or correct ENVIRONMENT"
            )
        if mode != publishable[1]:
            raise ValueError(
                "STRIPE_PUBLISHABLE_KEY and STRIPE_SECRET_KEY are not of the same mode:"
                " take both from the same page of the Stripe dashboard"
            )
        return self

    @model_validator(mode="after")
    def _tokens_can_be_checked(self) -> Self:
        if self.auth_service_knows_customers and self.auth_service_url is None:
            raise ValueError("AUTH_SERVICE_KNOWS_CUSTOMERS needs AUTH_SERVICE_URL")
        if self.jwt_secret is None and self.jwt_jwks_url is None and not self.introspects:
            raise ValueError(
                "set JWT_SECRET, JWT_JWKS_URL or AUTH_SERVICE_URL: without one no token can be"
                " checked"
            )
        named = set(self.jwt_algorithms)
        if not named or named - _SYMMETRIC - _ASYMMETRIC:
            known = ", ".join(sorted(_SYMMETRIC | _ASYMMETRIC))
            raise ValueError(f"JWT_ALGORITHMS must name at least one of {known}, and no other")
        if self.jwt_jwks_url is not None and named & _SYMMETRIC:
            raise ValueError(
                "JWT_ALGORITHMS must name only asymmetric algorithms (RS256, ES256, …)"
                " when JWT_JWKS_URL is set"
            )
        if self.jwt_jwks_url is None and named & _ASYMMETRIC:
            raise ValueError("JWT_ALGORITHMS beyond HS256/384/512 need JWT_JWKS_URL")
        return self

    @model_validator(mode="after")
    def _production_is_no_playground(self) -> Self:
        if self.environment is Environment.PRODUCTION and (wrong := list(self._playground())):
            raise ValueError("\n".join(wrong))
        return self

    def _playground(self) -> Iterator[str]:
        """One sentence for each setting that only suits development."""
        secret = self.jwt_secret.get_secret_value() if self.jwt_secret else ""
        if (
            self.jwt_jwks_url is None
            and not self.introspects
            and (secret == DEVELOPMENT_SECRET or len(secret) < _SHORTEST_SECRET)
        ):
            yield "JWT_SECRET needs at least 32 characters of its own in production"
        for variable, signed in (
            ("STRIPE_WEBHOOK_SECRET", self.stripe_webhook_secret),
            ("STRIPE_WEBHOOK_SECRET_PREVIOUS", self.stripe_webhook_secret_previous),
        ):
            if signed is not None and signed.get_secret_value() == DEMO_WEBHOOK_SECRET:
                yield (
                    f"{variable} is the demo's, which everybody knows: production needs the"
                    " signing secret of its own endpoint"
                )
        if self.stripe_api_base is not None and self.stripe_api_base.scheme != "https":
            yield (
                "STRIPE_API_BASE must be an https address in production:"
                " leave it out to call Stripe itself"
            )
        if self.public_base_url.scheme != "https":
            yield "PUBLIC_BASE_URL must be an https address in production"
        server = self.mail_server
        if server and server.encryption is Encryption.NONE and not server.is_near:
            yield "SMTP_URL must not say starttls=never in production: mails would be open to all"


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        WrongSettings: One sentence for each variable that is wrong.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise WrongSettings("\n".join(_sentence(detail) for detail in error.errors())) from None


def _sentence(detail: object) -> str:
    assert isinstance(detail, dict)  # noqa: S101 - pydantic's ErrorDetails
    where = ".".join(str(part) for part in detail["loc"][:1]).upper()
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
