"""A letter as a mail server takes it: headers and parts, with nothing in them that breaks out."""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from paysaga.domain.languages import Language
from paysaga.events.mail.letters import Letter
from paysaga.mail_settings import Sender

# Seven bits pass every server.
_POLICY = SMTP.clone(cte_type="7bit")


def message_id(event_id: str, kind: str, sender: Sender) -> str:
    """What the mail is called for ever: by it, it is found in the logs of mail servers."""
    return f"<{event_id}.{kind}@{sender.address.rpartition('@')[2]}>"


def message(
    letter: Letter, *, sender: Sender, to: str, language: Language, named: str, at: datetime
) -> bytes:
    """The whole mail to a mailbox. `named` is its Message-ID, `at` its date."""
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = Address(display_name=sender.name, addr_spec=sender.address)
    mail["To"] = Address(addr_spec=to)
    mail["Subject"] = letter.subject
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = named
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office notice is sent back
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(letter.text)
    mail.add_alternative(letter.html, subtype="html")
    mail["Content-Language"] = language.value  # of both parts: each took what was there before
    return mail.as_bytes()
