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
    counting = select(PAYMENTS.c.id, PAYMENTS.c.intent_id, PAYMENTS.c.updated_at).where(
        or_(PAYMENTS.c.intent_id.in_(intents), PAYMENTS.c.id.in_(named) & unheard)
    )
    beside = select(PAYMENTS.c.id, PAYMENTS.c.other_intent_id, PAYMENTS.c.updated_at).where(
        PAYMENTS.c.other_intent_id.in_(intents)
    )
    async with reading(sessions) as session:
        rows = [(row, False) for row in await session.execute(counting)]
        rows += [(row, True) for row in await session.execute(beside)]
    return [
        Owner(
            intent_id=intent_id or named[payment_id],
            payment_id=payment_id,
            updated_at=updated_at,
            is_beside=is_beside,
        )
        for (payment_id, intent_id, updated_at), is_beside in rows
    ]
