"""python -m trunkline_timeline [--role all|projector|api]: composition root."""

from __future__ import annotations

import argparse
import asyncio
from functools import partial

from trunkline_common import pages, postgres, rpc, run, topics
from trunkline_common.auth import Authenticator
from trunkline_common.clock import utc_now
from trunkline_common.consumer import Consumer
from trunkline_common.kafka import Producer
from trunkline_common.postgres import Pool
from trunkline_common.worker import Context

from trunkline_timeline import promises
from trunkline_timeline.processor import Projector
from trunkline_timeline.server import service
from trunkline_timeline.settings import Settings

NAME = "timeline"
LOG, DLQ = "trunkline.conversations.v1", "trunkline.conversations.dlq.v1"


async def main(role: str, settings: Settings, stop: run.Stop) -> None:
    """Serve and project until stopped."""
    async with (
        postgres.connect(settings.database_url, NAME, application="trunkline-timeline") as pool,
        promises.connect(settings.sla_target, settings.service_token_file) as promised,
    ):
        await postgres.migrate(pool, NAME, "trunkline_timeline")
        auth = Authenticator(settings.jwks, settings.jwt_issuer, settings.jwt_audience)
        tokens = pages.PageTokens(settings.page_key_file.read_bytes())
        services = [] if role == "projector" else [service(pool, tokens, promised)]
        async with rpc.serve(settings.grpc_listen, auth, services) as server:
            if role == "api":
                await _say_ready(settings, server)
                await stop.wait()
            else:
                await _project(settings, stop, pool, server)


async def _project(settings: Settings, stop: run.Stop, pool: Pool, server: rpc.Server) -> None:
    await topics.verify(settings.kafka)
    async with Producer(settings.kafka, NAME) as producer, asyncio.TaskGroup() as tasks:
        consumer = _consumer(settings, pool, producer, server.address)
        consuming = tasks.create_task(consumer.run())
        announcing = tasks.create_task(_announce(settings, consumer, server))
        await stop.wait()
        consumer.stop()
        await asyncio.wait({consuming})
        announcing.cancel()


def _consumer(settings: Settings, pool: Pool, producer: Producer, owner: str) -> Consumer:
    context = Context(NAME, owner, DLQ, pool, producer, lambda _: Projector(), utc_now)
    return Consumer.of(settings, context, LOG)


async def _announce(settings: Settings, consumer: Consumer, server: rpc.Server) -> None:
    await consumer.ready()
    await _say_ready(settings, server)


async def _say_ready(settings: Settings, server: rpc.Server) -> None:
    await server.set(serving=True)
    run.say_ready(settings.ready_file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m trunkline_timeline", description="History and TimelineService.")
    parser.add_argument("--role", choices=["all", "projector", "api"], default="all", help="what this process does")
    run.service(NAME, Settings, partial(main, parser.parse_args().role))
