"""Holds a Stripe-shaped API to Stripe's own OpenAPI document, requests and answers alike.

`SpecCheck` wraps an ASGI application and remembers every departure in `violations`. The document is
the file that `STRIPE_OPENAPI` names; it imports nothing from the simulator, which it judges.
"""

import json
import os
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

Json = dict[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_FORM = "application/x-www-form-urlencoded"
_ENDIVE = "2026-09-30"
_REFUSED = 400
# The hosted page and Stripe's CLI call it; the document does not speak of it.
_NOT_DOCUMENTED = "/v1/payment_pages/"
_NOT_JSON_SCHEMA = frozenset({"nullable", "style", "explode", "format"})

# What 2026-10-28.endive, which the SDK pins, has otherwise than the document (dahlia).
_GONE_PARAMETERS = {
    ("POST", "/v1/payment_intents"): {"payment_method_types"},
    ("POST", "/v1/payment_intents/{intent}"): {"payment_method_types"},
    ("POST", "/v1/payment_intents/{intent}/confirm"): {"payment_method_types", "client_secret"},
    ("POST", "/v1/setup_intents/{intent}/confirm"): {"client_secret"},
    ("POST", "/v1/setup_intents"): {"payment_method_types"},
    ("POST", "/v1/setup_intents/{intent}"): {"payment_method_types"},
    ("POST", "/v1/checkout/sessions"): {"payment_method_types"},
}
_NEW_PARAMETERS = {("POST", "/v1/checkout/sessions"): {"allowed_payment_method_types"}}
_NEW_FIELDS = {
    "payment_intent": {"payment_record", "source"},
    "charge": {"authorization_code", "level3", "source"},
    "dispute": {"intended_submission_method", "network_reason_code"},
    "checkout.session": {"allowed_payment_method_types"},
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One departure from the document."""

    method: str
    path: str
    status: int
    side: str
    message: str


class Specification:
    """The document, made strict: what it does not name is not allowed, at any depth."""

    def __init__(self, document: Json) -> None:
        self._schemas = {
            name: _strict(schema) for name, schema in document["components"]["schemas"].items()
        }
        for name, fields in _NEW_FIELDS.items():
            if name in self._schemas:
                self._schemas[name]["properties"] |= {field: {} for field in fields}
        paths = sorted(document["paths"].items(), key=lambda item: str(item[0]).count("{"))
        self._patterns: list[tuple[re.Pattern[str], str]] = [
            (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), path) for path, _ in paths
        ]
        self._operations: Json = dict(paths)
        self._validators: dict[tuple[str, ...], Draft202012Validator] = {}

    @classmethod
    def from_environment(cls) -> "Specification | None":
        """Load the document that `STRIPE_OPENAPI` names, if it names one."""
        path = os.environ.get("STRIPE_OPENAPI")
        return cls(json.loads(Path(path).read_text(encoding="utf-8"))) if path else None

    def check_request(
        self, method: str, path: str, encoded: str, version: str | None
    ) -> Iterator[str]:
        """Say what is wrong with the parameters of a request."""
        template = self._template(method, path)
        if template is None:
            yield "the document has no such operation"
            return
        schema = self._parameters(method, template, endive=(version or "") >= _ENDIVE)
        values = self._typed(_nested(parse_qsl(encoded, keep_blank_values=True)), schema)
        kind = "endive" if (version or "") >= _ENDIVE else "dahlia"
        yield from self._errors((method, template, kind), schema, values)

    def check_response(self, method: str, path: str, status: int, payload: bytes) -> Iterator[str]:
        """Say what is wrong with an answer."""
        template = self._template(method, path)
        if template is None:
            return
        responses = self._operations[template][method.lower()]["responses"]
        code = str(status) if str(status) in responses else "default"
        schema = _strict(responses[code]["content"]["application/json"]["schema"])
        try:
            value = json.loads(payload)
        except ValueError:
            yield "the answer is not JSON"
            return
        yield from self._errors((method, template, code, "answer"), schema, value)

    def _template(self, method: str, path: str) -> str | None:
        for pattern, template in self._patterns:
            if pattern.fullmatch(path) and method.lower() in self._operations[template]:
                return template
        return None

    def _parameters(self, method: str, template: str, *, endive: bool) -> Json:
        operation = self._operations[template][method.lower()]
        in_query = [p for p in operation.get("parameters", []) if p["in"] == "query"]
        properties = {p["name"]: _strict(p["schema"]) for p in in_query}
        required = [p["name"] for p in in_query if p.get("required")]
        body = operation.get("requestBody", {}).get("content", {}).get(_FORM, {}).get("schema", {})
        properties |= {name: _strict(value) for name, value in body.get("properties", {}).items()}
        required += body.get("required", [])
        if endive:
            for name in _GONE_PARAMETERS.get((method, template), set()):
                properties.pop(name, None)
            properties |= {name: {} for name in _NEW_PARAMETERS.get((method, template), set())}
        return {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }

    def _errors(self, key: tuple[str, ...], schema: Json, value: object) -> Iterator[str]:
        validator = self._validators.get(key)
        if validator is None:
            validator = self._validators[key] = self._validator(schema)
        for error in validator.iter_errors(value):
            closest = best_match([error]) or error
            where = ".".join(map(str, closest.absolute_path)) or "(all)"
            yield f"{where}: {closest.message[:200]}"

    def _validator(self, schema: Json) -> Draft202012Validator:
        return Draft202012Validator({**schema, "components": {"schemas": self._schemas}})

    def _typed(self, value: Any, schema: Json) -> Any:
        """Give form values, which are all text, the types that the schema asks for."""
        if "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        for branch in schema.get("anyOf", ()):
            typed = self._typed(value, branch)
            if self._validator(branch).is_valid(typed):
                return typed
        kind = schema.get("type")
        if kind == "object" and isinstance(value, dict):
            properties = schema.get("properties", {})
            return {k: self._typed(v, properties.get(k, {})) for k, v in value.items()}
        if kind == "array" and isinstance(value, dict) and all(k.isdigit() for k in value):
            ordered = [value[k] for k in sorted(value, key=int)]
            return [self._typed(item, schema.get("items", {})) for item in ordered]
        if kind == "integer" and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            return int(value)
        if kind == "boolean" and value in ("true", "false"):
            return value == "true"
        return value


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {
        key: _strict(value)
        for key, value in node.items()
        if key not in _NOT_JSON_SCHEMA and not key.startswith("x-")
    }
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        schema.setdefault("additionalProperties", False)
    return {"anyOf": [schema, {"type": "null"}]} if node.get("nullable") is True else schema


def _nested(flat: list[tuple[str, str]]) -> Json:
    """Unfold `a[b][0]=x`; a list stays an object with numbers for names until it is typed."""
    root: Json = {}
    for name, value in flat:
        head, *rest = name.replace("]", "").split("[")
        node, last = root, head
        for part in rest:
            node = node.setdefault(last, {})
            last = part or str(len(node))
        node[last] = value
    return root


@dataclass
class _Exchange:
    """Passes one exchange on and keeps a copy of what was said."""

    receive_next: Receive
    send_on: Send
    request: list[bytes] = field(default_factory=list)
    answer: list[bytes] = field(default_factory=list)
    status: int = 0

    @property
    def transport(self) -> object:
        """The connection, for an application that closes it without an answer."""
        return getattr(getattr(self.send_on, "__self__", None), "transport", None)

    async def receive(self) -> Message:
        message = await self.receive_next()
        self.request.append(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.answer.append(message.get("body", b""))
        await self.send_on(message)


class SpecCheck:
    """ASGI middleware that judges everything below `/v1`.

    A request that the application refuses may break the document: refusing it was right.
    """

    def __init__(self, app: App, specification: Specification | None) -> None:
        self._app = app
        self._specification = specification
        self.violations: list[Violation] = []
        self.checked = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass the exchange on and judge it."""
        specification = self._specification
        path = scope["path"] if scope["type"] == "http" else ""
        judged = path.startswith("/v1/") and not path.startswith(_NOT_DOCUMENTED)
        if not specification or not judged or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        await self._app(scope, exchange.receive, exchange.send)
        if exchange.status:
            self._judge(specification, scope, exchange)

    def _judge(self, specification: Specification, scope: Message, exchange: _Exchange) -> None:
        method, path, status = scope["method"], scope["path"], exchange.status
        version = next((v.decode() for k, v in scope["headers"] if k == b"stripe-version"), None)
        encoded = "&".join(
            part.decode() for part in (scope["query_string"], *exchange.request) if part
        )
        answer = b"".join(exchange.answer)
        found = [
            Violation(method, path, status, "answer", message)
            for message in specification.check_response(method, path, status, answer)
        ]
        if status < _REFUSED:
            found += [
                Violation(method, path, status, "request", message)
                for message in specification.check_request(method, path, encoded, version)
            ]
        self.checked += 1
        self.violations += found
