"""python -m trunkline_sla [--role all|projector|api]: composition root."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from functools import partial

from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline_common import cloudevents, pages, postgres, projecting, rpc, run, topics
from trunkline_common.auth import Authenticator
from trunkline_common.clock import utc_now
from trunkline_common.consumer import Consumer
from trunkline_common.errors import Refused
from trunkline_common.kafka import Producer, read_whole
from trunkline_common.processor import Request
from trunkline_common.tenants import Tenants
from trunkline_common.worker import Context

from trunkline_sla.processor import Projector, Stale
from trunkline_sla.server import service
from trunkline_sla.server_calls import Sources
from trunkline_sla.settings import Settings
from trunkline_sla.wire import TOPIC
from trunkline_sla.wire_config import Book

NAME = "sla"
LOG, DLQ = "trunkline.conversations.v1", "trunkline.conversations.dlq.v1"


async def main(role: projecting.Role, settings: Settings, stop: run.Stop) -> None:
    """Serve, project and fire until stopped."""
    async with postgres.connect(settings.database_url, NAME, application="trunkline-sla") as pool:
        await postgres.migrate(pool, NAME, "trunkline_sla")
        auth = Authenticator(settings.jwks, settings.jwt_issuer, settings.jwt_audience)
        tokens = pages.PageTokens(settings.page_key_file.read_bytes())
        news: asyncio.Queue[TenantConfig] = asyncio.Queue()
        tenants = Tenants(settings.kafka, news.put_nowait)
        sources = Sources(pool, tokens, tenants, Book(tenants, utc_now()), utc_now)
        services = [] if role == "projector" else [service(sources, settings.kafka, settings.watches)]
        async with rpc.serve(settings.grpc_listen, auth, services) as server:
            if role == "api":
                await projecting.answer(settings, stop, server, tenants)
            else:
                await _project(settings, stop, sources, server, news)


async def _project(
    settings: Settings, stop: run.Stop, sources: Sources, server: rpc.Server, news: asyncio.Queue[TenantConfig]
) -> None:
    await topics.verify(settings.kafka)
    lateness, published = timedelta(milliseconds=settings.lateness_ms), partial(_published, settings.kafka)
    async with Producer(settings.kafka, NAME) as producer:

        def make(partition: int) -> Projector:
            return Projector(partition, sources.book, lateness, published)

        consumer = Consumer.of(settings, Context(NAME, server.address, DLQ, sources.pool, producer, make, utc_now), LOG)
        telling = asyncio.create_task(_tell(consumer, news))
        try:
            await projecting.project(settings, stop, server, consumer, sources.tenants)
        finally:
            telling.cancel()


async def _tell(consumer: Consumer, news: asyncio.Queue[TenantConfig]) -> None:
    """Every owned partition hears of another version; one that is claimed later looks for itself."""
    while True:
        tenant = (await news.get()).tenant
        for worker in consumer.workers():
            with suppress(Refused):
                await worker.submit(Request(Stale(tenant)))


async def _published(kafka: str, partition: int) -> AsyncIterator[list[str]]:
    async for records in read_whole(kafka, TOPIC, partition):
        yield [cloudevents.text(record.headers, "ce_id") for record in records]


if __name__ == "__main__":
    run.service(NAME, Settings, partial(main, projecting.role(NAME, "Clocks, timers and SlaService.")))
