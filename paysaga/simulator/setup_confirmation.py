"""Confirming a SetupIntent: with which method, and whether the customer must act first."""

from paysaga.simulator import outcomes, setting_up
from paysaga.simulator.calls import Call
from paysaga.simulator.cards import Authentication
from paysaga.simulator.declines import DECLINES
from paysaga.simulator.intent_methods import (
    asks_for_authentication,
    check_open,
    check_return_url,
    method_of,
    take_method,
)
from paysaga.simulator.next_actions import require_action
from paysaga.simulator.setup_params import ConfirmSetup
from paysaga.simulator.storage import Record


def confirm(call: Call, record: Record, params: ConfirmSetup) -> None:
    """Confirm an open intent; a decline is raised after its traces are written."""
    check_open(record.body)
    take_method(call, record.body, params)
    method = method_of(call, record.body)
    check_return_url(record.body, method, params.return_url)
    setting_up.attempt(call, record, method)
    if call.forced_decline:
        setting_up.set_up(call, record, method, authenticated=False)
    elif outcomes.authentication_of(method) is Authentication.LOOKUP_FAILS:
        setting_up.decline(call, record, method, DECLINES["generic_decline"])
    elif outcomes.must_act(method, off_session=False, asked=asks_for_authentication(record.body)):
        setting_up.await_customer(call, record)
        require_action(
            call,
            record,
            method,
            return_url=params.return_url,
            use_stripe_sdk=params.use_stripe_sdk,
        )
    else:
        setting_up.set_up(call, record, method, authenticated=False)
