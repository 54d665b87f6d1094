"""The frame of every program here: its task is the first argument, what it found goes to the file of the second."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import uvloop

Task = dict[str, Any]


def run(main: Callable[[Task], Coroutine[Any, Any, dict[str, Any] | None]]) -> None:
    """Do the task on uvloop and with what was imported out of the collector's sight, as our services run."""
    gc.collect()
    gc.freeze()
    keep(uvloop.run(main(given())))


def given() -> Task:
    """What is asked of this program."""
    asked: Task = json.loads(sys.argv[1])
    return asked


def keep(found: dict[str, Any] | None) -> None:
    """Hand over what was found."""
    Path(sys.argv[2]).write_text(json.dumps(found))


def bootstrap() -> str:
    """The brokers."""
    return os.environ["KAFKA_BOOTSTRAP_SERVERS"]


def database_url() -> str:
    """The database."""
    return os.environ["DATABASE_URL"]


def resident_mb() -> float:
    """What this process holds in memory now."""
    return float(psutil.Process().memory_info().rss) / 2**20


@dataclass(slots=True)
class Meter:
    """From the first batch in hand to the COMMIT of the last record; memory at the marks on the way."""

    total: int
    marks: list[int] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    count: int = 0
    resident: dict[str, float] = field(default_factory=dict)
    _began: float = 0.0
    _ended: float = 0.0
    _cpu: float = 0.0

    def begin(self) -> None:
        """The first batch is in hand, nothing of it is parsed."""
        if not self._began:
            self._began, self._cpu = time.perf_counter(), time.process_time()

    def add(self, committed: int) -> None:
        """So many more are durable."""
        self.count += committed
        while self.marks and self.count >= self.marks[0]:
            self.resident[str(self.marks.pop(0))] = resident_mb()
        if self.count >= self.total and not self.done.is_set():
            self._ended = time.perf_counter()
            self.done.set()

    def found(self) -> dict[str, Any]:
        """Rates; called when everything is published too."""
        published = time.perf_counter() - self._began
        return {
            "count": self.count,
            "per_s": self.count / (self._ended - self._began),
            "published_per_s": self.count / published,
            "cpu_us": (time.process_time() - self._cpu) / self.count * 1e6,
            "resident_mb": self.resident,
        }
