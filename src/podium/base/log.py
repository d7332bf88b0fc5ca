"""Structured logs: one line for each event, `key=value`, on stderr; the supervisor keeps them in files."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        line = f"{moment} {record.levelname[0]} {record.name} {record.getMessage()}"
        fields: dict[str, Any] = getattr(record, "fields", {})
        for key, value in fields.items():
            line += f" {key}={_quoted(value)}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _quoted(value: object) -> str:
    text = str(value)
    return repr(text) if not text or any(c in text for c in ' "\n=') else text


class Log:
    """A component's log. `log.info("pod started", pod=key)` writes one line with its fields."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, message: str, **fields: object) -> None:
        self._logger.debug(message, extra={"fields": fields})

    def info(self, message: str, **fields: object) -> None:
        self._logger.info(message, extra={"fields": fields})

    def warning(self, message: str, **fields: object) -> None:
        self._logger.warning(message, extra={"fields": fields})

    def error(self, message: str, **fields: object) -> None:
        self._logger.error(message, extra={"fields": fields})

    def exception(self, message: str, **fields: object) -> None:
        """Log at error level with the traceback of the exception being handled."""
        self._logger.exception(message, extra={"fields": fields})


def configure(*, verbosity: int = 0) -> None:
    """Send logs to stderr. `verbosity` is upstream's -v: from 4 on, debug lines are written too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbosity >= 4 else logging.INFO)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
