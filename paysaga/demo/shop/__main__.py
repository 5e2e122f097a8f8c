"""`python -m paysaga.demo.shop`: serve the shop until told to stop."""

import sys

import uvicorn

from paysaga.demo.shop.app import create_app
from paysaga.demo.shop.settings import ShopSettings
from paysaga.settings import WrongSettings, load_settings


def main() -> int:
    """Exit code 0 after a stop, 2 when the settings cannot be used."""
    try:
        app = create_app(ShopSettings(), load_settings())
    except WrongSettings as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 2
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=ShopSettings().shop_port,
        log_level="warning",
        timeout_graceful_shutdown=3,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
