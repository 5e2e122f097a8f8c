"""Keeps the terms of refunds for as long as there are payments that were made under them."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from paysaga.database.engine import Inserting, on_both
from paysaga.database.tables import REFUND_POLICIES
from paysaga.domain.refund_policy import RefundPolicy


def pin(session: Session, policy_id: str, policy: RefundPolicy, at: datetime) -> None:
    """Write the terms down, unless they are known."""
    terms = policy.model_dump(mode="json")
    row = {"id": policy_id, "name": policy.name, "terms": terms, "created_at": at}
    session.execute(_pin(session), row)


@on_both
def _pin(insert_into: Inserting) -> Any:
    return insert_into(REFUND_POLICIES).on_conflict_do_nothing()


TERMS: Final = select(REFUND_POLICIES.c.terms).where(REFUND_POLICIES.c.id == bindparam("this_id"))
