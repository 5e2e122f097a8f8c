"""The message broker's settings: where events may go, and orders may come from."""

import re
from typing import Annotated, Final, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings

_ADDRESS: Final = re.compile(r"amqps?://[^/\s]+(/\S*)?")

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,127}$")]


class BrokerSettings(BaseSettings):
    """Without an address there is no broker. Field names are the variables, in lower case."""

    amqp_url: SecretStr | None = None
    # Where results and events are told, and where a sink publishes that names no exchange.
    amqp_exchange: Name = "paysaga.events"
    # Where orders are taken from; the queue is bound to the shop's exchange.
    amqp_orders_queue: Name | None = None
    amqp_orders_exchange: Name = "shop.events"
    amqp_prefetch: Annotated[int, Field(ge=1, le=1000)] = 20

    @field_validator("amqp_url")
    @classmethod
    def _is_an_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not _ADDRESS.fullmatch(url.get_secret_value()):
            raise ValueError("an address such as amqps://user:password@host:5671/vhost is needed")
        return url

    @model_validator(mode="after")
    def _orders_come_from_somewhere(self) -> Self:
        if self.amqp_orders_queue is not None and self.amqp_url is None:
            raise ValueError("AMQP_ORDERS_QUEUE needs AMQP_URL: without a broker there is no queue")
        return self
