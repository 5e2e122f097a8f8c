"""Whose the gateway's intents are."""

from sqlalchemy import or_, select

from paysaga.database.engine import Sessions, reading
from paysaga.database.tables import PAYMENTS
from paysaga.domain.payment import FINAL
from paysaga.domain.strangers import Owner


async def owners(sessions: Sessions, intents: dict[str, str | None]) -> list[Owner]:
    """Whose these intents are. By the payment that an intent names, only while it is open.

    An open payment hears of its intent when the gateway has answered; one that is over and
    knows of none has taken no money.
    """
    named = {payment: intent for intent, payment in intents.items() if payment is not None}
    unheard = PAYMENTS.c.intent_id.is_(None) & PAYMENTS.c.status.not_in(sorted(FINAL))
    wanted = select(
        PAYMENTS.c.id, PAYMENTS.c.intent_id, PAYMENTS.c.other_intent_id, PAYMENTS.c.updated_at
    ).where(
        or_(
            PAYMENTS.c.intent_id.in_(intents),
            PAYMENTS.c.other_intent_id.in_(intents),
            PAYMENTS.c.id.in_(named) & unheard,
        )
    )
    async with reading(sessions) as session:
        rows = (await session.execute(wanted)).all()
    found = [(row, row.intent_id or named.get(row.id), False) for row in rows]
    found += [(row, row.other_intent_id, True) for row in rows]
    return [
        Owner(
            intent_id=intent_id,
            payment_id=row.id,
            updated_at=row.updated_at,
            is_beside=is_beside,
        )
        for row, intent_id, is_beside in found
        if intent_id in intents
    ]
