"""The shop as one application: order service and pages on the same port."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from paysaga.demo.shop import back_office, checkout, inbox, order_service, pages, saved_cards
from paysaga.demo.shop.letterbox import Letterbox, NoSuchMail
from paysaga.demo.shop.mail_catcher import catching
from paysaga.demo.shop.order_book import NoSuchOrder, OrderBook, OrderRefused
from paysaga.demo.shop.settings import ShopSettings
from paysaga.demo.shop.till import Till, TillClosed
from paysaga.demo.shop.visitors import COOKIE, NotSignedIn, visitor
from paysaga.settings import Settings

STRIPE: Final = "https://api.stripe.com"


def create_app(settings: ShopSettings, paysaga: Settings) -> FastAPI:
    """The shop over its own settings, and Paysaga's for where to pay."""
    app = FastAPI(
        title="The little shop",
        lifespan=_open_hours,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.settings = settings
    app.state.paysaga = paysaga
    app.state.gateway = str(paysaga.stripe_api_base or STRIPE).rstrip("/")
    app.state.book = OrderBook(settings.shop_state)
    app.state.letterbox = Letterbox(settings.shop_state)
    app.state.till = Till(paysaga)
    app.include_router(order_service.router)
    app.include_router(pages.router)
    app.include_router(checkout.router)
    app.include_router(saved_cards.router)
    app.include_router(back_office.router)
    app.include_router(inbox.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).with_name("static")))
    app.add_api_route("/health", _health)
    app.add_exception_handler(NoSuchOrder, _missing)
    app.add_exception_handler(NoSuchMail, _missing)
    app.add_exception_handler(OrderRefused, _refused)
    app.add_exception_handler(NotSignedIn, _sign_in_first)
    app.add_exception_handler(TillClosed, _till_closed)
    app.add_exception_handler(404, _missing)
    app.middleware("http")(_at_home)
    return app


@asynccontextmanager
async def _open_hours(app: FastAPI) -> AsyncIterator[None]:
    """While it is open mails are caught, if it is to catch them."""
    settings: ShopSettings = app.state.settings
    till: Till = app.state.till
    async with AsyncExitStack() as stack:
        stack.push_async_callback(till.close)
        if settings.shop_mail_port is not None:
            await stack.enter_async_context(catching(app.state.letterbox, settings.shop_mail_port))
        yield


async def _health() -> dict[str, str]:
    return {"status": "ok"}


async def _missing(request: Request, _error: Exception) -> Response:
    if request.url.path.startswith("/orders"):
        return JSONResponse({"detail": "there is no such order"}, 404)
    return pages.not_there(visitor(request.cookies.get(COOKIE)))


async def _refused(_request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, 409)


async def _sign_in_first(_request: Request, error: Exception) -> Response:
    return RedirectResponse(error.to if isinstance(error, NotSignedIn) else "/sign-in", 303)


async def _till_closed(request: Request, error: Exception) -> Response:
    who = visitor(request.cookies.get(COOKIE))
    return pages.page("message.html", who, status=503, title="One moment, please", text=str(error))


async def _at_home(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Nothing is fetched from elsewhere, but for the card that goes to the gateway."""
    response = await answer(request)
    gateway = request.app.state.gateway
    response.headers.setdefault(
        "Content-Security-Policy",
        f"default-src 'self'; connect-src 'self' {gateway}; img-src 'self' data:;"
        f" form-action 'self' {gateway}; frame-ancestors 'none'; base-uri 'none'",
    )
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
