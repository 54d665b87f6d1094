"""The process around Faust, run as a process: importing Faust warns, and warnings fail the tests of this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

FAILING = """
import asyncio
from trunkline_common import telemetry
from trunkline_insights.app import vital

async def fails() -> None:
    raise ValueError("private")

telemetry.setup("insights", endpoint="", level="INFO", ratio=1.0)
asyncio.run(vital(fails()))
print("went on")
"""


NAMES = ("KAFKA_", "DATABASE_", "TRUNKLINE_")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(NAMES)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=False)


def test_a_failure_ends_the_process_before_faust_acknowledges_and_quotes_no_record() -> None:
    ended = run("-c", FAILING)
    assert ended.returncode == 1
    line = json.loads(ended.stdout)
    assert (line["level"], line["error"]) == ("critical", "ValueError")
    assert "private" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    "command", [("-m", "trunkline_insights"), ("-m", "faust", "-A", "trunkline_insights", "worker")]
)
def test_a_missing_variable_is_named_and_postgresql_is_not_asked_for(command: tuple[str, ...]) -> None:
    ended = run(*command)
    assert ended.returncode != 0
    assert "KAFKA_BOOTSTRAP_SERVERS: not set" in ended.stderr
    assert "DATABASE_URL" not in ended.stderr
