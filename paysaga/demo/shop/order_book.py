"""The shop's orders in its own SQLite file: one row each, moved by the payment that holds it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Final

from paysaga.domain.money import Money
from paysaga.orders import DatedOrder, OrderStatus

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS orders (
    order_id TEXT PRIMARY KEY,
    customer_id TEXT NOT NULL,
    product TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'reserved', 'paid', 'canceled')),
    payment_id TEXT CHECK ((payment_id IS NOT NULL) = (status IN ('reserved', 'paid'))),
    made_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ')),
    service_date TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS orders_by_customer ON orders (customer_id, made_at);
-- A payment that let go of its order does not come back: a late repeat of its reserve is refused.
CREATE TABLE IF NOT EXISTS released (
    order_id TEXT NOT NULL,
    payment_id TEXT NOT NULL,
    PRIMARY KEY (order_id, payment_id)
) STRICT;
"""


class ShopOrder(DatedOrder):
    """An order as the shop itself sees it."""

    product: str
    made_at: str


class NoSuchOrder(Exception):
    """There is no order of this id."""


class OrderRefused(Exception):
    """The order, as it stands, does not take this step."""


class OrderBook:
    """All steps are idempotent by the payment's id and happen in one transaction each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
            _add_what_is_new(connection)

    def make(
        self,
        order_id: str,
        customer_id: str,
        product: str,
        price: Money,
        service_date: date | None = None,
    ) -> ShopOrder:
        """Write an order down; the same id again is the same order."""
        day = service_date.isoformat() if service_date else None
        with self._transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO orders (order_id, customer_id, product, amount, currency,"
                " status, service_date) VALUES (?, ?, ?, ?, ?, 'open', ?)",
                (order_id, customer_id, product, price.minor, price.currency, day),
            )
            return _found(connection, order_id)

    def look(self, order_id: str) -> ShopOrder:
        """The order as it stands.

        Raises:
            NoSuchOrder: There is none.
        """
        with closing(self._connect()) as connection:
            return _found(connection, order_id)

    def of_customer(self, customer_id: str) -> list[ShopOrder]:
        """The customer's orders, newest first."""
        with closing(self._connect()) as connection:
            rows = connection.execute(
                "SELECT * FROM orders WHERE customer_id = ? ORDER BY made_at DESC, rowid DESC",
                (customer_id,),
            ).fetchall()
        return [ShopOrder.model_validate(dict(row)) for row in rows]

    def reserve(self, order_id: str, payment_id: str) -> ShopOrder:
        """Keep the order for this payment.

        Raises:
            NoSuchOrder: There is none.
            OrderRefused: It is kept for another, or this payment has let go of it before.
        """
        with self._transaction() as connection:
            order = _found(connection, order_id)
            if order.payment_id == payment_id:
                return order
            if order.status is not OrderStatus.OPEN:
                raise OrderRefused(f"the order is {order.status} by another payment")
            gone = connection.execute(
                "SELECT 1 FROM released WHERE order_id = ? AND payment_id = ?",
                (order_id, payment_id),
            ).fetchone()
            if gone:
                raise OrderRefused("this payment has released the order before")
            return _moved(connection, order_id, OrderStatus.RESERVED, payment_id)

    def confirm(self, order_id: str, payment_id: str) -> ShopOrder:
        """The payment has paid the order.

        Raises:
            NoSuchOrder: There is none.
            OrderRefused: It is not kept for this payment.
        """
        with self._transaction() as connection:
            order = _found(connection, order_id)
            if order.payment_id != payment_id:
                raise OrderRefused(f"the order is {order.status}, and not kept for this payment")
            return _moved(connection, order_id, OrderStatus.PAID, payment_id)

    def release(self, order_id: str, payment_id: str) -> ShopOrder:
        """The payment lets go of the order; one that it does not hold stays as it is.

        Raises:
            NoSuchOrder: There is none.
            OrderRefused: This payment has paid it.
        """
        with self._transaction() as connection:
            order = _found(connection, order_id)
            if order.payment_id == payment_id and order.status is OrderStatus.PAID:
                raise OrderRefused("the order is paid")
            connection.execute(
                "INSERT OR IGNORE INTO released (order_id, payment_id) VALUES (?, ?)",
                (order_id, payment_id),
            )
            if order.payment_id != payment_id:
                return order
            return _moved(connection, order_id, OrderStatus.OPEN, None)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        connection.row_factory = sqlite3.Row
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")


def _add_what_is_new(connection: sqlite3.Connection) -> None:
    """A book that an older demo has begun goes on."""
    known = {row["name"] for row in connection.execute("PRAGMA table_info(orders)")}
    if "service_date" not in known:
        connection.execute("ALTER TABLE orders ADD COLUMN service_date TEXT")


def _found(connection: sqlite3.Connection, order_id: str) -> ShopOrder:
    row = connection.execute("SELECT * FROM orders WHERE order_id = ?", (order_id,)).fetchone()
    if row is None:
        raise NoSuchOrder(order_id)
    return ShopOrder.model_validate(dict(row))


def _moved(
    connection: sqlite3.Connection, order_id: str, status: OrderStatus, payment_id: str | None
) -> ShopOrder:
    connection.execute(
        "UPDATE orders SET status = ?, payment_id = ? WHERE order_id = ?",
        (status, payment_id, order_id),
    )
    return _found(connection, order_id)
