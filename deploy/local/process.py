"""A child process with a log, known by pid and start time, that ends when this process ends."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import psutil

LAUNCH = Path(__file__).with_name("launch.py")
POLL_S = 0.01
KILLED_S = 5.0
TAIL_LINES = 25


class ProcessDied(Exception):
    def __init__(self, name: str, returncode: int | None, tail: str) -> None:
        self.name, self.returncode, self.tail = name, returncode, tail
        super().__init__(f"{name} ended with {describe(returncode)}; its last lines:\n{tail}")


class NotReady(Exception):
    def __init__(self, name: str, seconds: float, tail: str) -> None:
        self.name, self.tail = name, tail
        super().__init__(f"{name} was not ready within {seconds:g} s; its last lines:\n{tail}")


def describe(returncode: int | None) -> str:
    if returncode is None or returncode >= 0:
        return f"exit code {returncode}"
    return signal.Signals(-returncode).name


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether it came true within that time."""
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:  # noqa: ASYNC110 - nobody sets an event for these
        await asyncio.sleep(POLL_S)
    return met


async def together(*work: Coroutine[Any, Any, object]) -> None:
    """All at once; the first error cancels the others and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in work:
                group.create_task(part)
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


class Process:
    """Bound to no event loop: one loop may start it and another one kill it.

    Start it from a thread that lives as long as it should: on Linux it is killed when that thread ends.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        echo: Callable[[str], None] | None = None,
    ) -> None:
        self.name = name
        self.log = folder / "logs" / f"{name}.log"
        self.pid_file = folder / "pids" / f"{name}.json"
        self._command = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), user or "-", *command]
        self._env = dict(env) if env is not None else None
        self._echo = echo
        self._child: subprocess.Popen[bytes] | None = None
        self._pump: threading.Thread | None = None

    @property
    def pid(self) -> int:
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._child.pid

    @property
    def returncode(self) -> int | None:
        return self._child.poll() if self._child else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        for file in (self.log, self.pid_file):
            file.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self._command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if self._echo else log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the parent alone, which stops the rest in order
            )
        remember(self.pid_file, self._child.pid)
        if self._echo and self._child.stdout:
            self._pump = threading.Thread(target=self._copy, args=(self._child.stdout, self._echo), daemon=True)
            self._pump.start()

    def _copy(self, source: IO[bytes], echo: Callable[[str], None]) -> None:
        with source, self.log.open("ab", buffering=0) as log:
            for line in source:
                log.write(line)
                echo(line.decode(errors="replace").rstrip("\n"))

    def send(self, number: int) -> None:
        """Nothing happens when it has ended already."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def wait(self, seconds: float) -> int | None:
        """The return code, or None when it still runs after that time."""
        if await until(lambda: not self.running, seconds):
            self._forget()
        return self.returncode

    def _forget(self) -> None:
        self.pid_file.unlink(missing_ok=True)
        if self._pump:
            self._pump.join(timeout=1)

    async def stop(self, seconds: float, first: int = signal.SIGTERM) -> None:
        """Asks with `first`, and after that many seconds no longer asks."""
        self.send(signal.SIGCONT)
        self.send(first)
        if await self.wait(seconds) is None:
            self.send(signal.SIGKILL)
            await self.wait(KILLED_S)

    async def run(self, seconds: float) -> None:
        """To its end, which has to be a good one and within that time."""
        self.start()
        try:
            if await self.wait(seconds) != 0:
                raise ProcessDied(self.name, self.returncode, self.tail())
        finally:
            await self.stop(0)

    def tail(self, lines: int = TAIL_LINES) -> str:
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 64 * 1024))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def check(self) -> None:
        """Raises ProcessDied when it has ended."""
        if not self.running:
            self._forget()
            raise ProcessDied(self.name, self.returncode, self.tail())


def remember(pid_file: Path, pid: int) -> None:
    """Pids are reused; pid and start time together are not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        pid_file.parent.mkdir(parents=True, exist_ok=True)
        pid_file.write_text(json.dumps({"pid": pid, "started": psutil.Process(pid).create_time()}))


def recall(pid_file: Path) -> psutil.Process | None:
    """The very process that the file remembers, if it still runs."""
    with contextlib.suppress(psutil.NoSuchProcess, ValueError, KeyError, FileNotFoundError):
        entry = json.loads(pid_file.read_text())
        process = psutil.Process(entry["pid"])
        if abs(process.create_time() - entry["started"]) < 0.01 and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None
