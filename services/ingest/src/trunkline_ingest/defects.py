"""A defect of ours, logged by its type and place: its message could quote what a customer wrote."""

from __future__ import annotations

import traceback

import structlog

log = structlog.get_logger(__name__)


def log_defect(what: str, error: Exception) -> None:
    """One line, with the innermost frames."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    where = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    log.error(what, error=type(error).__name__, where=where)
