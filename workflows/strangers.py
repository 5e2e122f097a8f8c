"""Money that moved at the gateway: whose it is, and what of it nobody here knows."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.reconciling import IntentIds, Reconciling
    from activities.run_results import RunRef, RunRefs, run_results
    from activities.stripe_audit import AuditRef, Movement
    from paysaga.domain.reconciliation import Drift, InWorkflow
    from paysaga.domain.strangers import Owner, money_beside, unknown_money

from workflows import addresses, policies
from workflows.comparison import shown_at_gateway

_LONGEST = 1000


@dataclass(frozen=True)
class Found:
    """What is known, which of our payments have not moved themselves meanwhile, and the rest."""

    known: tuple[str, ...]
    quiet: tuple[str, ...]
    drifts: tuple[Drift, ...]


class Strangers:
    """Looks for strangers among the movements of a period, for a comparison that began then."""

    def __init__(self, since: datetime, until: datetime, began: datetime) -> None:
        self._since = since
        self._until = until
        self._began = began

    async def among(self, movements: Sequence[Movement]) -> Found:
        """Tell ours from the others'.

        A payment that was not changed in the period was not compared: its money moved behind us.
        One that was changed since the comparison began was compared before its fee was booked, or
        belongs to the next one.
        """
        by_subject: dict[str, list[Movement]] = defaultdict(list)
        for movement in movements:
            by_subject[movement.subject].append(movement)
        intents = {it.intent_id: it.payment_id for it in movements if it.intent_id is not None}
        told = await workflow.execute_activity_method(
            Reconciling.owners_of,
            IntentIds(intents=intents),
            **(policies.DATABASE_IN_PATIENCE | {"summary": f"whose are {len(intents)} intents?"}),
        )
        known = {owner.intent_id for owner in told.owners}
        quiet = {
            owner.payment_id
            for owner in told.owners
            if owner.updated_at < self._began and not self._since <= owner.updated_at < self._until
        }
        strange = {subject: moved for subject, moved in by_subject.items() if subject not in known}
        beside = await _money_beside([owner for owner in told.owners if owner.is_beside])
        known -= {drift.subject for drift in beside}
        drifts = (*beside, *await _drifts(strange))
        return Found(tuple(sorted(known)), tuple(sorted(quiet)), drifts)


async def _money_beside(owners: Sequence[Owner]) -> tuple[Drift, ...]:
    """What is left at intents that do not count: what came there has to be given back."""
    if not owners:
        return ()
    refs = tuple(AuditRef(payment_id=it.payment_id, intent_id=it.intent_id) for it in owners)
    shown = await shown_at_gateway(refs)
    return tuple(
        drift
        for owner, found in zip(owners, shown, strict=True)
        if (drift := money_beside(owner.intent_id, found)) is not None
    )


async def _drifts(strange: dict[str, list[Movement]]) -> tuple[Drift, ...]:
    """Money that no row has; a run that knows it shows that the row was lost."""
    named = {moved[0].payment_id for moved in strange.values()} - {None}
    runs = await _runs(sorted(str(payment_id) for payment_id in named)) if named else {}
    return tuple(
        unknown_money(
            subject,
            ", ".join(str(movement) for movement in moved)[:_LONGEST],
            runs.get(str(moved[0].payment_id)),
        )
        for subject, moved in strange.items()
    )


async def _runs(payment_ids: list[str]) -> dict[str, InWorkflow]:
    refs = tuple(
        RunRef(payment_id=name, repair_id=addresses.repair_id(name)) for name in payment_ids
    )
    told = await workflow.execute_activity(
        run_results,
        RunRefs(payments=refs),
        **(policies.RUNS | {"summary": f"are there runs of {len(refs)} payments?"}),
    )
    return {run.payment_id: run for run in told.payments}
