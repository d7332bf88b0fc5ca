"""Structured logs: a line for each event, as text or JSON, on stderr; the supervisor keeps them in files."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


class TextFormat(logging.Formatter):
    """For people."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        line = f"{moment} {record.levelname[0]} {record.name} {record.getMessage()}"
        fields: dict[str, Any] = getattr(record, "fields", {})
        for key, value in fields.items():
            line += f" {key}={_quoted(value)}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JsonFormat(logging.Formatter):
    """For machines: an object a line, with upstream's keys (component-base, logs/json)."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {"ts": record.created * 1000, "caller": _caller(record), "logger": record.name}
        line["msg"] = record.getMessage()
        if record.levelno < logging.ERROR:
            line["v"] = 0 if record.levelno >= logging.INFO else DEBUG_VERBOSITY
        fields: dict[str, Any] = getattr(record, "fields", {})
        for key, value in fields.items():
            # A field may not take the place of what every line has.
            line[f"{key}_" if key in line else key] = value
        if record.levelno >= logging.ERROR:
            line["err"] = str(line.pop("error", record.exc_info[1] if record.exc_info else ""))
        if record.exc_info:
            line["stacktrace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


FORMATS: Mapping[str, type[logging.Formatter]] = {"text": TextFormat, "json": JsonFormat}
"""What `--logging-format` may say."""
DEBUG_VERBOSITY = 4
"""From which `-v` on debug lines are written."""


def _caller(record: logging.LogRecord) -> str:
    return f"{'/'.join(record.pathname.rsplit('/', 2)[-2:])}:{record.lineno}"


def _quoted(value: object) -> str:
    text = str(value)
    return repr(text) if not text or any(c in text for c in ' "\n=') else text


class Log:
    """A component's log. `log.info("pod started", pod=key)` writes one line with its fields."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, message: str, **fields: object) -> None:
        self._logger.debug(message, extra={"fields": fields}, stacklevel=2)

    def info(self, message: str, **fields: object) -> None:
        self._logger.info(message, extra={"fields": fields}, stacklevel=2)

    def warning(self, message: str, **fields: object) -> None:
        self._logger.warning(message, extra={"fields": fields}, stacklevel=2)

    def error(self, message: str, **fields: object) -> None:
        self._logger.error(message, extra={"fields": fields}, stacklevel=2)

    def exception(self, message: str, **fields: object) -> None:
        """Log at error level with the traceback of the exception being handled."""
        self._logger.exception(message, extra={"fields": fields}, stacklevel=2)


def configure(*, verbosity: int = 0, format: str = "text", split: bool = False) -> None:
    """Send logs to stderr. `verbosity` is upstream's -v: from 4 on, debug lines are written too.

    `split` sends to stderr only what is an error, and the rest to stdout.
    """
    errors = logging.StreamHandler(sys.stderr)
    handlers = [errors]
    if split:
        others = logging.StreamHandler(sys.stdout)
        others.addFilter(lambda record: record.levelno < logging.ERROR)
        errors.setLevel(logging.ERROR)
        handlers.append(others)
    for handler in handlers:
        handler.setFormatter(FORMATS[format]())
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(logging.DEBUG if verbosity >= DEBUG_VERBOSITY else logging.INFO)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
