"""The judge of every chaos and fault run: the rules of money, as pure functions of the evidence.

The gateway's own journal comes first: our code cannot write it. Each rule yields a sentence for
everything that breaks it; its number is that of the list in docs/chaos.md.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from itertools import pairwise
from typing import Final

from activities.records import ORDER_TAKEN
from paysaga.domain import ids
from paysaga.domain.ids import EVENT, derived
from paysaga.domain.method_event import LISTENED_FOR
from paysaga.domain.payment import FINAL, MOVES, WITHOUT_MONEY, PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from tests.chaos.evidence import Answer, Evidence, Row, Run
from tests.chaos.methods import methods_agree
from workflows.addresses import repair_id

Rule = Callable[[Evidence], Iterator[str]]

# A new key after a 500 needs a look, and a look is believed after 20 s. A little less is asked
# for here, since the moments are those of two processes.
SETTLED_SECONDS: Final = 15.0
_OVER_AT_GATEWAY: Final = {"succeeded", "canceled"}
# A page's intent without money: a bounced debit stays, as nobody can pay on a page that is over.
_NOTHING_ON_A_PAGE: Final = {"requires_payment_method", "canceled"}
_OPEN_ATTEMPTS: Final = {"started", "requires_action"}
_LATER: Final = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}


@dataclass(frozen=True)
class Broken:
    """A rule that does not hold, and what shows it."""

    rule: int
    what: str

    def __str__(self) -> str:
        return f"rule {self.rule}: {self.what}"


def judged(evidence: Evidence) -> list[Broken]:
    """Everything that must not be; empty if all is well."""
    return [Broken(number, what) for number, rule in RULES.items() for what in rule(evidence)]


def one_charge(evidence: Evidence) -> Iterator[str]:
    """Per order at most one charge succeeds, of the order's amount."""
    amounts = {
        payment.id: payment.amount_to_capture or payment.money.minor
        for payment in evidence.payments
    }
    charges: defaultdict[str, list[Row]] = defaultdict(list)
    for entry in _entries(evidence, "charge.captured"):
        charges[_mark(entry, "order_id")].append(entry)
    for order_id, taken in charges.items():
        if len(taken) > 1:
            yield f"order {order_id} was charged {len(taken)} times"
        for charge in taken:
            payment_id = _mark(charge, "payment_id")
            if charge["amount"] != amounts.get(payment_id):
                yield (
                    f"{payment_id} was to take {amounts.get(payment_id)},"
                    f" and {charge['object']} took {charge['amount']}"
                )


def refunds_within_capture(evidence: Evidence) -> Iterator[str]:
    """Refunds never exceed what was taken; nor are they asked for and refused as too much."""
    taken: Counter[str] = Counter()
    for charge in _entries(evidence, "charge.captured"):
        taken[charge["payment_intent"]] += charge["amount"]
    given: Counter[str] = Counter()
    for refund in evidence.refunds:
        if refund["status"] in {"pending", "succeeded"}:
            given[refund["payment_intent"]] += refund["amount"]
    for intent_id, amount in given.items():
        if amount > taken[intent_id]:
            yield f"{intent_id} took {taken[intent_id]} and gave {amount} back"
    asked: defaultdict[str, list[str]] = defaultdict(list)
    for request in _entries(evidence, "request"):
        if request["operation"] == "refunds.create":
            key = _STEP.fullmatch(request["idempotency_key"] or "")
            asked[key["step"] if key else str(request["idempotency_key"])].append(
                request["outcome"]
            )
    for step, outcomes in asked.items():
        # A refusal of the key is no refusal of the refund, which is made under the next one.
        if "400" in outcomes and not outcomes[-1].startswith("200"):
            yield f"the gateway had to refuse a refund ({step})"


def all_ends(evidence: Evidence) -> Iterator[str]:
    """Every payment is final, or waits for something that has a deadline."""
    for payment in evidence.payments:
        run = evidence.runs.get(payment.id, Run("MISSING"))
        if complaint := _unfinished(payment, run, evidence.at):
            yield f"{payment.id} {complaint}"
    rows = {payment.id for payment in evidence.payments}
    repairs = {repair_id(payment_id) for payment_id in rows}
    for run_id, run in evidence.runs.items():
        if run_id in repairs:
            if run.status != "COMPLETED":
                yield f"{run_id} is {run.status} {run.failure or ''}"
        elif run_id not in rows and run.failure != ORDER_TAKEN:
            yield f"run {run_id} is {run.status} {run.failure or ''}, and has no payment"
    final = {payment.id for payment in evidence.payments if payment.is_final}
    for attempt in evidence.attempts:
        if attempt["payment_id"] in final and attempt["status"] in _OPEN_ATTEMPTS:
            yield f"{attempt['payment_id']} is over, its attempt is {attempt['status']}"


def _unfinished(payment: PaymentState, run: Run, now: datetime) -> str | None:
    status = payment.status
    waits = {
        PaymentStatus.REQUIRES_ACTION: payment.action_until,
        PaymentStatus.AWAITING_RETRY: payment.retry_until,
        PaymentStatus.AUTHORIZED: payment.capture_until,
    }.get(status)
    if waits is not None and waits > now and run.status == "RUNNING":
        return None
    if status not in FINAL:
        return f"is {status} ({payment.reason}), its run {run.status}"
    if payment.amount_refund_pending:
        return f"still owes {payment.amount_refund_pending}"
    if status is PaymentStatus.SUCCEEDED and payment.fulfillment == "pending":
        return "is paid, and the shop was never told"
    return None if run.status == "COMPLETED" else f"is {status}, its run {run.status}"


def all_agree(evidence: Evidence) -> Iterator[str]:
    """Database, gateway and workflow say the same, field by field."""
    at_gateway = {intent["id"]: intent for intent in evidence.intents}
    given = Counter(
        {
            intent_id: sum(
                refund["amount"]
                for refund in evidence.refunds
                if refund["payment_intent"] == intent_id and refund["status"] == "succeeded"
            )
            for intent_id in {refund["payment_intent"] for refund in evidence.refunds}
        }
    )
    for payment in evidence.payments:
        result = _last_word(evidence, payment.id)
        if result is not None and result != payment:
            told = _differences(payment.model_dump(), result.model_dump())
            yield f"{payment.id}: the workflow says {told}"
        if payment.intent_id is None:
            continue
        intent = at_gateway.get(payment.intent_id)
        if intent is None:
            yield f"{payment.id}: the gateway has no {payment.intent_id}"
        elif payment.status in FINAL:
            told = _differences(_as_the_gateway_should_say(payment), intent)
            if told:
                yield f"{payment.id} is {payment.status}: the gateway says {told}"
            if given[intent["id"]] != payment.amount_refunded:
                yield (
                    f"{payment.id} gave {payment.amount_refunded} back,"
                    f" the gateway says {given[intent['id']]}"
                )
    yield from _intents_without_a_payment(evidence)


def _last_word(evidence: Evidence, payment_id: str) -> PaymentState | None:
    """What a repair has come to, which is after the payment's own run; else that run."""
    repair = evidence.runs.get(repair_id(payment_id), Run("MISSING"))
    return repair.result or evidence.runs.get(payment_id, Run("MISSING")).result


def _as_the_gateway_should_say(payment: PaymentState) -> Row:
    paid = payment.status is PaymentStatus.SUCCEEDED
    charge = {"latest_charge": payment.charge_id} if paid else {}
    return {
        "status": "succeeded" if paid else "canceled",
        "amount": payment.money.minor,
        "currency": payment.money.currency.lower(),
        "amount_received": payment.amount_captured,
        "customer": payment.gateway_customer_id,
        **charge,
    }


def _intents_without_a_payment(evidence: Evidence) -> Iterator[str]:
    known = {payment.intent_id: payment.id for payment in evidence.payments}
    of_pages = {page["payment_intent"]: _mark(page, "payment_id") for page in evidence.pages}
    for intent in evidence.intents:
        claimed = intent["metadata"].get("payment_id")
        # What came to nothing on a page is not the next page's, and no row names it.
        came_to_nothing = intent["status"] in _NOTHING_ON_A_PAGE
        if came_to_nothing and of_pages.get(intent["id"]) == claimed:
            continue
        if known.get(intent["id"]) != claimed:
            yield f"{intent['id']} says it is of {claimed}, which does not know it"


def books_balance(evidence: Evidence) -> Iterator[str]:
    """The ledger recomputes to what was taken and given back, and nobody can rewrite it."""
    taken: Counter[str] = Counter()
    given: Counter[str] = Counter()
    for transfer in evidence.transfers:
        way = (transfer["debit"], transfer["credit"])
        sign = {("gateway_clearing", "revenue"): (1, 0), ("refunds", "gateway_clearing"): (0, 1)}
        sign |= {("gateway_clearing", "refunds"): (0, -1)}
        if way not in sign or type(transfer["amount"]) is not int or transfer["amount"] <= 0:
            yield f"{transfer['payment_id']}: no such transfer: {way} {transfer['amount']}"
            continue
        taken[transfer["payment_id"]] += sign[way][0] * transfer["amount"]
        given[transfer["payment_id"]] += sign[way][1] * transfer["amount"]
    for payment in evidence.payments:
        booked = taken[payment.id], given[payment.id]
        if booked != (payment.amount_captured, payment.amount_refunded):
            yield (
                f"{payment.id} took {payment.amount_captured} and gave back"
                f" {payment.amount_refunded}, the ledger says {booked[0]} and {booked[1]}"
            )
    for table in evidence.changeable:
        yield f"{table} lets its rows be changed"
    yield from _broken_histories(evidence)


def _broken_histories(evidence: Evidence) -> Iterator[str]:
    steps: defaultdict[str, list[Row]] = defaultdict(list)
    for row in evidence.history:
        steps[row["payment_id"]].append(row)
    for payment in evidence.payments:
        story = steps[payment.id]
        if [row["number"] for row in story] != list(range(1, payment.version + 1)):
            yield f"{payment.id} is at {payment.version}, its history has {len(story)} steps"
        elif story[-1]["status"] != payment.status:
            yield f"{payment.id} is {payment.status}, its history ends {story[-1]['status']}"
        for before, after in pairwise(story):
            way = PaymentStatus(before["status"]), PaymentStatus(after["status"])
            if way[0] is not way[1] and way[1] not in MOVES[way[0]]:
                yield f"{payment.id} went from {way[0]} to {way[1]}"


def order_and_money(evidence: Evidence) -> Iterator[str]:
    """Nothing is confirmed without the money, no money is taken without an order."""
    captured = {
        _mark(entry, "payment_id"): entry for entry in _entries(evidence, "charge.captured")
    }
    kept, paid = _moves(evidence, "reserved"), _moves(evidence, "paid")
    for payment_id, at in paid.items():
        if payment_id not in captured or captured[payment_id]["at"] > at:
            yield f"{payment_id}: the order was confirmed before there was any money"
    for payment_id, charge in captured.items():
        if payment_id not in kept or kept[payment_id] > charge["at"]:
            yield f"{payment_id} took money for an order that was not kept for it"
    holders = {
        order["payment_id"]: order["order_id"]
        for order in evidence.orders
        if order["status"] == "paid"
    }
    for payment in evidence.payments:
        keeps = payment.amount_captured > payment.amount_refunded + payment.amount_refund_pending
        if keeps != (holders.get(payment.id) == payment.order_id):
            yield f"{payment.id} {'keeps' if keeps else 'has no'} money, its order disagrees"
    held = {order["payment_id"] for order in evidence.orders if order["status"] == "reserved"}
    for payment in evidence.payments:
        if payment.is_final and payment.id in held:
            yield f"{payment.id} is over and still holds its order"


def _moves(evidence: Evidence, status: str) -> dict[str, float]:
    """When each payment first brought its order there."""
    first: dict[str, float] = {}
    for move in evidence.order_moves:
        if move["status"] == status:
            first.setdefault(move["payment_id"], move["at"])
    return first


def nothing_after_the_end(evidence: Evidence) -> Iterator[str]:
    """No charge after a cancel, and nothing left at the gateway that could still be charged."""
    ends: dict[str, float] = {}
    for row in evidence.history:
        if row["status"] in WITHOUT_MONEY:
            ends.setdefault(row["payment_id"], row["at"].timestamp())
    for entry in _entries(evidence, "charge.captured", "charge.authorized"):
        payment_id = _mark(entry, "payment_id")
        if payment_id in ends and entry["at"] > ends[payment_id]:
            yield f"{payment_id} was over, and {entry['object']} took money"
    over = {payment.id for payment in evidence.payments if payment.is_final}
    closed = {page["payment_intent"] for page in evidence.pages if page["status"] != "open"}
    for intent in evidence.intents:
        payment_id = intent["metadata"].get("payment_id")
        may_be = _OVER_AT_GATEWAY | (_NOTHING_ON_A_PAGE if intent["id"] in closed else set())
        if payment_id in over and intent["status"] not in may_be:
            yield f"{payment_id} is over, and {intent['id']} is {intent['status']}"
    yield from _open_pages(evidence, over)


def _open_pages(evidence: Evidence, over: set[str]) -> Iterator[str]:
    """Nobody can pay for what is over, nor on two pages at once."""
    open_pages: defaultdict[str, list[str]] = defaultdict(list)
    for page in evidence.pages:
        if page["status"] == "open":
            open_pages[_mark(page, "payment_id")].append(page["id"])
    for payment_id, pages in open_pages.items():
        if payment_id in over:
            yield f"{payment_id} is over, and {pages[0]} is open"
        elif len(pages) > 1:
            yield f"{payment_id} has {len(pages)} open pages"


def answers_hold(evidence: Evidence) -> Iterator[str]:
    """What was answered with 2xx is so; a key leads to one payment and does one thing."""
    payments = {payment.id: payment for payment in evidence.payments}
    started: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for answer in evidence.answers:
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR and answer.status not in _LATER:
            yield f"{answer.method} {answer.path} was answered with {answer.status}"
        if not answer.is_good or any(other in answer.path for other in _NOT_PAYMENTS):
            continue
        payment_id = _payment_of(answer)
        if answer.path.endswith(("/payments", "/payments/checkout-session")):
            started[answer.body["order_id"], answer.key or ""].add(payment_id)
        if payment_id in payments:
            yield from _unkept(evidence, answer, payments[payment_id])
        elif not _came_too_late(answer, evidence.runs.get(payment_id)):
            yield f"{answer.path} was answered with {payment_id}, and there is no such payment"
    for (order_id, key), found in started.items():
        if len(found) > 1:
            yield f"key {key} of order {order_id} led to {sorted(found)}"
    yield from _attempts_unasked(evidence)


def _unkept(evidence: Evidence, answer: Answer, payment: PaymentState) -> Iterator[str]:
    """A promise to this request that was not kept."""
    if _asks(answer, "cancel") and not payment.is_final:
        yield f"a cancel of {payment.id} was answered, and it is {payment.status}"
    if _asks(answer, "retry") and not _is_known(evidence, answer, payment.id):
        yield f"a retry of {payment.id} was answered with {answer.status}, and forgotten"


def _is_known(evidence: Evidence, retry: Answer, payment_id: str) -> bool:
    """Whether the history has the request, or a cancel, which comes before all others."""
    mark = ids.fingerprint(retry.key or "")
    return any(
        row["payment_id"] == payment_id
        and (row["request_key"] == mark or row["reason"] == Reason.CANCEL_REQUESTED)
        for row in evidence.history
    )


def _came_too_late(answer: Answer, run: Run | None) -> bool:
    """Two payments of one order at once: the one that was accepted, but not quick enough, ends."""
    accepted = answer.status == HTTPStatus.ACCEPTED
    return accepted and run is not None and run.failure == ORDER_TAKEN


def _attempts_unasked(evidence: Evidence) -> Iterator[str]:
    asked: defaultdict[str, set[str]] = defaultdict(set)
    for answer in evidence.answers:
        if _asks(answer, "retry"):
            asked[_payment_of(answer)].add(answer.key or "")
    for payment in evidence.payments if evidence.answers else ():
        if payment.attempts_used > 1 + len(asked[payment.id]):
            yield f"{payment.id}: {payment.attempts_used} attempts, more than were asked for"


def _asks(answer: Answer, step: str) -> bool:
    return answer.method == "POST" and answer.path.endswith(f"/{step}")


def _payment_of(answer: Answer) -> str:
    return str(answer.body.get("id") or next(iter(re.findall(r"pay_\w+", answer.path)), ""))


def news_is_kept(evidence: Evidence) -> Iterator[str]:
    """What we acknowledged is stored once and done; what we tell is complete and in order."""
    stored = Counter(row["id"] for row in evidence.inbox)
    done = {row["id"] for row in evidence.inbox if row["processed"]}
    at_once = stored if evidence.stored_at_once is None else evidence.stored_at_once
    for event in {row["event"] for row in evidence.deliveries if row["state"] == "delivered"}:
        if stored[event] != 1 or event not in at_once:
            yield f"{event} was acknowledged, and is stored {stored[event]} times"
        elif event not in done:
            yield f"{event} was acknowledged, and nothing came of it"
    known = {event["id"] for event in evidence.gateway_events}
    yield from (f"{event} is none of the gateway's" for event in stored if event not in known)
    for event in evidence.gateway_events:
        if event["type"] in LISTENED_FOR and not stored[event["id"]]:
            yield f"{event['id']} ({event['type']}) was lost, and never found"
    yield from _our_own_news(evidence)
    yield from _all_was_heard(evidence)
    yield from _all_was_delivered(evidence)


def _told(payment: PaymentState) -> PaymentState:
    """All that the world hears of a payment: by its fingerprint a card could be followed."""
    if payment.method is None:
        return payment
    method = payment.method.model_copy(update={"fingerprint": None})
    return payment.model_copy(update={"method": method})


def _all_was_heard(evidence: Evidence) -> Iterator[str]:
    """Who follows our events hears each once, and those of a payment in order."""
    if evidence.heard is None:
        return
    heard = Counter(event["id"] for event in evidence.heard)
    for row in evidence.events:
        if heard[row["id"]] != 1:
            yield f"{row['id']} of {row['object_id']} was heard {heard[row['id']]} times"
    last: Counter[str] = Counter()
    for event in evidence.heard:
        if event["sequence"] != last[event["object_id"]] + 1:
            yield f"{event['id']} was heard after number {last[event['object_id']]}"
        last[event["object_id"]] = event["sequence"]


def _all_was_delivered(evidence: Evidence) -> Iterator[str]:
    """A sink hands each event over at least once, always the same, a payment's in order."""
    if evidence.delivered is None:
        return
    first: dict[str, Row] = {}
    last: Counter[str] = Counter()
    for event in evidence.delivered:
        if event["id"] in first:
            if event != first[event["id"]]:
                yield f"{event['id']} was handed over again, and said something else"
            continue
        first[event["id"]] = event
        if event["sequence"] != last[event["object_id"]] + 1:
            yield f"{event['id']} was handed over after number {last[event['object_id']]}"
        last[event["object_id"]] = event["sequence"]
    for row in evidence.events:
        if row["id"] not in first:
            yield f"{row['id']} of {row['object_id']} was never handed over"


def _our_own_news(evidence: Evidence) -> Iterator[str]:
    told: defaultdict[str, list[Row]] = defaultdict(list)
    for row in sorted(evidence.events, key=lambda row: row["position"]):
        told[row["object_id"]].append(row)
    for payment in evidence.payments:
        events = told[payment.id]
        if [row["sequence"] for row in events] != list(range(1, payment.version + 1)):
            yield f"{payment.id} is at {payment.version}: its events are not that, in order"
        elif [row["id"] for row in events] != [
            derived(EVENT, payment.id, str(row["sequence"])) for row in events
        ]:
            yield f"{payment.id}: the ids of its events are not stable"
        elif PaymentState.model_validate_json(json.dumps(events[-1]["data"])) != _told(payment):
            yield f"{payment.id}: its last event does not tell how it stands"


# What is asked of these is judged by rules of their own.
_NOT_PAYMENTS: Final = ("/payment-methods", "/sinks")
_STEP: Final = re.compile(
    r"(?P<step>pay_[a-z2-7]{26}"
    r":(?:intent(?::again)?|confirm:\d+|capture:\d+|cancel:[a-z_]+|give_back(?::by:\d+)?"
    r"|page(?::again)?:\d+|expire:cs_\w+)"
    r"|mtd_[a-z2-7]{26}:(?:setup(?::again|:confirm)?|cancel:[a-z_]+|detach)"
    r"|[a-z0-9-]+:cst_[\w-]+:customer(?::after:cus_\w+)?)"
    r"(?::(?P<generation>\d+))?"
)
_MONEY: Final = re.compile(
    r"customers\.create|(?:payment|setup)_intents\..*|checkout_sessions\..*|refunds\.create"
    r"|payment_methods\.detach"
)


def one_post_per_step(evidence: Evidence) -> Iterator[str]:
    """Each step has one key, or a proof that the key before had no effect; and one effect."""
    posts: defaultdict[tuple[str, int], list[Row]] = defaultdict(list)
    for request in _entries(evidence, "request"):
        if not _MONEY.fullmatch(request["operation"]):
            continue
        key = _STEP.fullmatch(request["idempotency_key"] or "")
        if key is None:
            yield f"{request['operation']} came with the key {request['idempotency_key']}"
        else:
            posts[key["step"], int(key["generation"] or 0)].append(request)
    for (step, generation), requests in posts.items():
        before = posts.get((step, generation - 1))
        # These take nothing however often they are asked for, and a customer is no money.
        if before and not re.search(r":cancel:|:expire:|:detach|:customer", step):
            yield from _unproved(step, generation, requests, before)
    yield from _effects(evidence)


def _unproved(step: str, generation: int, after: list[Row], before: list[Row]) -> Iterator[str]:
    # A 500, or a 400 that calls the key one with other parameters: both may hide an effect.
    failed = [request["at"] for request in before if request["outcome"][0] in "45"]
    if not failed:
        yield f"{step} got key {generation + 1} though the one before was not answered"
    elif after[0]["at"] - failed[0] < SETTLED_SECONDS:
        yield f"{step} got key {generation + 1} at once after the failure of the one before"


def _effects(evidence: Evidence) -> Iterator[str]:
    charges = Counter(
        key["step"]
        for entry in _entries(evidence, "charge.authorized", "charge.failed")
        if (key := _STEP.fullmatch(entry["idempotency_key"] or ""))
    )
    # Each page has an intent of its own, marked with its attempt.
    intents = Counter(_step_of(intent) for intent in evidence.intents)
    refunds = Counter(
        refund["metadata"].get("payment_id")
        for refund in evidence.refunds
        if refund["status"] in {"pending", "succeeded"}
    )
    yield from _more_than_one("charge attempts", charges)
    yield from _more_than_one("intents", intents)
    yield from _more_than_one("pages", Counter(map(_step_of, evidence.pages)))
    yield from _more_than_one("refunds", refunds)


def _step_of(thing: Row) -> str:
    marks = thing["metadata"]
    attempt = f" attempt {marks['attempt']}" if "attempt" in marks else ""
    return f"{marks.get('payment_id')}{attempt}"


def _more_than_one(what: str, counted: Counter[str]) -> Iterator[str]:
    yield from (f"{whose}: {count} {what}" for whose, count in counted.items() if count > 1)


RULES: Final[dict[int, Rule]] = {
    1: one_charge,
    2: refunds_within_capture,
    3: all_ends,
    4: all_agree,
    5: books_balance,
    6: order_and_money,
    7: nothing_after_the_end,
    9: answers_hold,
    10: news_is_kept,
    11: one_post_per_step,
    12: methods_agree,
}


def _entries(evidence: Evidence, *kinds: str) -> Iterable[Row]:
    return (entry for entry in evidence.journal if entry["kind"] in kinds)


def _mark(entry: Row, name: str) -> str:
    """Our own word on the gateway's object."""
    return str(entry["metadata"].get(name))


def _differences(ours: Row, theirs: Row) -> str:
    return ", ".join(
        f"{name} {theirs.get(name)} (not {value})"
        for name, value in ours.items()
        if theirs.get(name) != value
    )
