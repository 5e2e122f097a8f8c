"""The settings of mail: through which server, from whom, to whom, in what language and zone."""

from email.headerregistry import Address, HeaderRegistry
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Any, Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from paysaga.domain.languages import Language
from paysaga.domain.mailbox import NoMailbox, mailbox
from paysaga.domain.message import Message
from paysaga.domain.zones import zone_of

_HEADERS: Final = HeaderRegistry()
# No control character: a name stands in a header of every mail.
_NAME: Final = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,100}$"


class Encryption(StrEnum):
    """How the way to the mail server is kept from others' eyes."""

    FROM_THE_START = "tls"
    STARTTLS = "starttls"
    NONE = "none"


class MailServer(Message):
    """Where mails are handed over. Its certificate is checked."""

    host: str
    port: int
    encryption: Encryption
    user: str | None = None
    password: SecretStr | None = None

    @property
    def is_near(self) -> bool:
        """Whether it is this machine, or an address of a private network."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_private
        except ValueError:
            return False

    @classmethod
    def at(cls, url: str) -> Self:
        """Read `smtp://user:password@host:587` or `smtps://…:465`.

        Raises:
            ValueError: It is neither. The URL may hold a password: it is not repeated.
        """
        try:
            parts = urlsplit(url)
            options = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
            port = parts.port
        except ValueError:
            parts, options, port = urlsplit(""), {}, None
        encryption = _ENCRYPTIONS.get((parts.scheme, tuple(options.pop("starttls", ["always"]))))
        is_bare = parts.path in {"", "/"} and not parts.fragment and not options
        if encryption is None or not parts.hostname or not is_bare:
            raise ValueError(
                "SMTP_URL must be smtp://user:password@host:587 (with STARTTLS, unless"
                " ?starttls=never follows) or smtps://user:password@host:465"
            )
        if (parts.username is None) != (parts.password is None):
            raise ValueError("SMTP_URL needs both a user and a password, or none")
        return cls(
            host=parts.hostname,
            port=port or _PORTS[encryption],
            encryption=encryption,
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else SecretStr(unquote(parts.password)),
        )


_ENCRYPTIONS: Final[dict[tuple[str, tuple[str, ...]], Encryption]] = {
    ("smtp", ("always",)): Encryption.STARTTLS,
    ("smtp", ("never",)): Encryption.NONE,
    ("smtps", ("always",)): Encryption.FROM_THE_START,
}
_PORTS: Final = {Encryption.FROM_THE_START: 465, Encryption.STARTTLS: 587, Encryption.NONE: 25}


class Sender(Message):
    """Whom mails are from."""

    name: str
    address: str

    @property
    def called(self) -> str:
        """The name, else the domain."""
        return self.name or self.address.rpartition("@")[2]


class MailSettings(BaseSettings):
    """What mails need. Without `smtp_url` none is sent."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    smtp_url: SecretStr | None = None
    mail_from: str | None = None
    mail_operations_to: str | None = None
    mail_shop_name: Annotated[str, Field(pattern=_NAME)] | None = None
    mail_language: Language = Language.EN
    mail_timezone: str = "UTC"

    @field_validator("mail_from")
    @classmethod
    def _is_one_sender(cls, told: str | None) -> str | None:
        if told is not None:
            _sender(told)
        return told

    @field_validator("mail_operations_to")
    @classmethod
    def _is_a_mailbox(cls, told: str | None) -> str | None:
        return None if told is None else mailbox(told)

    @field_validator("mail_timezone")
    @classmethod
    def _is_a_zone(cls, told: str) -> str:
        zone_of(told)
        return told

    @model_validator(mode="after")
    def _mails_come_from_somebody(self) -> Self:
        if self.mail_server is not None and self.mail_from is None:
            raise ValueError("MAIL_FROM is needed with SMTP_URL: who are the mails from?")
        return self

    @property
    def mail_server(self) -> MailServer | None:
        """Where mails are handed over; `None`: no mails are sent."""
        url = self.smtp_url
        return None if url is None else MailServer.at(url.get_secret_value())

    @property
    def mail_shop(self) -> str:
        """What the shop is called: as it is told, else as the sender is called."""
        sender = self.mail_sender
        return self.mail_shop_name or (sender.called if sender else "")

    @property
    def mail_sender(self) -> Sender | None:
        """Whom mails are from."""
        return _sender(self.mail_from) if self.mail_from else None


def _sender(told: str) -> Sender:
    if any(not character.isprintable() for character in told):
        raise ValueError(_ONE_SENDER)
    header: Any = _HEADERS("from", told)  # its class is made on the spot
    addresses: tuple[Address, ...] = header.addresses
    if header.defects or len(addresses) != 1:
        raise ValueError(_ONE_SENDER)
    [address] = addresses
    try:
        return Sender(name=address.display_name, address=mailbox(address.addr_spec))
    except NoMailbox:
        raise ValueError(_ONE_SENDER) from None


_ONE_SENDER: Final = "one address is needed, such as Slow Mornings <payments@shop.example>"
