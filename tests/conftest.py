"""The real Kafka and PostgreSQL, once for the whole run."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from blockbuster import blockbuster_ctx

from deploy.local.stack import Stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack() -> AsyncIterator[Stack]:
    """Kafka and PostgreSQL with our topics in them; ends with the run."""
    with tempfile.TemporaryDirectory(prefix="trunkline-") as folder:
        async with Stack(Path(folder)) as running:
            yield running


@pytest.fixture(autouse=True)
def _nothing_of_ours_blocks_the_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """A blocking call from product code inside a running loop fails the test.

    Not where PostgreSQL is real: asyncpg looks for a client certificate on disk each time it connects.
    """
    if request.node.get_closest_marker("stack"):
        yield
        return
    product = ["trunkline_common", "trunkline_ingest", "trunkline_router", "trunkline_timeline", "trunkline_sla"]
    with blockbuster_ctx(scanned_modules=product):
        yield


@pytest.fixture(autouse=True)
def _no_inherited_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that is set in the shell would make tests fail for no reason."""
    for name in ("TRUNKLINE_SABOTAGE", "CRASH_AT", "FREEZE_AT", "TRUNKLINE_TEST_BUILD"):
        monkeypatch.delenv(name, raising=False)
