import pytest

from paysaga.domain.mailbox import NoMailbox, mailbox


class TestMailbox:
    @pytest.mark.parametrize(
        ("told", "written"),
        [
            ("ada@example.com", "ada@example.com"),
            ("Ada.L+shop@Example.COM", "Ada.L+shop@example.com"),
            ("ada@bücher.example", "ada@xn--bcher-kva.example"),
            ("root@localhost", "root@localhost"),
        ],
    )
    def test_an_address_is_as_servers_take_it(self, told: str, written: str) -> None:
        """The name stays as it is, since it may matter; the domain is in ASCII."""
        assert written == mailbox(told)

    @pytest.mark.parametrize(
        "told",
        [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@example..com",
            "ada@-example.com",
            "ada@127.0.0.1",
            "ada@[127.0.0.1]",
            "ada lindqvist@example.com",
            "Ada <ada@example.com>",
            "ada@example.com,eve@example.com",
            "ada,eve@example.com",
            "ada@example.com\r\nBcc: eve@example.com",
            "ada\n@example.com",
            "ada@example.com\n",
            "ada@eve@example.com",
            '"ada"@example.com',
            ".ada@example.com",
            "ädä@example.com",
            "a" * 65 + "@example.com",
            "ada@" + "a." * 130 + "com",
            "ada@" + "a" * 64 + ".com",
        ],
    )
    def test_nothing_else_is_taken_for_one(self, told: str) -> None:
        """Neither a second recipient nor a header fits in, and the refusal repeats none of it."""
        with pytest.raises(NoMailbox) as refusal:
            mailbox(told)

        assert "an e-mail address such as ada@example.com is needed" == str(refusal.value)
