"""Faust's own log lines as JSON. It likes to print the record it fails on, so only fixed texts pass."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime

#: Loggers of ours and of libraries whose messages hold no record.
FORMATTER = "trunkline_insights.logs.Formatter"


class Formatter(logging.Formatter):
    """The message's template without its arguments; of an exception its type and place, not its text."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "event": str(record.msg) if record.args else f"{record.name}:{record.funcName}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "service": "insights",
        }
        if record.exc_info and record.exc_info[1] is not None:
            line |= describe(record.exc_info[1])
        return json.dumps(line)


def describe(error: BaseException) -> dict[str, str]:
    """An exception without its text, which may quote a record."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return {
        "error": type(error).__qualname__,
        "at": " < ".join(f"{f.filename.rpartition('/')[2]}:{f.lineno} {f.name}" for f in reversed(frames)),
    }


def config() -> dict[str, object]:
    """For logging.config.dictConfig. Below WARNING Faust logs keys and values."""
    handler = {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "safe"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"safe": {"()": FORMATTER}},
        "handlers": {"out": handler},
        "root": {"level": "WARNING", "handlers": ["out"]},
        "loggers": {"aiokafka": {"level": "ERROR"}},
    }
