"""What a mail server may do to us, and what we make of it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from paysaga.events.mail import smtp as module
from paysaga.events.mail.smtp import NotSent, Smtp, Trouble
from paysaga.mail_settings import Encryption, MailServer
from tests.mail.server import Post, serving

MAIL = b"From: shop@example.com\r\nSubject: Hello\r\n\r\n.Hello\r\n"


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async with serving(Post()) as served:
        yield served


async def hand_over(smtp: Smtp) -> None:
    async with smtp.accepted("shop@example.com", "ada@example.com") as envelope:
        await envelope.send(MAIL)


async def refusal(smtp: Smtp) -> NotSent:
    with pytest.raises(NotSent) as refused:
        await hand_over(smtp)
    return refused.value


class TestHandingOver:
    async def test_the_server_has_it(self, post: Post) -> None:
        """It arrives once, as it was written."""
        await hand_over(Smtp(post.address))

        [mail] = post.mails
        assert ("Hello", ".Hello") == (mail["Subject"], mail.get_content().strip())

    async def test_nothing_is_sent_before_it_is_told_to(self, post: Post) -> None:
        """Whoever thinks better of it after the recipient was accepted has sent nothing."""
        async with Smtp(post.address).accepted("shop@example.com", "ada@example.com"):
            pass

        assert (["ada@example.com"], []) == (post.recipients, post.mails)

    @pytest.mark.parametrize(
        ("answers", "trouble", "told"),
        [
            ({"to_rcpt": "550 5.1.1 <ada@example.com> unknown"}, Trouble.REFUSED, "550 5.1.1"),
            ({"to_rcpt": "451 4.7.1 greylisted, ada"}, Trouble.LATER, "451 4.7.1"),
            ({"to_rcpt": "421 too many"}, Trouble.AWAY, "421"),
            ({"to_rcpt": "550 5.7.133 ada is a group"}, Trouble.LATER, "550 5.7.133"),
            ({"to_rcpt": "550 5.1.8 no such sender"}, Trouble.AWAY, "550 5.1.8"),
            ({"to_data": "554 5.7.1 spam for ada"}, Trouble.LATER, "554 5.7.1"),
            ({"to_rcpt": "530 authentication required"}, Trouble.AWAY, "530"),
            ({"to_mail": "550 5.7.1 not from here"}, Trouble.AWAY, "550 5.7.1"),
            ({"to_mail": "452 full"}, Trouble.AWAY, "452"),
            ({"to_data": "554 5.6.0 spam for ada@example.com"}, Trouble.REFUSED, "554 5.6.0"),
            ({"to_data": "452 4.2.2 full"}, Trouble.LATER, "452 4.2.2"),
            ({"to_data": "421 good-bye"}, Trouble.AWAY, "421"),
            ({"to_data": "399 what?"}, Trouble.UNKNOWN, "399"),
        ],
    )
    async def test_every_answer_has_its_meaning(
        self, post: Post, answers: dict[str, str], trouble: Trouble, told: str
    ) -> None:
        """For this mail or for all, for now or for ever; of the server's words only codes stay."""
        for command, answer in answers.items():
            setattr(post, command, answer)

        refused = await refusal(Smtp(post.address))

        assert trouble is refused.trouble
        assert str(refused).endswith(f": {told}")
        assert "ada" not in str(refused)

    async def test_a_lost_answer_to_the_mail_is_unknown(self, post: Post) -> None:
        """The server has it, and is gone before it says so: it may be sent, or not."""
        post.drops = True

        refused = await refusal(Smtp(post.address))

        assert Trouble.UNKNOWN is refused.trouble
        assert 1 == len(post.mails)

    async def test_no_answer_to_the_mail_is_unknown(
        self, post: Post, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A server that says nothing does not keep us, and is believed neither way."""
        monkeypatch.setattr(module, "DATA_SECONDS", 0.1)
        post.may_answer.clear()

        refused = await refusal(Smtp(post.address))

        assert Trouble.UNKNOWN is refused.trouble
        post.may_answer.set()

    async def test_nobody_there(self) -> None:
        """A port at which nobody listens: all mails wait."""
        assert Trouble.AWAY is (await refusal(Smtp(Post().address))).trouble

    async def test_who_says_nothing_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server that takes the connection and does not greet."""
        monkeypatch.setattr(module, "COMMAND_SECONDS", 0.1)
        post, silent = Post(), asyncio.Event()

        async def keep_silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await silent.wait()
            writer.close()

        async with await asyncio.start_server(keep_silent, "127.0.0.1", post.port):
            refused = await refusal(Smtp(post.address))
            silent.set()

        assert Trouble.AWAY is refused.trouble

    @pytest.mark.parametrize("greeting", ["421 4.3.2 busy", "554 5.7.1 not for you", "what?"])
    async def test_who_does_not_let_us_in(self, greeting: str) -> None:
        """It is nothing about this mail: all wait."""
        post = Post()

        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(f"{greeting}\r\n".encode())
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(greet, "127.0.0.1", post.port):
            refused = await refusal(Smtp(post.address))

        assert Trouble.AWAY is refused.trouble
        assert "for you" not in str(refused)

    async def test_a_few_at_a_time(self, post: Post) -> None:
        """However many mails there are, the server sees four connections at most."""
        smtp = Smtp(post.address)
        inside, most = 0, 0

        async def one() -> None:
            nonlocal inside, most
            async with smtp.accepted("shop@example.com", "ada@example.com") as envelope:
                inside += 1
                most = max(most, inside)
                await envelope.send(MAIL)
                inside -= 1

        await asyncio.gather(*(one() for _ in range(12)))

        assert 12 == len(post.mails)
        assert 1 < most <= 4


class TestEncryption:
    @pytest.mark.parametrize("encryption", [Encryption.STARTTLS, Encryption.FROM_THE_START])
    async def test_a_good_certificate(
        self, tls: tuple[ssl.SSLContext, ssl.SSLContext], encryption: Encryption
    ) -> None:
        """With the password, inside TLS, the mail is handed over."""
        theirs, ours = tls
        at_once = encryption is Encryption.FROM_THE_START
        async with serving(Post(), tls=theirs, from_the_start=at_once) as post:
            await hand_over(Smtp(guarded(post, encryption), ours))

        assert [(b"shop", b"p@ss/word")] == post.users
        assert 1 == len(post.mails)

    @pytest.mark.parametrize("encryption", [Encryption.STARTTLS, Encryption.FROM_THE_START])
    async def test_a_certificate_of_somebody_elses(
        self, tls: tuple[ssl.SSLContext, ssl.SSLContext], encryption: Encryption
    ) -> None:
        """Nobody who only says that they are the mail server hears the password."""
        at_once = encryption is Encryption.FROM_THE_START
        async with serving(Post(), tls=tls[0], from_the_start=at_once) as post:
            refused = await refusal(Smtp(guarded(post, encryption)))

        assert Trouble.AWAY is refused.trouble
        assert ([], []) == (post.users, post.mails)

    async def test_a_server_without_it(self, post: Post) -> None:
        """Who takes STARTTLS out of the server's greeting gets no mail in clear."""
        refused = await refusal(Smtp(guarded(post, Encryption.STARTTLS, password=None)))

        assert Trouble.AWAY is refused.trouble
        assert ([], []) == (post.users, post.recipients)

    async def test_a_wrong_password(self, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
        """It is ours to put right: all mails wait, none is lost, and nobody reads it in a log."""
        async with serving(Post(), tls=tls[0]) as post:
            refused = await refusal(Smtp(guarded(post, Encryption.STARTTLS, "wrong"), tls[1]))

        assert Trouble.AWAY is refused.trouble
        assert "535" in str(refused)
        assert "wrong" not in str(refused)


def guarded(post: Post, encryption: Encryption, password: str | None = "p@ss/word") -> MailServer:
    secret = SecretStr(password) if password else None
    return MailServer(
        host="127.0.0.1",
        port=post.port,
        encryption=encryption,
        user="shop" if secret else None,
        password=secret,
    )


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A mail server's side, and ours, which trusts its certificate."""
    key, file = ec.generate_private_key(ec.SECP256R1()), tmp_path_factory.mktemp("tls") / "one.pem"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    Path(file).write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(file)
    return theirs, ssl.create_default_context(cafile=str(file))
