"""The process that knows the past, when things go wrong."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from trunkline_router import past
from trunkline_router.simulations import Past, PastFailed

from tests import kit

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


async def test_a_process_that_ends_without_an_answer_is_an_error_with_its_exit_code() -> None:
    """There is no such database; what it wrote to standard error says so."""
    with pytest.raises(PastFailed) as failed:
        await Past(NOWHERE).ask("replay", "acme/default", conversation_id="c1", seq=1)
    assert (failed.value.kind, failed.value.code) == ("replay", 1)


async def test_it_ends_with_who_asked(tmp_path: Path) -> None:
    """A call that is cancelled leaves no process behind."""
    told = tmp_path / "pid"
    code = f"import os, pathlib, time; pathlib.Path({str(told)!r}).write_text(str(os.getpid())); time.sleep(60)"
    asking = asyncio.create_task(Past(NOWHERE, (sys.executable, "-c", code)).ask("replay", "acme/default"))

    async def started() -> int | None:
        return int(told.read_text() or 0) if told.exists() else None

    pid = await kit.eventually(started, what="the process")
    os.kill(pid, 0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(("share", "rest"), [(1.0, 0.0), (0.5, 2.0), (0.05, 38.0)])
def test_it_takes_its_share_of_a_core(share: float, rest: float) -> None:
    """After two seconds of work."""
    assert past.rest_s(2.0, share) == pytest.approx(rest)


@pytest.mark.parametrize(("kind", "policy"), [("simulate", "SCHED_IDLE"), ("replay", "SCHED_OTHER")])
def test_it_gives_way_to_the_engine(kind: str, policy: str) -> None:
    """Somebody waits for a replay: that is only nice; a simulation is so to all processes of the machine."""
    shown = "os.sched_getscheduler(0), os.nice(0), past.AUTOGROUP.exists() and past.AUTOGROUP.read_text().split()[-1:]"
    code = f"import os; from trunkline_router import past; past.give_way({kind!r}); print({shown})"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout
    scheduler, nice, group = said.split()
    assert (int(scheduler), nice) == (getattr(os, policy), "19")
    assert group == "False" or (group == "['19']") == (kind == "simulate")  # [] in the first session of a machine
