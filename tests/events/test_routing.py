"""Routing keys that are made from a template."""

import re

import pytest

from paysaga.domain.payment import PaymentStatus
from paysaga.events.routing import BY_TYPE, checked_template, routing_key
from paysaga.events.shapes import published
from tests.api.test_views import a_state
from tests.events.test_shapes import kept

EVENT = published(kept(a_state(PaymentStatus.SUCCEEDED, decline=None)))


class TestTemplate:
    @pytest.mark.parametrize(
        ("template", "key"),
        [
            (BY_TYPE, "payment.succeeded"),
            ("{environment}.{type}", "test.payment.succeeded"),
            ("{object_type}.{object_id}", f"payment.{EVENT.object_id}"),
            ("always-the-same", "always-the-same"),
            ("{{{type}}}", "{payment.succeeded}"),
        ],
    )
    def test_placeholders_are_filled_in(self, template: str, key: str) -> None:
        """Consumers bind to what they want to hear of."""
        assert key == routing_key(checked_template(template), EVENT, "test")

    @pytest.mark.parametrize(
        ("template", "why"),
        [
            ("", "A routing key is needed"),
            ("{status}", "A routing key knows {type}, {object_type}, {object_id}, {environment}"),
            ("{}", "A routing key knows"),
            ("{type.name}", "A routing key knows"),
            ("{type!r}", "A routing key knows"),
            ("{type:>200}", "A routing key knows"),
            ("{type", "The braces"),
            ("type}", "The braces"),
            ("a b", "no spaces"),
            ("zahlung.ü", "nothing beyond ASCII"),
            ("a\n", "no spaces"),
            ("x" * 256, "longer than 255"),
            ("{type}" * 7, "longer than 255"),
        ],
    )
    def test_a_template_that_would_fail_later_is_refused(self, template: str, why: str) -> None:
        """Whoever writes it hears it then, and not with the first event."""
        with pytest.raises(ValueError, match=re.escape(why)):
            checked_template(template)

    @pytest.mark.parametrize("template", ["x" * 255, "{type}" * 6])
    def test_the_longest_fits(self, template: str) -> None:
        """Up to what the protocol takes."""
        assert template == checked_template(template)
