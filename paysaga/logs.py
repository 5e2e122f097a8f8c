"""Logs: one JSON line per event, with the payment's id, and never a secret."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog
from pydantic import BaseModel
from structlog.types import EventDict, Processor

# Keys whose values are never written, whoever logs them.
_SECRET_KEYS: Final = re.compile(
    r"(authorization|secret|password|token|api_?key|signature|cookie|client_secret|number|cvc)",
    re.IGNORECASE,
)
# Secrets inside a text: Stripe keys, webhook and client secrets, bearer tokens, JWTs.
_SECRET_TEXTS: Final = re.compile(
    r"\b(?:(?:sk|rk|pk)_(?:live|test)_\w+|whsec_[\w+/=]+|\w+_secret_\w+"
    r"|eyJ[\w-]+\.[\w-]+\.[\w-]*)|(?<=Bearer )\S+"
)
_DROPPED: Final = "[dropped]"
# What Temporal puts on every record of a workflow or an activity; the run's id is the payment's.
_TEMPORAL_FIELDS: Final = ("temporal_workflow", "temporal_activity")
_STANDARD_FIELDS: Final = frozenset(
    vars(logging.LogRecord("", 0, "", 0, "", None, None)) | {"message": "", "taskName": ""}
)


def configure_logs(level: str, process: str) -> None:
    """Send every log line of this process, ours and the libraries', to standard error as JSON."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.stdlib.add_logger_name,
        _record_fields,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.EventRenamer("message"),
                _named(process),
                drop_secrets,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # They tell each call's URL, and Stripe's debug lines hold whole answers.
    for name in ("httpx", "httpcore", "stripe", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Of a lost broker we tell in a line of our own; as a warning they add their whole traceback.
    for name in ("aio_pika", "aiormq"):
        logging.getLogger(name).setLevel(logging.ERROR)


def drop_secrets(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace what must not be written: by the key's name, and inside texts by its look."""
    return {key: _cleaned(key, value) for key, value in event.items()}


def _cleaned(key: str, value: Any) -> Any:
    if _SECRET_KEYS.search(key):
        return _DROPPED
    match value:
        case str():
            return _clean_text(value)
        case Mapping():
            return {
                _clean_text(str(inner)): _cleaned(str(inner), item) for inner, item in value.items()
            }
        case BaseModel():
            return _cleaned(key, dict(value))
        case list() | tuple() | set() | frozenset():
            return [_cleaned(key, item) for item in value]
        case None | bool() | int() | float():
            return value
        case _:
            return _clean_text(repr(value))  # as it would be written


def _clean_text(text: str) -> str:
    return _SECRET_TEXTS.sub(_DROPPED, text)


def _record_fields(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Take over the `extra` of a standard record, and name the payment that it is about."""
    record = event.get("_record")
    if not isinstance(record, logging.LogRecord):
        return event
    for key, value in vars(record).items():
        if key not in _STANDARD_FIELDS and key not in _TEMPORAL_FIELDS and key[0] != "_":
            event.setdefault(key, value)
    for field in _TEMPORAL_FIELDS:
        told = getattr(record, field, None)
        if isinstance(told, MutableMapping):
            event.setdefault("payment_id", told.get("workflow_id"))
            event.setdefault("run", told.get("run_id") or told.get("workflow_run_id"))
            if "activity_type" in told:
                event.setdefault("activity", told["activity_type"])
                event.setdefault("attempt", told.get("attempt"))
    return event


def _named(process: str) -> Processor:
    def name(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {"process": process, **event}

    return name
