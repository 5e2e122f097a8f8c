"""What the shop reads from its environment."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ShopSettings(BaseSettings):
    """The shop's own settings; where Paysaga and the gateway are it learns from Paysaga's."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    shop_port: Annotated[int, Field(ge=1, le=65535)] = 8008
    # Where mails come in; without it none do.
    shop_mail_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    shop_state: Path = Path(".paysaga/shop.db")
    order_service_token: SecretStr = SecretStr("demo-order-service-token")
