"""A router process of its own for the tests on the real stack, and tenants in it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from trunkline_common import postgres
from trunkline_common.kafka import Producer
from trunkline_common.postgres import Pool

from deploy.local.services import Services
from deploy.local.stack import Stack
from tests import kit
from tests.router.service import CONFIG


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def db(stack: Stack) -> AsyncIterator[Pool]:
    """The router's tables."""
    async with postgres.connect(stack.database_url, "router") as pool:
        await postgres.migrate(pool, "router", "trunkline_router")
        yield pool


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def services(stack: Stack) -> AsyncIterator[Services]:
    """A router that has everything but a timeline: its lookups fall back."""
    async with Services(stack) as running:
        await running.start("router")
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def producer(stack: Stack) -> AsyncIterator[Producer]:
    """Writes inbound events as ingest does."""
    async with Producer(stack.bootstrap, "test") as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def tenant(services: Services) -> str:
    """A tenant of its own with the demo configuration."""
    name = f"t-{kit.new_id()[:8]}"
    await kit.apply_config(services, name, CONFIG)
    return name
