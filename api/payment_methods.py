"""Saved payment methods over HTTP. The Idempotency-Key names the method: a repeat rejoins it."""

import re
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from structlog.contextvars import bind_contextvars

from api.bodies import IdempotencyKey
from api.connections import Here
from api.declines import CustomerAddress
from api.documents import READ, SEEN, attempted, changed, problems
from api.method_bodies import METHOD_ID_PATTERN, MethodChange, MethodFilter, SaveOrder
from api.method_views import SavedMethodPage, SavedMethodView
from api.refusals import MethodNotThere, Missing
from api.returning import back_to_the_shop
from api.saving import Save, method_view, refreshed, removed, replayed_method
from api.visible import Payer, Who
from paysaga.domain.saved_method import SavedMethod, SavedMethodStatus

router: Final = APIRouter(prefix="/payment-methods", tags=["payment methods"])

MethodId = Annotated[str, Path(examples=["mtd_aaaaaaaaaaaaaaaaaaaaaaaaaa"])]


async def _method(here: Here, who: Who, method_id: MethodId) -> SavedMethod:
    """The method that the path names, if the caller may see it. Foreign is told as missing."""
    if not re.fullmatch(METHOD_ID_PATTERN, method_id):
        raise Missing
    method = await here.methods.method(method_id) or await here.method_runs.opened(method_id)
    if method is None or not who.may_see(method.customer_id):
        raise Missing
    bind_contextvars(method_id=method.id)
    return method


VisibleMethod = Annotated[SavedMethod, Depends(_method)]


@router.post(
    "",
    operation_id="save_payment_method",
    status_code=HTTPStatus.CREATED,
    responses=attempted(SavedMethodView),
)
async def save_payment_method(
    request: Request,
    response: Response,
    here: Here,
    who: Payer,
    key: IdempotencyKey,
    address: CustomerAddress,
    order: SaveOrder,
) -> SavedMethodView:
    """Save a means of payment for later payments; its bank may want the customer to confirm it."""
    save = Save(here, who, order, key, request.state.correlation_id)
    if known := await save.known():
        return replayed_method(method_view(here.settings, who, known), response)
    return await save.answer(await save.carry_out(address), response)


@router.get("", operation_id="list_payment_methods", responses=READ)
async def list_payment_methods(
    here: Here, who: Who, wanted: Annotated[MethodFilter, Query()]
) -> SavedMethodPage:
    """The caller's methods (everybody's for the shop), newest first; the active ones."""
    page = await here.methods.methods(
        customer_id=who.only_customer or wanted.customer_id,
        status=wanted.status,
        after=wanted.after,
        limit=wanted.limit,
    )
    items = [method_view(here.settings, who, method) for method in page.methods]
    return SavedMethodPage(items=items, next_after=page.next)


@router.get("/{method_id}", operation_id="get_payment_method", responses=SEEN)
async def get_payment_method(here: Here, who: Who, method: VisibleMethod) -> SavedMethodView:
    """The method as it stands."""
    return method_view(here.settings, who, method)


@router.post("/{method_id}/refresh", operation_id="refresh_payment_method", responses=SEEN)
async def refresh_payment_method(here: Here, who: Who, method: VisibleMethod) -> SavedMethodView:
    """Look at the gateway now. The shop calls it when the customer comes back from 3DS."""
    return method_view(here.settings, who, await refreshed(here, method))


@router.get(
    "/{method_id}/return",
    operation_id="return_from_set_up",
    status_code=HTTPStatus.SEE_OTHER,
    response_class=RedirectResponse,
    responses=problems(404, 503),
)
async def return_from_set_up(here: Here, method_id: MethodId) -> RedirectResponse:
    """The gateway sends the customer's browser here; it goes on to the shop, with our id only."""
    if not re.fullmatch(METHOD_ID_PATTERN, method_id):
        raise Missing
    method = await here.methods.method(method_id)
    if method is None:
        raise Missing
    return back_to_the_shop(method.return_url, "payment_method_id", method.id)


@router.patch("/{method_id}", operation_id="change_payment_method", responses=SEEN | problems(403))
async def change_payment_method(
    here: Here,
    who: Payer,
    method: VisibleMethod,
    change: MethodChange,  # noqa: ARG001 - there is but one change
) -> SavedMethodView:
    """Make it the customer's default, instead of any other."""
    now = await here.methods.make_default(method) if method.can_pay else method
    if now.status is not SavedMethodStatus.ACTIVE or not now.is_default:
        raise MethodNotThere
    return method_view(here.settings, who, now)


@router.delete(
    "/{method_id}",
    operation_id="remove_payment_method",
    responses=changed(SavedMethodView) | problems(404),
)
async def remove_payment_method(
    response: Response,
    here: Here,
    who: Payer,
    method: VisibleMethod,
    key: IdempotencyKey,  # noqa: ARG001 - asked for as of every change; any repeat is safe here
) -> SavedMethodView:
    """Take it from the customer, for ever; 202 while the gateway has not answered."""
    now = await removed(here, who, method)
    view = method_view(here.settings, who, now)
    if now.status is not SavedMethodStatus.REMOVED:
        response.status_code = HTTPStatus.ACCEPTED
        response.headers["Location"] = view.links.self
    return view
