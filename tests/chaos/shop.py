"""`python -m tests.chaos.shop`: the demo's shop with orders that misbehave, and a book of moves.

How an order misbehaves stands at the end of its id, such as `…-silent-reserve`: `silent` steps are
not answered at first, `lost` ones are done and then not answered, `refused` ones find that somebody
has canceled the order.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI, HTTPException

from paysaga.demo.shop.app import create_app
from paysaga.demo.shop.order_book import OrderBook, ShopOrder
from paysaga.demo.shop.settings import ShopSettings
from paysaga.settings import Settings, load_settings

REFUSED_AT_CONFIRM: Final = "refused-confirm"
MOODS: Final = ("silent", "lost", "refused")
STEPS: Final = ("reserve", "look", "confirm", "release")
TIMES: Final = 3

# Written by the database itself, in the transaction that moves the order: no kill comes between.
_MOVES = """
CREATE TABLE IF NOT EXISTS moves (
    at REAL NOT NULL, order_id TEXT NOT NULL, payment_id TEXT, status TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS orders_move AFTER UPDATE OF status ON orders
WHEN new.status <> old.status
BEGIN
    INSERT INTO moves VALUES (
        (julianday('now') - 2440587.5) * 86400.0, new.order_id, new.payment_id, new.status
    );
END;
"""


class MoodyBook(OrderBook):
    """The shop's orders, some of which make trouble."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path = path
        self._asked: Counter[tuple[str, str]] = Counter()
        with closing(sqlite3.connect(path, timeout=10)) as connection:
            connection.executescript(_MOVES)

    def reserve(self, order_id: str, payment_id: str) -> ShopOrder:
        with self._moody("reserve", order_id):
            return super().reserve(order_id, payment_id)

    def look(self, order_id: str) -> ShopOrder:
        with self._moody("look", order_id):
            return super().look(order_id)

    def confirm(self, order_id: str, payment_id: str) -> ShopOrder:
        with self._moody("confirm", order_id):
            return super().confirm(order_id, payment_id)

    def release(self, order_id: str, payment_id: str) -> ShopOrder:
        with self._moody("release", order_id):
            return super().release(order_id, payment_id)

    @contextmanager
    def _moody(self, step: str, order_id: str) -> Iterator[None]:
        self._asked[step, order_id] += 1
        at_first = self._asked[step, order_id] <= TIMES
        if order_id.endswith(f"refused-{step}"):
            self._forget(order_id)
        if order_id.endswith(f"silent-{step}") and at_first:
            raise HTTPException(503, "later")
        yield
        if order_id.endswith(f"lost-{step}") and at_first:
            raise HTTPException(504, "it was done, and the answer is lost")

    def _forget(self, order_id: str) -> None:
        with closing(sqlite3.connect(self._path, timeout=10, isolation_level=None)) as connection:
            connection.execute(
                "UPDATE orders SET status = 'canceled', payment_id = NULL WHERE order_id = ?",
                (order_id,),
            )


def moody_shop(settings: ShopSettings, paysaga: Settings) -> FastAPI:
    """The demo's shop over such a book."""
    app = create_app(settings, paysaga)
    app.state.book = MoodyBook(settings.shop_state)
    return app


def main() -> None:
    settings = ShopSettings()
    app = moody_shop(settings, load_settings())
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=settings.shop_port,
        log_level="warning",
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
