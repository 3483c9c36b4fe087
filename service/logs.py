"""Logs: one JSON object a line on standard error, and the trace id that ties them from event to asset."""

from __future__ import annotations

import json
import logging
import secrets
import sys
import time
from contextvars import ContextVar
from typing import Any, TextIO

trace_id: ContextVar[str] = ContextVar("narthex_trace_id", default="")
"""W3C trace id (32 hex digits) of the event or request that is being worked on; "" outside of one."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def new_trace_id() -> str:
    """A random W3C trace id, 32 hex digits."""
    return secrets.token_hex(16)


def set_up_logs(level: str = "info", style: str = "json", stream: TextIO | None = None) -> None:
    """Send everything that is logged to `stream` (standard error) as "json" or "text"; replaces what was set up."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # grpc.aio logs a traceback for a coroutine that a client's cancellation ended; that is no fault.
    logging.getLogger("grpc").setLevel(max(logging.WARNING, root.level))


class JsonFormatter(logging.Formatter):
    """One JSON object: ts (UTC, ISO 8601), level, logger, msg, trace_id, whatever `extra` holds, and error."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "ts": _utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        extra = _extra(record)
        trace = extra.pop("trace_id", "") or trace_id.get()
        if trace:
            line["trace_id"] = trace
        line |= extra
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """`12:00:00.123 INFO    logger  message  key=value`, for people."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with a traceback below it where there is one."""
        extra = _extra(record)
        if trace_id.get():
            extra.setdefault("trace_id", trace_id.get())
        parts = [_utc(record.created)[11:23], f"{record.levelname:<7}", record.name, " ", record.getMessage()]
        text = " ".join([*parts, *(f" {key}={value}" for key, value in extra.items())])
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _utc(epoch_s: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(epoch_s))
    return f"{whole}.{int(epoch_s % 1 * 1000):03d}Z"
