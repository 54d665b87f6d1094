"""A Kafka and a PostgreSQL of their own: what is killed, stopped and poisoned here is nobody else's."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from deploy.local.stack import Stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack() -> AsyncIterator[Stack]:
    """Takes the place of the shared one in this folder."""
    with tempfile.TemporaryDirectory(prefix="trunkline-faults-") as folder:
        async with Stack(Path(folder)) as running:
            yield running
