"""The router process: python -m trunkline_router [--role all|engine|api]."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections import defaultdict
from contextlib import AsyncExitStack
from datetime import timedelta

import structlog
from trunkline.config.v1 import config_service_pb2, config_service_pb2_grpc
from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline.router.v1 import (
    explain_service_pb2,
    explain_service_pb2_grpc,
    router_service_pb2,
    router_service_pb2_grpc,
)
from trunkline_common import postgres, rpc, run, topics
from trunkline_common.auth import Authenticator
from trunkline_common.clock import utc_now
from trunkline_common.consumer import Consumer
from trunkline_common.errors import Refused
from trunkline_common.kafka import Producer, partition_for
from trunkline_common.pages import PageTokens
from trunkline_common.processor import Request
from trunkline_common.tenants import Tenants
from trunkline_common.worker import Context

from trunkline_router import config_server, explain_server, server, simulation_store, store, wire_config
from trunkline_router.advice import Advisor
from trunkline_router.config_server import ConfigServer
from trunkline_router.directory import Directory
from trunkline_router.explain_server import ExplainServer
from trunkline_router.gate import GROUP, TOPIC, Gate
from trunkline_router.lookup import DueLookup, SlaLookup, TimelineLookup, not_asked
from trunkline_router.processor import PoolProcessor
from trunkline_router.requests import Reconfigured
from trunkline_router.server import RouterServer
from trunkline_router.settings import Settings
from trunkline_router.simulations import Past, Simulations, simulations

log = structlog.get_logger(__name__)

SCHEMA = "router"
FORGET_EVERY_SECONDS = 3600.0


async def main(settings: Settings, stop: run.Stop, role: str) -> None:
    """Serve until stopped. `engine` owns pools and answers forwarded calls; `api` owns none."""
    await topics.verify(settings.kafka)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(postgres.connect(settings.database_url, SCHEMA, size=16))
        await postgres.migrate(pool, SCHEMA, "trunkline_router")
        consumer = None if role == "api" else await _consumer(stack, settings, pool)
        gate = Gate(pool, consumer, _partitions())
        stack.push_async_callback(gate.close)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        past = Past(settings.database_url, share=settings.simulation_share)
        services = _services(settings, pool, gate, past, await stack.enter_async_context(simulations(pool, past)))
        serving = await stack.enter_async_context(rpc.serve(settings.grpc_listen, _auth(settings), services))
        background = [tasks.create_task(_forget(pool, settings.remember_days))]
        running = None
        if consumer is not None:
            running = tasks.create_task(consumer.run())
            background.append(tasks.create_task(_follow_config(settings, consumer)))
            await _ready_or(consumer, running, stop)
        await serving.set(serving=True)
        run.say_ready(settings.ready_file)
        await stop.wait()
        await serving.set(serving=False)
        if consumer is not None and running is not None:
            consumer.stop()
            await running
        for task in background:
            task.cancel()


async def _ready_or(consumer: Consumer, running: asyncio.Task[None], stop: run.Stop) -> None:
    waits = {asyncio.ensure_future(consumer.ready()), asyncio.ensure_future(stop.wait()), running}
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits - {running}:
        wait.cancel()


async def _consumer(stack: AsyncExitStack, settings: Settings, pool: postgres.Pool) -> Consumer:
    producer = await stack.enter_async_context(Producer(settings.kafka, "router"))
    channel = await stack.enter_async_context(rpc.plain_channel(settings.timeline_target))
    token = settings.service_token_file.read_text().strip() if settings.service_token_file else ""
    channel.get_state(try_to_connect=True)  # the first lookup has 50 ms and none to spare for a handshake
    dues: DueLookup = not_asked
    if settings.sla_target:
        sla = await stack.enter_async_context(rpc.plain_channel(settings.sla_target))
        sla.get_state(try_to_connect=True)
        dues = SlaLookup(sla, token)
    advisor = Advisor(TimelineLookup(channel, token), dues)
    context = Context(
        group=GROUP,
        owner=settings.advertise,
        dlq_topic="trunkline.inbound.dlq.v1",
        pool=pool,
        producer=producer,
        make=lambda _partition: PoolProcessor(pool, advisor),
        clock=utc_now,
    )
    return Consumer.of(settings, context, TOPIC)


def _partitions() -> int:
    return topics.declared()[TOPIC].partitions


def _auth(settings: Settings) -> Authenticator:
    return Authenticator(settings.jwks, settings.jwt_issuer, settings.jwt_audience)


def _services(
    settings: Settings, pool: postgres.Pool, gate: Gate, past: Past, running: Simulations
) -> list[rpc.Service]:
    directory = Directory(pool)
    tokens = PageTokens(settings.page_key_file.read_bytes())
    return [
        rpc.Service(
            router_service_pb2.DESCRIPTOR.services_by_name["RouterService"],
            RouterServer(gate, directory, tokens, pool),
            router_service_pb2_grpc.add_RouterServiceServicer_to_server,
            server.POLICY,
        ),
        rpc.Service(
            config_service_pb2.DESCRIPTOR.services_by_name["ConfigService"],
            ConfigServer(gate, directory),
            config_service_pb2_grpc.add_ConfigServiceServicer_to_server,
            config_server.POLICY,
        ),
        rpc.Service(
            explain_service_pb2.DESCRIPTOR.services_by_name["ExplainService"],
            ExplainServer(gate, directory, pool, tokens, past, running),
            explain_service_pb2_grpc.add_ExplainServiceServicer_to_server,
            explain_server.POLICY,
        ),
    ]


async def _follow_config(settings: Settings, consumer: Consumer) -> None:
    """Tell the owners in this process when a version appears on the topic, those of pools that it drops too."""
    news: asyncio.Queue[TenantConfig] = asyncio.Queue()
    pools: dict[str, set[str]] = defaultdict(set)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Tenants(settings.kafka, news.put_nowait).run())
        while True:
            config = await news.get()
            pools[config.tenant].update(wire_config.pools_of(config))
            for pool in sorted(pools[config.tenant]):
                worker = consumer.worker(partition_for(pool.encode(), _partitions()))
                if worker is not None:
                    await _tell(worker.submit(Request(Reconfigured(config.tenant))))


async def _tell(told: object) -> None:
    try:
        await told  # type: ignore[misc]
    except Refused:
        return  # an owner that is not ready reads the newest configuration when it first needs it


async def _forget(pool: postgres.Pool, days: int) -> None:
    """Drop what is older than the promised window for retries, once an hour; during an outage, an hour later."""
    while True:
        await asyncio.sleep(FORGET_EVERY_SECONDS)
        before = utc_now() - timedelta(days=days)
        try:
            await store.forget(pool, before)
            await simulation_store.forget(pool, before)
        except postgres.OUTAGES as error:
            log.warning("what is old is not dropped now", error=repr(error))


def _parse_role() -> str:
    parser = argparse.ArgumentParser(prog="python -m trunkline_router", description=__doc__)
    default = os.environ.get("TRUNKLINE_ROLE", "all")
    parser.add_argument("--role", choices=["all", "engine", "api"], default=default, help="what this process does")
    return str(parser.parse_args().role)


if __name__ == "__main__":
    chosen = _parse_role()
    run.service("router", Settings, lambda settings, stop: main(settings, stop, chosen))
