"""Where the demo listens and keeps its state; everything else follows from these."""

import sys
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from paysaga.demo.trouble import Trouble

Port = Annotated[int, Field(ge=1, le=65535)]


class DemoSettings(BaseSettings):
    """The environment of the demo; every field is the variable `DEMO_…`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="DEMO_")

    state: Path = Path(".paysaga")
    shop_port: Port = 8008
    api_port: Port = 8009
    temporal_port: Port = 7233
    temporal_ui_port: Port = 8233
    simulator_port: Port = 12111
    mail_port: Port = 2525
    temporal_binary: Path = Path(sys.executable).parent / "temporal"

    @field_validator("state")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.absolute()

    @model_validator(mode="after")
    def _each_port_once(self) -> Self:
        ports = self.ports
        for name, port in ports.items():
            twin = next(other for other, same in ports.items() if same == port)
            if twin != name:
                raise ValueError(f"{twin} and {name} are both {port}: give each a port of its own")
        return self

    @property
    def ports(self) -> dict[str, int]:
        """Each port by the variable that moves it."""
        return {
            "DEMO_SHOP_PORT": self.shop_port,
            "DEMO_API_PORT": self.api_port,
            "DEMO_TEMPORAL_PORT": self.temporal_port,
            "DEMO_TEMPORAL_UI_PORT": self.temporal_ui_port,
            "DEMO_SIMULATOR_PORT": self.simulator_port,
            "DEMO_MAIL_PORT": self.mail_port,
        }

    @property
    def shop_url(self) -> str:
        """The shop and its order service."""
        return f"http://127.0.0.1:{self.shop_port}"

    @property
    def api_url(self) -> str:
        """Paysaga's API."""
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def simulator_url(self) -> str:
        """The gateway's stand-in."""
        return f"http://127.0.0.1:{self.simulator_port}"

    @property
    def temporal_address(self) -> str:
        """Temporal's gRPC front end."""
        return f"127.0.0.1:{self.temporal_port}"

    @property
    def temporal_ui_url(self) -> str:
        """Temporal's web UI."""
        return f"http://127.0.0.1:{self.temporal_ui_port}"

    @property
    def cli_token(self) -> Path:
        """Where `payment-cli` finds its token."""
        return self.state / "cli-token"

    @property
    def cli_url(self) -> Path:
        """Where it finds the API's address."""
        return self.state / "api-url"


def load_demo_settings() -> DemoSettings:
    """Read the environment.

    Raises:
        Trouble: One sentence that names the variable that is wrong.
    """
    try:
        return DemoSettings()
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        name = f"DEMO_{str(first['loc'][0]).upper()}: " if first["loc"] else ""
        raise Trouble(f"{name}{reason}.") from None
