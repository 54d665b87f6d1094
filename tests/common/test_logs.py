"""Every line of a process is JSON and quotes nobody, whoever writes it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = """
import logging, structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from trunkline_common import telemetry

telemetry.setup("shop", endpoint="", level="INFO", ratio=1.0)
trace.set_tracer_provider(TracerProvider())
ours, library = structlog.get_logger("ours"), logging.getLogger("library")
ours.info("opened", count=1)
library.warning("cannot send %r", "private")
library.warning("cannot send " + "private")
library.info("not from here up")
try:
    int("private")
except ValueError:
    ours.exception("failed")
    library.exception("failed with %s", "private")
with telemetry.tracer().start_as_current_span("request"):
    ours.info("within")
    library.error("within %s", "private")
    ours.info("about another", **telemetry.trace_fields(f"00-{'a' * 32}-{'b' * 16}-01"))
"""


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    """What a process wrote that logs in all ways there are."""
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stderr == ""
    assert "private" not in ended.stdout
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_every_line_says_when_how_grave_what_and_who(lines: list[dict[str, Any]]) -> None:
    assert all({"timestamp", "level", "event", "service"} <= line.keys() for line in lines)
    assert [line["level"] for line in lines] == ["info", *["warning"] * 2, *["error"] * 2, "info", "error", "info"]


def test_a_librarys_arguments_are_left_out_and_a_message_made_beforehand_is_replaced(
    lines: list[dict[str, Any]],
) -> None:
    said = [(line["event"], line["logger"]) for line in lines if "logger" in line]
    assert said == [
        ("cannot send %r", "library"),
        ("library:<module>", "library"),
        ("failed with %s", "library"),
        ("within %s", "library"),
    ]


def test_an_exception_is_told_by_type_and_place(lines: list[dict[str, Any]]) -> None:
    ours, library = (line["exception"] for line in lines if "exception" in line)
    assert ours == library
    assert re.fullmatch(r"ValueError < <string>:\d+ <module>", ours)


def test_a_line_within_a_span_names_it_and_one_about_another_trace_names_that(lines: list[dict[str, Any]]) -> None:
    ours, library, other = (line for line in lines if "trace_id" in line)
    assert (ours["event"], library["event"], other["event"]) == ("within", "within %s", "about another")
    assert (ours["trace_id"], ours["span_id"]) == (library["trace_id"], library["span_id"])
    assert (other["trace_id"], other["span_id"]) == ("a" * 32, "b" * 16)
