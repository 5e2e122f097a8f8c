"""The form of everything that crosses a boundary: frozen, typed, JSON both ways."""

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """A frozen value. Unknown fields are dropped, so that older code reads newer histories."""

    model_config = ConfigDict(frozen=True, extra="ignore")
