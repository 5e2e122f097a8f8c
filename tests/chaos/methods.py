"""The rule of saved methods: what is shown as saved can be paid with, and nothing else is kept."""

from collections import defaultdict
from collections.abc import Iterator

from paysaga.domain.saved_method import SavedMethod, SavedMethodStatus
from tests.chaos.evidence import Answer, Evidence, Row


def methods_agree(evidence: Evidence) -> Iterator[str]:
    """Each was set up once, and the gateway's customer has it if and only if it is active."""
    set_ups: defaultdict[str, list[Row]] = defaultdict(list)
    for set_up in evidence.set_ups:
        set_ups[str(set_up["metadata"].get("method_id"))].append(set_up)
    cards = {card["id"]: card for card in evidence.cards}
    known = {method.id: method for method in evidence.methods}
    for method in evidence.methods:
        made = set_ups[method.id]
        if len(made) > 1:
            yield f"{method.id} was set up {len(made)} times"
        elif complaint := _complaint(method, made, cards):
            yield f"{method.id} is {method.status}, {complaint}"
    for method_id in set_ups:
        if method_id not in known:
            yield f"{method_id} was set up, and there is no such method"
    for run_id, status in evidence.method_runs.items():
        if status != "COMPLETED":
            yield f"{run_id} is {status}"
    for answer in evidence.answers:
        yield from _unkept(answer, known)


def _complaint(method: SavedMethod, made: list[Row], cards: dict[str, Row]) -> str | None:
    succeeded = [set_up for set_up in made if set_up["status"] == "succeeded"]
    card = cards.get(str(method.gateway_method_id))
    holder = card["customer"] if card is not None else None
    match method.status:
        case SavedMethodStatus.ACTIVE:
            is_right = bool(succeeded) and holder == method.gateway_customer_id
            return None if is_right else f"at the gateway {holder} has it"
        case SavedMethodStatus.REMOVED:
            return f"and {holder} still has it" if holder is not None else None
        case SavedMethodStatus.FAILED:
            return "and was set up" if succeeded else None
        case _:
            return f"and nobody is at it ({method.reason})"


def _unkept(answer: Answer, known: dict[str, SavedMethod]) -> Iterator[str]:
    """A promise about a method that was not kept."""
    if not answer.is_good or "/payment-methods" not in answer.path:
        return
    method = known.get(str(answer.body.get("id")))
    if method is None:
        yield f"{answer.path} was answered with {answer.body.get('id')}, and there is none"
    elif answer.method == "DELETE" and method.status is not SavedMethodStatus.REMOVED:
        yield f"the removal of {method.id} was answered, and it is {method.status}"
