import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paysaga.domain.declines import DECLINES, Decline, DeclineClass, decline_for


def words(text: str) -> list[str]:
    return text.split()


# https://docs.stripe.com/declines/codes, "Card decline codes", all 50
CARD_CODES = words("""
    authentication_required authentication_not_handled approve_with_id call_issuer
    card_not_supported card_velocity_exceeded currency_not_supported do_not_honor do_not_try_again
    duplicate_transaction expired_card fraudulent generic_decline incorrect_address incorrect_cvc
    incorrect_number incorrect_pin incorrect_zip insufficient_funds invalid_account invalid_amount
    invalid_cvc invalid_expiry_month invalid_expiry_year invalid_number invalid_pin
    issuer_not_available lost_card merchant_blacklist new_account_information_available
    no_action_taken not_permitted offline_pin_required online_or_offline_pin_required pickup_card
    pin_try_exceeded processing_error reenter_transaction restricted_card
    revocation_of_all_authorizations revocation_of_authorization security_violation
    service_not_allowed stolen_card stop_payment_order testmode_decline transaction_not_allowed
    try_again_later withdrawal_count_limit_exceeded mobile_device_authentication_required
""")

# The same page, "Local payment method decline codes" (PayPal's among them)
LOCAL_CODES = words("""
    partner_generic_decline invalid_customer_account payment_limit_exceeded
    invalid_billing_agreement expired_card processing_error insufficient_funds
    currency_not_supported invalid_amount invalid_business_account partner_high_risk_customer
    compliance_violation payment_disputed invalid_authorization invalid_payment_information
    partner_payment_not_found expired_payment_information duplicate_transaction
    recurring_not_supported_by_bank partner_action_not_supported lost_or_stolen_card
    card_already_activated invalid_track_data
""")

# https://docs.stripe.com/error-codes and https://docs.stripe.com/payments/paypal ("Error codes"):
# what last_payment_error says of a failed attempt when it carries no decline_code
ERROR_CODES = words("""
    card_declined expired_card incorrect_cvc incorrect_number incorrect_address incorrect_zip
    incorrect_postal_code invalid_cvc invalid_expiry_month invalid_expiry_year invalid_number
    processing_error insufficient_funds authentication_required card_decline_rate_limit_exceeded
    payment_intent_authentication_failure setup_intent_authentication_failure
    payment_intent_payment_attempt_expired setup_intent_setup_attempt_expired
    payment_intent_payment_attempt_failed setup_attempt_failed payment_intent_action_required
    payment_method_customer_decline payment_method_not_available payment_method_provider_decline
    payment_method_provider_timeout payment_method_restricted expired_payment_method
    token_already_used
""")

OURS = ["authentication_timeout", "card_limit_reached", "payment_method_invalid"]

UNTOLD = words("""
    lost_card stolen_card lost_or_stolen_card pickup_card restricted_card fraudulent
    merchant_blacklist security_violation partner_high_risk_customer compliance_violation
""")

PLAIN = decline_for("generic_decline")


class TestTable:
    @pytest.mark.parametrize("word", sorted({*CARD_CODES, *LOCAL_CODES, *ERROR_CODES, *OURS}))
    def test_every_word_is_known(self, word: str) -> None:
        """
        No word that Stripe documents is left to the fallback.
        """
        assert word in DECLINES

    def test_lists_are_whole(self) -> None:
        """
        The lists above are as long as Stripe's.
        """
        assert (50, 23) == (len(set(CARD_CODES)), len(set(LOCAL_CODES)))

    @pytest.mark.parametrize("word", sorted(DECLINES))
    def test_published_code_is_one_of_the_table(self, word: str) -> None:
        """
        A published code is a word of the table that is published as itself.
        """
        published = DECLINES[word].code

        assert published == DECLINES[published].code

    @pytest.mark.parametrize("word", sorted(DECLINES))
    def test_message_says_what_to_do_in_two_sentences(self, word: str) -> None:
        """
        The customer reads what happened and what to do next, without a code or jargon.
        """
        message = DECLINES[word].message

        assert re.fullmatch(r"[A-Z][^.?!_]+\. Please [^.?!_]+\.", message)
        assert len(message) <= 150

    @pytest.mark.parametrize(
        ("word", "message"),
        [
            ("insufficient_funds", "Your card has insufficient funds. Please use another card."),
            ("expired_card", "Your card has expired. Please use another card."),
            ("processing_error", "The payment could not be processed. Please try again."),
        ],
    )
    def test_fixed_messages_are_literal(self, word: str, message: str) -> None:
        """
        The messages that the product fixes are used as they stand.
        """
        assert Decline(code=word, kind=DECLINES[word].kind, message=message) == DECLINES[word]

    def test_table_cannot_be_changed(self) -> None:
        """
        Nobody changes what a word means at run time.
        """
        with pytest.raises(TypeError):
            DECLINES["lost_card"] = PLAIN  # type: ignore[index]

    @pytest.mark.parametrize(
        ("kind", "members"),
        [
            (
                DeclineClass.TRY_LATER,
                """generic_decline do_not_honor insufficient_funds processing_error card_declined
                issuer_not_available card_velocity_exceeded try_again_later""",
            ),
            (
                DeclineClass.NEEDS_CUSTOMER,
                """authentication_required payment_intent_authentication_failure call_issuer
                authentication_timeout payment_method_customer_decline""",
            ),
            (
                DeclineClass.NEEDS_NEW_CARD,
                """expired_card incorrect_number incorrect_cvc invalid_account card_not_supported
                restricted_card security_violation payment_method_invalid token_already_used""",
            ),
            (
                DeclineClass.NEVER_AGAIN,
                """lost_card stolen_card pickup_card fraudulent merchant_blacklist do_not_try_again
                stop_payment_order revocation_of_authorization revocation_of_all_authorizations""",
            ),
        ],
    )
    def test_class_is_what_the_field_does(self, kind: DeclineClass, members: str) -> None:
        """
        What may be retried, by whom and with what, is as the networks and Stripe advise.
        """
        assert {kind} == {DECLINES[word].kind for word in words(members)}


class TestUntold:
    @pytest.mark.parametrize("word", UNTOLD)
    @pytest.mark.parametrize("advice", [None, "do_not_try_again", "confirm_card_data"])
    def test_reason_is_told_as_a_plain_decline(self, word: str, advice: str | None) -> None:
        """
        Code and message of a reported or suspicious card are those of any plain decline.
        """
        told = decline_for("card_declined", word, advice)
        plain = decline_for("card_declined", "generic_decline", advice)

        assert (plain.code, plain.message) == (told.code, told.message)
        assert "generic_decline" == told.code

    @pytest.mark.parametrize("word", UNTOLD)
    def test_class_is_kept(self, word: str) -> None:
        """
        What we may do next is not softened by what is told.
        """
        assert decline_for("card_declined", word).kind in {
            DeclineClass.NEEDS_NEW_CARD,
            DeclineClass.NEVER_AGAIN,
        }

    def test_no_message_gives_a_reason_away(self) -> None:
        """
        No message speaks of loss, theft, fraud or lists.
        """
        told = " ".join(decline.message for decline in DECLINES.values()).lower()

        assert not re.search(
            r"lost|stol|theft|fraud|risk|block|list|suspic|secur\w+ (?!code)", told
        )


class TestFinding:
    def test_decline_code_wins(self) -> None:
        """
        Where the issuer's own word is known, the error's code is not asked.
        """
        assert DECLINES["insufficient_funds"] == decline_for("card_declined", "insufficient_funds")

    @pytest.mark.parametrize("word", sorted(DECLINES))
    def test_code_alone_is_enough(self, word: str) -> None:
        """
        A word means the same wherever it stands.
        """
        assert decline_for(word) == decline_for(None, word) == DECLINES[word]

    @pytest.mark.parametrize(
        ("code", "decline_code"),
        [(None, None), ("", ""), ("card_declined", None), ("brand_new", None),
         ("card_declined", "brand_new"), ("expired_card", "brand_new")],
    )  # fmt: skip
    def test_unknown_word_is_a_plain_decline(
        self, code: str | None, decline_code: str | None
    ) -> None:
        """
        A word that Stripe invents tomorrow is told plainly and is never an error.
        """
        assert PLAIN == decline_for(code, decline_code)

    @given(*[st.none() | st.text() | st.sampled_from(sorted(DECLINES))] * 3)
    def test_any_words_have_an_answer(
        self, code: str | None, decline_code: str | None, advice: str | None
    ) -> None:
        """
        Whatever the gateway says, the answer is one that the table knows how to tell.
        """
        told = decline_for(code, decline_code, advice)

        assert DECLINES[told.code].message == told.message


class TestAdvice:
    @pytest.mark.parametrize("word", sorted(DECLINES))
    def test_do_not_try_again_always_holds(self, word: str) -> None:
        """
        An issuer that forbids another try is obeyed, whatever the code; the telling stays.
        """
        advised = decline_for(word, None, "do_not_try_again")

        assert DeclineClass.NEVER_AGAIN == advised.kind
        assert (DECLINES[word].code, DECLINES[word].message) == (advised.code, advised.message)

    @pytest.mark.parametrize(
        ("word", "advice", "kind"),
        [
            ("generic_decline", "confirm_card_data", DeclineClass.NEEDS_NEW_CARD),
            ("do_not_honor", "confirm_card_data", DeclineClass.NEEDS_NEW_CARD),
            ("brand_new", "confirm_card_data", DeclineClass.NEEDS_NEW_CARD),
            ("call_issuer", "try_again_later", DeclineClass.TRY_LATER),
            ("transaction_not_allowed", "try_again_later", DeclineClass.TRY_LATER),
        ],
    )
    def test_advice_decides_where_the_code_gives_no_reason(
        self, word: str, advice: str, kind: DeclineClass
    ) -> None:
        """
        An issuer's advice on this charge says more than a code that says nothing.
        """
        assert kind == decline_for("card_declined", word, advice).kind

    @pytest.mark.parametrize(
        "word",
        ["authentication_required", "expired_card", "incorrect_cvc", "lost_card", "stolen_card",
         "stop_payment_order", "revocation_of_authorization", "insufficient_funds"],
    )  # fmt: skip
    @pytest.mark.parametrize("advice", ["try_again_later", "confirm_card_data", "brand_new", ""])
    def test_advice_does_not_beat_a_reason(self, word: str, advice: str) -> None:
        """
        A missing confirmation, an expired or a reported card is not cured by waiting.
        """
        assert DECLINES[word] == decline_for("card_declined", word, advice)
