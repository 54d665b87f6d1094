"""The real Kafka and PostgreSQL, once for the whole run, or for each half of it (-n 2 --dist loadgroup)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

from deploy.local import ports
from deploy.local.stack import Stack

# The same examples on every run and machine, however slow it is. EXPLORE=1 looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("explore" if os.environ.get("EXPLORE") == "1" else "same")


#: As long as all the others together, and mostly waiting for what they have killed.
APART = ("faults", "e2e", "local")
TESTS = Path(__file__).parent


def pytest_configure() -> None:
    """Ports of its own for each half."""
    half, of = (
        int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]),
        int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)),
    )
    first, last = map(int, ports.ALL.split("-"))
    size = (last - first) // of
    os.environ["TRUNKLINE_PORTS"] = f"{first + half * size}-{first + (half + 1) * size}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each half in its order: a stack has what the tests before have left in it."""
    for item in items:
        part = item.path.relative_to(TESTS).parts[0]
        item.add_marker(pytest.mark.xdist_group("apart" if part in APART else "together"))


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
    with blockbuster_ctx(scanned_modules=product) as watched:
        # A channel of an earlier test that is collected in the middle of this one joins its thread: not ours.
        watched.functions["threading.Lock.acquire"].deactivate()
        watched.functions["threading.Lock.acquire_lock"].deactivate()
        yield


@pytest.fixture(autouse=True)
def _no_inherited_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that is set in the shell would make tests fail for no reason."""
    for name in ("TRUNKLINE_SABOTAGE", "CRASH_AT", "FREEZE_AT", "TRUNKLINE_FAULT_FILE", "TRUNKLINE_TEST_BUILD"):
        monkeypatch.delenv(name, raising=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure on the real stack shows the last lines of every process that ran beside it."""
    report = yield
    running = getattr(item, "funcargs", {}).get("stack")
    if report.failed and call.when == "call" and isinstance(running, Stack):
        for log in sorted(running.folder.glob("logs/*.log")):
            report.sections.append((f"last lines of {log.name}", "\n".join(_last_lines(log))))
    return report


def _last_lines(log: Path, count: int = 40) -> list[str]:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 40_000))
        return [line[:1000] for line in file.read().decode(errors="replace").splitlines()[-count:]]
