import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paysaga.domain.ids import EVENT, METHOD, PAYMENT, derived, fingerprint

parts = st.lists(st.text(max_size=30), min_size=1, max_size=5)
# Prefixes of Stripe's objects that we store ids of, and others that look like ours.
STRIPES = {"cus", "pi", "ch", "py", "re", "pm", "evt", "sub", "in", "price", "prod", "seti", "dp"}


class TestDerived:
    @given(parts)
    def test_same_parts_lead_to_the_same_id(self, origin: list[str]) -> None:
        """A repeated request finds the payment that it made, a year later and on any machine."""
        assert derived(PAYMENT, *origin) == derived(PAYMENT, *origin)

    @given(parts, parts)
    def test_other_parts_lead_elsewhere(self, one: list[str], other: list[str]) -> None:
        """No two requests share a payment, however their parts are cut."""
        assert (one == other) is (derived(PAYMENT, *one) == derived(PAYMENT, *other))

    @given(st.text(), st.text(), st.text())
    def test_cut_between_parts_counts(self, a: str, b: str, c: str) -> None:
        """("ab", "c") is not ("a", "bc"), nor is one part like two."""
        assert (b == "") is (derived(PAYMENT, a + b, c) == derived(PAYMENT, a, b + c))
        assert derived(PAYMENT, a + b) != derived(PAYMENT, a, b)

    @given(parts)
    def test_id_is_short_and_plain(self, origin: list[str]) -> None:
        """It fits a URL, a file name and Stripe's metadata, and tells nothing of its origin."""
        assert re.fullmatch(r"pay_[a-z2-7]{26}", derived(PAYMENT, *origin))

    def test_ids_do_not_change_with_a_release(self) -> None:
        """Ids are in databases and with shops: the way they are made is fixed for ever."""
        assert "pay_ma6xfkvwpx5upoy57dtezth6hq" == derived(PAYMENT, "cst_1", "key-1")

    @pytest.mark.parametrize("prefix", [PAYMENT, EVENT, METHOD])
    def test_prefix_is_none_of_stripes(self, prefix: str) -> None:
        """Whoever reads an id sees at once whose it is."""
        assert prefix not in STRIPES


class TestFingerprint:
    @given(parts, parts)
    def test_equal_for_equal_requests_only(self, one: list[str], other: list[str]) -> None:
        """The same key with another body is told apart from a repeat."""
        assert (one == other) is (fingerprint(*one) == fingerprint(*other))

    @given(parts)
    def test_is_no_id(self, origin: list[str]) -> None:
        """It has no prefix, so nobody takes it for an id."""
        assert re.fullmatch(r"[a-z2-7]{26}", fingerprint(*origin))
