"""The shop's auth service: `POST /introspect` (RFC 7662) and `GET /users/{id}`."""

from http import HTTPStatus
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError


class AuthServiceUnavailable(Exception):
    """The auth service did not answer, or not in a way that we know."""


class User(BaseModel):
    """Somebody whom the auth service knows. Their address is personal: it is never written down."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    active: bool = True
    email: str | None = None


class AuthService:
    """A client of the shop's auth service."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def claims(self, token: str) -> dict[str, Any] | None:
        """What the token says of its bearer; `None` if it is not good (any more).

        Raises:
            AuthServiceUnavailable: Nobody can tell.
        """
        answer = await self._ask("POST", "/introspect", data={"token": token})
        try:
            claims = answer.json() if answer.is_success else None
        except ValueError as error:
            raise AuthServiceUnavailable("the introspection is no JSON") from error
        if not isinstance(claims, dict) or not isinstance(claims.get("active"), bool):
            raise AuthServiceUnavailable(f"{answer.status_code} to an introspection")
        return claims if claims["active"] else None

    async def user(self, user_id: str) -> User | None:
        """Whoever has this id; `None` if nobody has.

        Raises:
            AuthServiceUnavailable: Nobody can tell.
        """
        answer = await self._ask("GET", f"/users/{user_id}")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        try:
            if answer.is_success:
                return User.model_validate_json(answer.content)
        except ValidationError as error:
            raise AuthServiceUnavailable("an answer that we do not know, to a user") from error
        raise AuthServiceUnavailable(f"{answer.status_code} to a user")

    async def ping(self) -> None:
        """Raise unless it answers. Any answer will do."""
        answer = await self._ask("GET", "/")
        if answer.is_server_error:
            raise AuthServiceUnavailable(str(answer.status_code))

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            return await self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise AuthServiceUnavailable(type(error).__name__) from error
