"""The service on the real Kafka and PostgreSQL of the run."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.local.services import Services
from deploy.local.stack import Stack

FAST = {"TRUNKLINE_SESSION_TIMEOUT_MS": "6000"}  # a killed process is missed early


@pytest.fixture
async def services(stack: Stack) -> AsyncIterator[Services]:
    """Processes of one test; they end with it."""
    async with Services(stack, env=FAST, drain_s=10) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(stack: Stack) -> AsyncIterator[Services]:
    """One process for all tests of a file."""
    async with Services(stack, env=FAST, drain_s=10) as found:
        await found.start("sla")
        yield found
