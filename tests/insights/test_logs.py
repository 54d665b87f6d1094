from __future__ import annotations

import json
import logging

from trunkline_insights.logs import Formatter


def line(record: logging.LogRecord) -> dict[str, str]:
    found: dict[str, str] = json.loads(Formatter().format(record))
    return found


def test_arguments_of_a_message_do_not_reach_the_log() -> None:
    made = logging.LogRecord("faust.topics", logging.WARNING, "f.py", 1, "cannot send %r", ("private",), None, "send")
    assert line(made)["event"] == "cannot send %r"


def test_a_message_made_beforehand_is_replaced_by_its_place() -> None:
    made = logging.LogRecord("faust.topics", logging.WARNING, "f.py", 1, "cannot send private", (), None, "send")
    assert line(made)["event"] == "faust.topics:send"


def test_an_exception_is_told_by_type_and_place_without_its_text() -> None:
    try:
        int("private")
    except ValueError as error:
        info = (ValueError, error, error.__traceback__)
    made = logging.LogRecord("mode", logging.ERROR, "f.py", 1, "Crashed: %r", ("private",), info)
    assert line(made)["error"] == "ValueError"
    assert "test_logs.py" in line(made)["at"]
    assert "private" not in Formatter().format(made)
