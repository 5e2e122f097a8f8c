"""The pages on which mails are read: a visitor's own, and all of them in the back office."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, Response

from paysaga.demo.shop.letterbox import KeptMail, Letterbox
from paysaga.demo.shop.pages import page
from paysaga.demo.shop.visitors import SignedIn, Visitor

router: Final = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

# A mail brings its own styles and nothing else; its links open pages of their own.
_SANDBOX: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none';"
    " form-action 'none'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
Number = Annotated[int, Path(ge=1, le=2**62)]


@router.get("/inbox")
def inbox(request: Request, who: SignedIn) -> Response:
    """The visitor's mails, newest first."""
    mails = _letterbox(request).mails(who.email)
    return page("inbox.html", who, mails=mails, place="/inbox", title="Your mails")


@router.get("/inbox/{number}")
def mail(request: Request, who: SignedIn, number: Number) -> Response:
    """One of them."""
    found = _letterbox(request).mail(number, who.email)
    return page("mail.html", who, mail=found, place="/inbox")


@router.get("/inbox/{number}/html")
def mail_html(request: Request, who: SignedIn, number: Number) -> Response:
    """What a mail program would show of it."""
    return _shown(_letterbox(request).mail(number, who.email))


@router.get("/back-office/mails")
def all_mails(request: Request, who: Visitor) -> Response:
    """Everybody's, also those to operations. In the demo everybody may come behind the counter."""
    mails = _letterbox(request).mails(None)
    return page("inbox.html", who, mails=mails, place="/back-office/mails", title="All mails")


@router.get("/back-office/mails/{number}")
def any_mail(request: Request, who: Visitor, number: Number) -> Response:
    """One of them."""
    found = _letterbox(request).mail(number, None)
    return page("mail.html", who, mail=found, place="/back-office/mails")


@router.get("/back-office/mails/{number}/html")
def any_mail_html(request: Request, number: Number) -> Response:
    """What a mail program would show of it."""
    return _shown(_letterbox(request).mail(number, None))


def _letterbox(request: Request) -> Letterbox:
    letterbox: Letterbox = request.app.state.letterbox
    return letterbox


def _shown(mail: KeptMail) -> HTMLResponse:
    headers = {"Content-Security-Policy": _SANDBOX, "Cache-Control": "no-store"}
    return HTMLResponse(mail.html, headers=headers)
