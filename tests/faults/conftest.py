"""A Kafka and a PostgreSQL of their own: what is killed, stopped and poisoned here is nobody else's."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest_asyncio
from trunkline_common.kafka import Producer

from deploy.local.services import Services
from deploy.local.stack import Stack
from tests.faults.crowd import Crowd, alone, crowd
from tests.faults.world import Fleet, World, fleet, new_tenant


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack() -> AsyncIterator[Stack]:
    """Takes the place of the shared one in this folder."""
    with tempfile.TemporaryDirectory(prefix="trunkline-faults-") as folder:
        async with Stack(Path(folder)) as running:
            yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def services(stack: Stack) -> AsyncIterator[Fleet]:
    """The real services, for all tests that want them."""
    async with fleet(stack) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def world(stack: Stack, services: Fleet) -> AsyncIterator[World]:
    """Healthy services and a fresh tenant."""
    services.disarm()
    await services.build(router="", timeline="", sla="", intake="")
    async with Producer(stack.bootstrap, "test") as producer:
        made = World(services, producer, new_tenant())
        await made.configure()
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def sla(services: Fleet) -> AsyncIterator[Services]:
    """Processes of one test, of any build of the SLA service; the fleet's takes no part."""
    async with alone(services) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def real(stack: Stack, services: Fleet) -> Crowd:
    """A conversation that waits for its first response, to be copied."""
    async with alone(services) as running:
        return await crowd(stack, running)


@pytest_asyncio.fixture(loop_scope="session")
async def many(real: Crowd, sla: Services) -> Crowd:
    """Nobody yet who waits; no process runs."""
    return replace(real, services=sla, due={})
