"""The frame of a service that projects the log into tables and answers questions about them."""

from __future__ import annotations

import argparse
import asyncio
from typing import Literal, cast

from trunkline_common import rpc, run
from trunkline_common.consumer import Consumer
from trunkline_common.settings import CommonSettings
from trunkline_common.tenants import Tenants

Role = Literal["all", "projector", "api"]


def role(name: str, description: str) -> Role:
    """What this process does, from its command line: both, or one of them."""
    parser = argparse.ArgumentParser(prog=f"python -m trunkline_{name}", description=description)
    parser.add_argument("--role", choices=["all", "projector", "api"], default="all", help="what this process does")
    return cast("Role", parser.parse_args().role)


async def answer(settings: CommonSettings, stop: run.Stop, server: rpc.Server, tenants: Tenants | None = None) -> None:
    """Serve until stopped, without projecting; with `tenants`, as soon as what was configured is read."""
    async with asyncio.TaskGroup() as tasks:
        following = [tasks.create_task(tenants.run())] if tenants else []
        announcing = tasks.create_task(_announce_answers(settings, server, tenants))
        await stop.wait()
        for task in (*following, announcing):
            task.cancel()


async def project(
    settings: CommonSettings, stop: run.Stop, server: rpc.Server, consumer: Consumer, tenants: Tenants | None = None
) -> None:
    """Consume until stopped and finish the batches in hand; serve from the moment every partition is claimed.

    With `tenants`, what was configured is read first and followed meanwhile.
    """
    async with asyncio.TaskGroup() as tasks:
        following = [tasks.create_task(tenants.run())] if tenants else []
        consuming = tasks.create_task(_consume(consumer, tenants))
        announcing = tasks.create_task(_announce(settings, consumer, server))
        await stop.wait()
        consumer.stop()
        await asyncio.wait({consuming})
        for task in (*following, announcing):
            task.cancel()


async def _consume(consumer: Consumer, tenants: Tenants | None) -> None:
    if tenants is not None:
        await tenants.loaded()
    await consumer.run()


async def _announce_answers(settings: CommonSettings, server: rpc.Server, tenants: Tenants | None) -> None:
    if tenants is not None:
        await tenants.loaded()
    await _say_ready(settings, server)


async def _announce(settings: CommonSettings, consumer: Consumer, server: rpc.Server) -> None:
    await consumer.ready()
    await _say_ready(settings, server)


async def _say_ready(settings: CommonSettings, server: rpc.Server) -> None:
    await server.set(serving=True)
    run.say_ready(settings.ready_file)
