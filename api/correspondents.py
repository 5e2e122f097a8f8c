"""Customers over HTTP: where, in what language and about what they are written to."""

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from pydantic import AfterValidator, Field, StrictBool, StringConstraints

from api.connections import Connections, Here
from api.documents import SEEN, problems
from api.identity import Caller, allowed
from api.refusals import Missing
from api.views import View
from paysaga.domain.ids import CUSTOMER_ID_PATTERN
from paysaga.domain.languages import LANGUAGE_PATTERN
from paysaga.domain.mailbox import mailbox
from paysaga.events.mail.kinds import CustomerMail
from paysaga.starting.customers import check_customer
from paysaga.starting.orders import Body
from paysaga.tokens import Role

router: Final = APIRouter(prefix="/customers", tags=["customers"])

_LONGEST_ADDRESS: Final = 254
_LOOKS_LIKE_ONE: Final = r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$"


def _checked(address: str) -> str:
    """As it was written: it is the customer's own, and is shown to them."""
    mailbox(address)
    return address


Address = Annotated[
    str,
    StringConstraints(max_length=_LONGEST_ADDRESS, pattern=_LOOKS_LIKE_ONE),
    AfterValidator(_checked),
    Field(examples=["ada@example.com"]),
]
LanguageTag = Annotated[
    str,
    StringConstraints(max_length=35, pattern=LANGUAGE_PATTERN),
    Field(description="A BCP 47 tag", examples=["de-AT"]),
]


class CorrespondentChange(Body):
    """What is to be different; what is left out stays, and `null` is forgotten."""

    email: Address | None = None
    language: LanguageTag | None = None
    mails: dict[CustomerMail, StrictBool] = Field(
        default_factory=dict, description="Whether mails of a kind are wanted"
    )


class CorrespondentView(View):
    """How the customer is written to."""

    customer_id: str
    email: str | None
    language: str | None
    mails: dict[CustomerMail, bool]


# An address is nobody's business who only looks after the money.
_Writer = Annotated[Caller, Depends(allowed(Role.CUSTOMER, Role.SERVICE, Role.SUPPORT, Role.ADMIN))]


async def _customer(who: _Writer, customer_id: Annotated[str, Path(examples=["cst_1042"])]) -> str:
    """The customer whom the path names, if they are the caller's business."""
    if not re.fullmatch(CUSTOMER_ID_PATTERN, customer_id) or not who.may_see(customer_id):
        raise Missing
    return customer_id


VisibleCustomer = Annotated[str, Depends(_customer)]


@router.get("/{customer_id}", operation_id="get_customer", responses=SEEN | problems(403))
async def get_customer(here: Here, customer_id: VisibleCustomer) -> CorrespondentView:
    """How the customer is written to, as far as anything is known of them."""
    return await _view(here, customer_id)


@router.patch("/{customer_id}", operation_id="change_customer", responses=SEEN | problems(403))
async def change_customer(
    here: Here, customer_id: VisibleCustomer, change: CorrespondentChange
) -> CorrespondentView:
    """Change how the customer is written to. Whoever is not known yet is from now on."""
    await check_customer(here.settings, here.auth, customer_id)
    columns = change.model_dump(include={"email", "language"}, exclude_unset=True)
    mails = {kind.value: wanted for kind, wanted in change.mails.items()}
    await here.customers.change(customer_id, columns, mails, datetime.now(UTC))
    return await _view(here, customer_id)


async def _view(here: Connections, customer_id: str) -> CorrespondentView:
    known = await here.customers.correspondent(customer_id)
    if known is None:
        raise Missing
    return CorrespondentView(
        customer_id=customer_id,
        email=known.email,
        language=known.language,
        mails={kind: known.wants(kind) for kind in CustomerMail},
    )
