"""python -m trunkline_sla [--role all|projector|api]: composition root."""

from __future__ import annotations

import argparse
import asyncio
from datetime import timedelta
from functools import partial

from trunkline_common import pages, postgres, rpc, run, topics
from trunkline_common.auth import Authenticator
from trunkline_common.clock import utc_now
from trunkline_common.consumer import Consumer
from trunkline_common.kafka import Producer
from trunkline_common.postgres import Pool
from trunkline_common.tenants import Tenants
from trunkline_common.worker import Context

from trunkline_sla.processor import Projector
from trunkline_sla.server import service
from trunkline_sla.settings import Settings

NAME = "sla"
LOG, DLQ = "trunkline.conversations.v1", "trunkline.conversations.dlq.v1"


async def main(role: str, settings: Settings, stop: run.Stop) -> None:
    """Serve, project and fire until stopped."""
    async with postgres.connect(settings.database_url, NAME, application="trunkline-sla") as pool:
        await postgres.migrate(pool, NAME, "trunkline_sla")
        auth = Authenticator(settings.jwks, settings.jwt_issuer, settings.jwt_audience)
        tokens = pages.PageTokens(settings.page_key_file.read_bytes())
        services = [] if role == "projector" else [service(pool, tokens)]
        async with rpc.serve(settings.grpc_listen, auth, services) as server:
            if role == "api":
                await _say_ready(settings, server)
                await stop.wait()
            else:
                await _project(settings, stop, pool, server)


async def _project(settings: Settings, stop: run.Stop, pool: Pool, server: rpc.Server) -> None:
    await topics.verify(settings.kafka)
    tenants = Tenants(settings.kafka)
    async with Producer(settings.kafka, NAME) as producer, asyncio.TaskGroup() as tasks:
        consumer = _consumer(settings, pool, producer, tenants, server.address)
        following = tasks.create_task(tenants.run())
        consuming = tasks.create_task(_consume(tenants, consumer))
        announcing = tasks.create_task(_announce(settings, consumer, server))
        await stop.wait()
        consumer.stop()
        await asyncio.wait({consuming})
        following.cancel()
        announcing.cancel()


def _consumer(settings: Settings, pool: Pool, producer: Producer, tenants: Tenants, owner: str) -> Consumer:
    lateness = timedelta(milliseconds=settings.lateness_ms)
    context = Context(NAME, owner, DLQ, pool, producer, lambda part: Projector(part, tenants, lateness), utc_now)
    return Consumer.of(settings, context, LOG)


async def _consume(tenants: Tenants, consumer: Consumer) -> None:
    await tenants.loaded()
    await consumer.run()


async def _announce(settings: Settings, consumer: Consumer, server: rpc.Server) -> None:
    await consumer.ready()
    await _say_ready(settings, server)


async def _say_ready(settings: Settings, server: rpc.Server) -> None:
    await server.set(serving=True)
    run.say_ready(settings.ready_file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m trunkline_sla", description="Clocks, timers and SlaService.")
    parser.add_argument("--role", choices=["all", "projector", "api"], default="all", help="what this process does")
    run.service(NAME, Settings, partial(main, parser.parse_args().role))
