"""Faults that meet no activity: what goes wrong, and the tests that hold what becomes of it."""

from typing import Final

_WEBHOOKS: Final = "api/test_webhooks.py"
_START: Final = "api/test_start.py"

# The module under tests/, and the tests in it.
ELSEWHERE: Final[dict[str, tuple[str, ...]]] = {
    "webhook doubled": (_WEBHOOKS, "test_copies_have_one_effect"),
    "webhook 20 times at once": (_WEBHOOKS, "test_20_at_once_are_all_answered"),
    "webhooks in any order": (
        "workflows/test_payment_races.py",
        "test_payment_ends_as_the_intent_did",
    ),
    "webhook before our own answer": (
        _WEBHOOKS,
        "test_while_its_own_call_is_under_way_it_is_kept_for_later",
    ),
    "webhook after the final state": (
        _WEBHOOKS,
        "test_a_final_payment_is_left_alone",
        "test_money_after_the_end_is_looked_into",
    ),
    "webhook never": ("end_to_end/test_without_webhooks.py", "test_everything_ends_as_with_them"),
    "webhook forged, other secret": (
        _WEBHOOKS,
        "test_a_bad_signature_is_401_and_nothing_is_kept",
        "test_a_changed_byte_is_401",
    ),
    "webhook stale or from the future": (_WEBHOOKS, "test_another_time_is_refused"),
    "webhook too large": (_WEBHOOKS, "test_256_kb_are_taken_and_no_more"),
    "webhook with another amount, currency, account or mode": (
        _WEBHOOKS,
        "test_what_is_not_ours_is_flagged",
    ),
    "webhook of an unknown object": (_WEBHOOKS, "test_unknown_objects_are_kept"),
    "webhook acknowledged, then killed": (
        "activities/test_sweeping.py",
        "test_owed_events_are_processed",
    ),
    "webhook while the database is down": (_WEBHOOKS, "test_while_the_database_is_down_it_is_503"),
    "webhook while Temporal is down": (
        _WEBHOOKS,
        "test_while_temporal_is_down_it_is_503_and_comes_again",
    ),
    "no answer to which card a token stands for": (
        "activities/test_card_guard.py",
        "test_a_lookup_without_answer_is_asked_again",
    ),
    "the database away while declines are counted": (
        "activities/test_card_guard.py",
        "test_without_the_database_payments_pass",
    ),
    "same key 20 times at once": (_START, "test_20_equal_requests_at_once_are_one_payment"),
    "same key with another body": (
        _START,
        "test_the_same_key_with_another_body_is_409",
        "test_two_bodies_at_once_are_one_payment_and_a_409",
    ),
    "client gone in mid-request": (_START, "test_a_client_that_hung_up_finds_its_payment"),
    "API killed between accepting and starting": ("chaos/test_chaos.py", "test_every_rule_holds"),
    "every fault of a call for a saved payment method": (
        "workflows/test_saving_at_gateway.py",
        "test_it_is_saved_once",
        "test_it_is_found_saved_after_3ds",
        "test_what_was_not_confirmed_is_canceled",
        "test_it_is_removed_for_good",
        "test_new_card_is_found",
    ),
    "every fault of a call while a hold is renewed": (
        "workflows/test_renewal_at_gateway.py",
        "test_one_hold_is_left_and_captured_once",
    ),
    "a run that ends while a hold is renewed": (
        "workflows/test_renewal.py",
        "test_a_canceled_run_holds_nothing",
        "test_the_repair_lets_go_of_the_other",
    ),
    "messages at the end of a run": (
        "workflows/test_endings.py",
        "test_nothing_is_lost",
        "test_nothing_is_lost_in_thousands_of_races",
    ),
}
