"""From a gateway's token to a saved method: whose it is, its first answer, and its end."""

from http import HTTPStatus

from fastapi import Response
from structlog.contextvars import bind_contextvars

from api.answers import REPLAYED, run_address
from api.connections import Connections
from api.customers import check_address, customer_of
from api.identity import Caller
from api.method_bodies import SaveOrder
from api.method_views import MethodLinks, SavedMethodView, saved_method_view
from api.refusals import (
    KeyReused,
    MethodDeclined,
    MethodNotRemovable,
    MethodNotRemoved,
    MethodSaved,
)
from paysaga.domain import ids
from paysaga.domain.payment import RequestMark
from paysaga.domain.saved_method import MethodOrder, SavedMethod, SavedMethodStatus, SaveReason
from paysaga.settings import Settings
from paysaga.starting.calls import (
    NoAnswerYet,
    NotTaken,
    RunOver,
    StartedBefore,
    TemporalUnavailable,
)
from paysaga.starting.customers import check_customer
from paysaga.starting.payments import API
from paysaga.tokens import Role


def method_address(settings: Settings, method_id: str) -> str:
    """Where the method is found from outside."""
    return f"{str(settings.public_base_url).rstrip('/')}{API}/payment-methods/{method_id}"


def method_view(settings: Settings, caller: Caller, method: SavedMethod) -> SavedMethodView:
    """The method as this caller may see it."""
    run = run_address(settings, method.id) if caller.is_staff else None
    links = MethodLinks(self=method_address(settings, method.id), run=run)
    inside = caller.is_staff or caller.role is Role.SERVICE
    return saved_method_view(method, links, inside=inside)


class Save:
    """One request to save a means of payment."""

    def __init__(
        self, here: Connections, caller: Caller, order: SaveOrder, key: str, correlation_id: str
    ) -> None:
        self._here = here
        self._caller = caller
        self._customer_id = customer_of(caller, order.customer_id)
        self._order = order.model_copy(update={"customer_id": self._customer_id})
        self._id = ids.derived(ids.METHOD, self._customer_id, key)
        bind_contextvars(method_id=self._id)
        self._mark = RequestMark(
            key=ids.fingerprint(key), fingerprint=self._order.fingerprint("save")
        )
        self._correlation_id = correlation_id

    async def known(self) -> SavedMethod | None:
        """The method that this request has begun before, as it stands now."""
        return self._checked(await self._here.methods.method(self._id))

    async def carry_out(self, address: str | None) -> SavedMethod:
        """Save it and answer with the first outcome, or as it stands when time is up."""
        check_address(self._here.settings, self._caller, "return_url", self._order.return_url)
        await check_customer(self._here.settings, self._here.auth, self._customer_id)
        if saved := await self._here.methods.saved_as(self._order.payment_method_id):
            self._raise_saved(saved)
        token = self._order.payment_method_id
        await self._here.declines.check(self._customer_id, token, address)
        await self._here.attempts.count(self._customer_id, self._id)
        gateway_customer = await self._here.reads.gateway_customer(self._customer_id)
        method = self._checked(await self._outcome(self._method(gateway_customer)))
        if method is None:
            raise TemporalUnavailable
        if method.reason is SaveReason.DECLINED:
            await self._here.declines.declined(method.id, 1, address)
        return method

    async def answer(self, method: SavedMethod, response: Response) -> SavedMethodView:
        """201 when there is an answer for the customer, 202 while there is none.

        Raises:
            Refusal: It is not saved; the answer holds the method, and says why.
        """
        view = method_view(self._here.settings, self._caller, method)
        if method.reason is SaveReason.ALREADY_SAVED:
            saved = await self._here.methods.saved_as(method.gateway_method_id or "")
            raise MethodSaved(method_id=saved.id if saved else None)
        if method.status is SavedMethodStatus.FAILED:
            raise MethodDeclined(view.message, method=view)
        is_known = method.is_settled and method.status is not SavedMethodStatus.PROCESSING
        response.status_code = HTTPStatus.CREATED if is_known else HTTPStatus.ACCEPTED
        response.headers["Location"] = view.links.self
        return view

    def _raise_saved(self, saved: SavedMethod) -> None:
        if saved.customer_id == self._customer_id:  # else the gateway refuses it by itself
            raise MethodSaved(method_id=saved.id)

    def _checked(self, method: SavedMethod | None) -> SavedMethod | None:
        if method is not None and method.request_fingerprint != self._mark.fingerprint:
            raise KeyReused
        return method

    async def _outcome(self, order: MethodOrder) -> SavedMethod | None:
        missing: Exception = TemporalUnavailable()
        try:
            return await self._here.method_runs.save(order)
        except StartedBefore:
            missing = KeyReused()  # that request was another one
        except (RunOver, NoAnswerYet):
            pass
        method = await self._here.methods.method(self._id)
        method = method or await self._here.method_runs.opened(self._id)
        if method is None:
            raise missing
        return method

    def _method(self, gateway_customer_id: str | None) -> MethodOrder:
        settings, order = self._here.settings, self._order
        return MethodOrder(
            id=self._id,
            customer_id=self._customer_id,
            gateway_customer_id=gateway_customer_id,
            token=order.payment_method_id,
            return_url=order.return_url,
            gateway_return_url=f"{method_address(settings, self._id)}/return",
            make_default=order.make_default,
            action_window=settings.action_window,
            environment=settings.environment_name,
            actor=self._caller.actor,
            request=self._mark,
            correlation_id=self._correlation_id,
        )


def replayed_method(view: SavedMethodView, response: Response) -> SavedMethodView:
    """The answer to a repeated request: the method as it stands now."""
    response.status_code = HTTPStatus.OK
    response.headers[REPLAYED] = "true"
    return view


async def refreshed(here: Connections, method: SavedMethod) -> SavedMethod:
    """The method after a look at the gateway, if that could tell anything."""
    if not method.is_open:
        return method
    try:
        return await here.method_runs.refresh(method.id)
    except (NotTaken, RunOver, NoAnswerYet):
        return await here.methods.method(method.id) or method


async def removed(here: Connections, caller: Caller, method: SavedMethod) -> SavedMethod:
    """The method after its removal; as it stands while that is not known.

    Raises:
        MethodNotRemovable: It is not there to be removed.
        MethodNotRemoved: It is still there, and nobody is at it: a repeat starts anew.
    """
    if method.status is SavedMethodStatus.REMOVED:
        return method
    if method.status is not SavedMethodStatus.ACTIVE:
        raise MethodNotRemovable
    try:
        return await here.method_runs.remove(method)
    except NoAnswerYet:
        return await here.methods.method(method.id) or method
    except RunOver as error:
        now = await here.methods.method(method.id) or method
        if now.status is not SavedMethodStatus.REMOVED:
            raise MethodNotRemoved(method=method_view(here.settings, caller, now)) from error
        return now
