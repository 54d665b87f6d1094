"""The whole way and back: the demo is the end-to-end test, on its own Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]
CANARIES = ("Where is my parcel", "lists the lamp twice", "15550101", "+15550102", "lee@customer.example")


async def run_demo(folder: Path) -> tuple[int | None, str]:
    """Exit code and output of the demo."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.local.demo", "--keep", str(folder),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_the_demo_tells_its_story_to_the_end_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Nothing lost, one duplicate dropped, a handoff and a breach; no customer data in a log; no process left."""
    code, output = await run_demo(tmp_path)
    assert code == 0, output
    last = output.strip().splitlines()[-1]
    found = re.fullmatch(
        r"demo: ok messages=(\d+) conversations=\d+ assigned=\d+ handoffs=(\d+) breaches=\d+ "
        r"duplicates_dropped=(\d+) lost=0",
        last,
    )
    assert found, last
    assert int(found[1]) == 35
    logs = {file.name: file.read_text(errors="replace") for file in (tmp_path / "logs").glob("*.log")}
    assert {"ingest.log", "router.log", "timeline.log", "sla.log", "delivery.log", "intake.log"} <= logs.keys()
    assert [(name, canary) for name, text in logs.items() for canary in CANARIES if canary in text] == []
    assert [p.pid for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or [])] == []
