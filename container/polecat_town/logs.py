"""Structured logs: one event, one line of JSON on standard error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

from polecat_api.times import format_time

KEYS = ("town", "rig", "bead", "polecat", "uid", "attempt")
"""The fields that name what a line is about."""


class JsonFormatter(logging.Formatter):
    """A log record as one JSON object."""

    def __init__(self, town: str) -> None:
        super().__init__()
        self._town = town

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": format_time(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "town": self._town,
        }
        line |= {key: getattr(record, key) for key in KEYS[1:] if getattr(record, key, None) is not None}
        line["message"] = record.getMessage()
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class SubjectLog(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines all name the same rig, bead and polecat."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def set_up(level: str, town: str) -> None:
    """Sends every log line of the program to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(town))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("uvicorn", "mcp", "aiohttp.access", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
