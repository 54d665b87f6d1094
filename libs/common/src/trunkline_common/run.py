"""The frame of every process: uvloop, logs, signals, one task group, and a stated budget to drain."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import structlog
import uvloop

from trunkline_common import faultpoints, telemetry
from trunkline_common.settings import CommonSettings, load

log = structlog.get_logger(__name__)
S = TypeVar("S", bound=CommonSettings)


class Stop:
    """Set by SIGTERM and SIGINT: the process finishes what it has in hand."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Begin to drain."""
        self._event.set()

    async def wait(self) -> None:
        """Return when the process is to end."""
        await self._event.wait()


def service(name: str, settings: type[S], main: Callable[[S, Stop], Awaitable[None]]) -> None:
    """Run `main(settings, stop)` to its end; it must return within drain_seconds of the stop."""
    faultpoints.refuse_outside_tests()
    loaded = load(settings)
    telemetry.setup(name, endpoint=loaded.otlp_endpoint, level=loaded.log_level, ratio=loaded.sample_ratio)
    gc.collect()
    gc.freeze()  # what was imported lives for ever: a full collection need not walk it again and again
    try:
        uvloop.run(_supervised(name, loaded, main))
    finally:
        telemetry.shutdown()


async def _supervised(name: str, settings: S, main: Callable[[S, Stop], Awaitable[None]]) -> None:
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    work = asyncio.ensure_future(main(settings, stop))
    stopping = asyncio.ensure_future(stop.wait())
    log.info("started", process=name)
    await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        log.info("draining", process=name, budget_s=settings.drain_seconds)
        await asyncio.wait({work}, timeout=settings.drain_seconds)
    if not work.done():
        log.error("the drain budget is used up; what is not committed is redone by the next owner", process=name)
        work.cancel()
    stopping.cancel()
    await work
    log.info("stopped", process=name)


def say_ready(path: Path | None) -> None:
    """Tell who watches a file that the process is ready."""
    gc.freeze()  # nor what was loaded, of which most stays
    if path is not None:
        path.touch()
    log.info("ready")
