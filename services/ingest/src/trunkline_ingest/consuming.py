"""The frame of intake and delivery: one consumer, the tenants' configuration, ready when both are there."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from trunkline_common import postgres, run, topics
from trunkline_common.consumer import Consumer
from trunkline_common.postgres import Pool
from trunkline_common.settings import CommonSettings
from trunkline_common.tenants import Tenants
from trunkline_common.worker import Context

SCHEMA = "ingest"


@asynccontextmanager
async def database(settings: CommonSettings, application: str) -> AsyncIterator[Pool]:
    """The pool of the ingest schema, migrated; the topics are verified first."""
    await topics.verify(settings.kafka)
    async with postgres.connect(settings.database_url, SCHEMA, application=application) as pool:
        await postgres.migrate(pool, SCHEMA, "trunkline_ingest")
        yield pool


def owner() -> str:
    """Who owns a partition, for people who look into consumer_partition: nobody calls these processes."""
    return f"{socket.gethostname()}:{os.getpid()}"


def consumer_of(topic: str, context: Context, settings: CommonSettings) -> Consumer:
    """The consumer with the settings' membership."""
    return Consumer.of(settings, context, topic)


@asynccontextmanager
async def following(tenants: Tenants) -> AsyncIterator[asyncio.TaskGroup]:
    """A task group in which the configuration is followed; entered when what was there is read."""
    async with asyncio.TaskGroup() as tasks:
        run_tenants = tasks.create_task(tenants.run())
        await tenants.loaded()
        yield tasks
        run_tenants.cancel()


async def until_stopped(consumer: Consumer, stop: run.Stop, ready_file: Path | None) -> None:
    """Consume, say when ready, and on stop finish the batches in hand."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(consumer.run())
        telling = tasks.create_task(_say_ready(consumer, ready_file))
        await stop.wait()
        telling.cancel()
        consumer.stop()


async def _say_ready(consumer: Consumer, ready_file: Path | None) -> None:
    await consumer.ready()
    run.say_ready(ready_file)
