from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import AnyHttpUrl, SecretStr

from paysaga.demo.preflight import free_port
from paysaga.demo.settings import DemoSettings
from paysaga.demo.shop.app import create_app
from paysaga.demo.shop.settings import ShopSettings
from paysaga.settings import Settings

TOKEN = "the-shop's-own-token"


@pytest.fixture
def shop(tmp_path: Path) -> FastAPI:
    """The shop on a file of its own; nobody is behind the till."""
    nobody = AnyHttpUrl(f"http://127.0.0.1:{free_port()}")
    return create_app(
        ShopSettings(shop_state=tmp_path / "shop.db", order_service_token=SecretStr(TOKEN)),
        Settings(public_base_url=nobody, stripe_api_base=AnyHttpUrl("http://127.0.0.1:12111")),
    )


@pytest.fixture
async def browser(shop: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who looks at the shop's pages."""
    transport = httpx.ASGITransport(shop)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        yield http


@pytest.fixture
def demo_settings(tmp_path: Path) -> DemoSettings:
    """A demo of our own: free ports, and a binary that is there."""
    return DemoSettings(
        state=tmp_path / "state",
        shop_port=free_port(),
        api_port=free_port(),
        temporal_port=free_port(),
        temporal_ui_port=free_port(),
        simulator_port=free_port(),
        mail_port=free_port(),
    )
