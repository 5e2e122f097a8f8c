"""The hosted page on which a customer pays for a Checkout Session, and where they go from it."""

import asyncio
import re
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from paysaga.simulator import checkout_payment, checkout_sessions
from paysaga.simulator.cards import BY_NUMBER
from paysaga.simulator.currencies import shown
from paysaga.simulator.delivering import Deliverer
from paysaga.simulator.errors import ApiError
from paysaga.simulator.lists import ListParams
from paysaga.simulator.method_making import CardParams, MethodData, made_of
from paysaga.simulator.outcomes import ConnectionLost
from paysaga.simulator.pages import page
from paysaga.simulator.shapes import BillingDetails
from paysaga.simulator.simulator import Simulator
from paysaga.simulator.storage import Body, Record

Form = dict[str, str]
_TEST_CARDS = (
    ("4242424242424242", "succeeds"),
    ("4000002760003184", "asks for 3-D Secure"),
    ("4000008260003178", "3-D Secure, then too little money"),
    ("4000000000000002", "is declined"),
    ("4000000000009995", "has too little money"),
    ("4000000000000069", "has expired"),
    ("4000000000000127", "wrong CVC"),
)
_EXPIRY = re.compile(r"\s*(\d{1,2})\s*/\s*(\d{2}|\d{4})\s*")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LONGEST_EMAIL = 800
_TROUBLE = "An error occurred while processing your card. Try again in a little bit."
_WORDS = {"book": "Book", "donate": "Donate"}


class CheckoutPage:
    """The HTML side of Checkout."""

    def __init__(self, simulator: Simulator, deliverer: Deliverer) -> None:
        self._simulator = simulator
        self._deliverer = deliverer

    def routes(self) -> list[Route]:
        """List the routes, below the public URL."""
        return [
            Route("/c/pay/{session}", self.show, methods=["GET"]),
            Route("/c/pay/{session}", self.pay, methods=["POST"]),
            Route("/c/pay/{session}/return", self.come_back, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """Show what is to be paid; `?card=` fills one of the test cards in."""
        record = self._session(request)
        if not record:
            return page("gone.html", 404)
        picked = request.query_params.get("card", "")
        number = picked if picked in BY_NUMBER else ""
        form = {"email": record.private["email"]}
        if number:
            next_year = datetime.fromtimestamp(self._simulator.time(), UTC).year % 100 + 1
            form |= {"number": number, "expiry": f"12 / {next_year}", "cvc": "123"}
        return self._shown(record, form)

    async def pay(self, request: Request) -> Response:
        """Take the payment; a refusal is shown on the page, which stays open."""
        record = self._session(request)
        if not record:
            return page("gone.html", 404)
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        given = form.get("email", "").strip()
        form["email"] = record.private["email"] if _knows_customer(record) else given
        if record.body["status"] != "open":
            return self._shown(record, form)
        await asyncio.sleep(self._simulator.knobs.delay_seconds(self._simulator.chance))
        try:
            complaint = self._charge(record.id, form)
        except ConnectionLost:
            complaint = _TROUBLE
        except ApiError as error:
            complaint = error.message
        self._deliverer.wake()
        record = self._session(request) or record
        return self._shown(record, form, complaint) if complaint else self._onward(record)

    async def come_back(self, request: Request) -> Response:
        """Take the customer in from 3-D Secure or PayPal, and send them on or let them retry."""
        record = self._session(request)
        if not record:
            return page("gone.html", 404)
        if record.body["status"] != "open":
            return self._onward(record)
        intent = self._intent(record)
        error = intent["last_payment_error"] if intent else None
        form = {"email": record.private["email"]}
        return self._shown(record, form, error["message"] if error else "")

    def _charge(self, session: str, form: Form) -> str:
        """Pay with what the form says; answer with what the customer must be told."""
        call = self._simulator.call(target=session, client_only=True)
        with call.storage.transaction():
            record = call.own("checkout.session")
            if not _EMAIL.fullmatch(form["email"]) or len(form["email"]) > _LONGEST_EMAIL:
                return "Your email is incomplete."
            method = None
            if record.body["amount_total"]:
                data = _method_data(form)
                if not data:
                    return "Your card's expiration date is incomplete."
                method = made_of(call, data).id
            declined = checkout_payment.attempt(call, record, method, form["email"])
        return declined.message if declined else ""

    def _onward(self, record: Record) -> Response:
        """Send the customer where they belong now: the bank, the shop, or to this page's end."""
        intent = self._intent(record)
        if record.body["status"] == "complete":
            url = record.body["success_url"].replace("{CHECKOUT_SESSION_ID}", record.id)
        elif intent and intent["next_action"]:
            url = intent["next_action"]["redirect_to_url"]["url"]
        else:
            return self._shown(record, {"email": record.private["email"]})
        return RedirectResponse(url, 303)

    def _shown(self, record: Record, form: Form, complaint: str = "") -> Response:
        body = record.body
        if body["status"] != "open":
            return page(
                "checkout_closed.html", 200, is_paid=body["status"] == "complete", back=_back(body)
            )
        call = self._simulator.call(target=record.id)
        items = checkout_sessions.lines_of(call, record.id, ListParams(limit=100))["data"]
        lines = [
            {
                "name": item["description"],
                "quantity": item["quantity"],
                "amount": shown(item["amount_total"], item["currency"]).upper(),
            }
            for item in items
        ]
        return page(
            "checkout.html",
            402 if complaint else 200,
            action=f"/c/pay/{record.id}",
            lines=lines,
            total=shown(body["amount_total"], body["currency"]).upper(),
            is_free=not body["amount_total"],
            kinds=body["payment_method_types"],
            form={"email": "", "number": "", "expiry": "", "cvc": "", **form},
            email_is_fixed=_knows_customer(record),
            complaint=complaint,
            verb=_WORDS.get(body["submit_type"], "Pay"),
            cards=_TEST_CARDS,
            back=_back(body),
        )

    def _session(self, request: Request) -> Record | None:
        identifier = request.path_params["session"]
        return self._simulator.storage.get("checkout.session", identifier)

    def _intent(self, record: Record) -> Body | None:
        identifier = record.body["payment_intent"]
        found = self._simulator.storage.get("payment_intent", identifier) if identifier else None
        return found.body if found else None


def _method_data(form: Form) -> MethodData | None:
    """Read the method out of the form; None if the expiry makes no sense."""
    owner = BillingDetails(email=form["email"])
    if form.get("method") == "paypal":
        return MethodData(type="paypal", billing_details=owner)
    expiry = _EXPIRY.fullmatch(form.get("expiry", ""))
    if not expiry:
        return None
    card = CardParams(
        number=form.get("number", ""),
        exp_month=int(expiry[1]),
        exp_year=int(expiry[2]),
        cvc=form.get("cvc", ""),
    )
    return MethodData(type="card", card=card, billing_details=owner)


def _knows_customer(record: Record) -> bool:
    return record.body["customer_details"] is not None


def _back(body: Body) -> str | None:
    url: str | None = body["cancel_url"]
    return url.replace("{CHECKOUT_SESSION_ID}", body["id"]) if url else None
