"""Processes without one mechanism, and processes that die or freeze with something of the test's choice in hand."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from trunkline_common.faultpoints import CrashPoint, Sabotage

from deploy.local.process import Process
from tests import kit

#: "" is the build with every mechanism.
Build = Sabotage | Literal[""]
PATIENCE_S = 90.0  # for what takes a second: machines differ


def sabotage(build: Build) -> dict[str, str]:
    """The environment of a build."""
    return {"TRUNKLINE_TEST_BUILD": "1"} | ({"TRUNKLINE_SABOTAGE": build} if build else {})


class FaultFile:
    """Where a running process looks for its fault; `env` tells it so. Armed when it has in hand what it should have."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.env: Mapping[str, str] = {"TRUNKLINE_TEST_BUILD": "1", "TRUNKLINE_FAULT_FILE": str(path)}

    def arm(self, fault: Literal["CRASH_AT", "FREEZE_AT"], point: CrashPoint, nth: int = 1, holding: str = "") -> None:
        """From now on the n-th pass of the point, with `holding` in hand, is the process's last one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._path.with_suffix(".new")
        scratch.write_text(f"{fault}={point}:{nth}:{holding}")
        scratch.replace(self._path)

    def disarm(self) -> None:
        """Let whoever starts next live."""
        self._path.unlink(missing_ok=True)

    async def bites(self, *processes: Process) -> None:
        """Wait until the processes have killed themselves, and disarm."""
        for process in processes:
            assert await process.wait(PATIENCE_S) == -signal.SIGKILL, f"{process.name} did not pass the point"
        self.disarm()


def stopped(process: Process) -> bool:
    """Whether the process is in state T."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


async def frozen(*processes: Process) -> None:
    """Wait until all stand still."""

    async def stand() -> bool:
        return all(await asyncio.gather(*(asyncio.to_thread(stopped, process) for process in processes)))

    await kit.eventually(stand, seconds=PATIENCE_S, what="the processes frozen")


def wake(*processes: Process) -> None:
    """SIGCONT."""
    for process in processes:
        os.kill(process.pid, signal.SIGCONT)
