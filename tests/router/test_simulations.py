"""The process that knows the past, when things go wrong."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from trunkline.router.v1 import explain_service_pb2 as api
from trunkline_common.clock import utc_now
from trunkline_common.postgres import Pool
from trunkline_router import __main__ as router
from trunkline_router import past, simulation_store, simulations, store
from trunkline_router.simulations import Past, PastFailed

from deploy.local.stack import Stack
from tests import kit

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


async def test_a_process_that_ends_without_an_answer_is_an_error_with_its_exit_code() -> None:
    """There is no such database; what it wrote to standard error says so."""
    with pytest.raises(PastFailed) as failed:
        await Past(NOWHERE).ask("replay", "acme/default", conversation_id="c1", seq=1)
    assert (failed.value.kind, failed.value.code) == ("replay", 1)


async def gone(pid: int) -> bool:
    """Whether the process has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.stack
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("here", [True, False])
async def test_one_that_is_cancelled_ends(
    db: Pool, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: bool
) -> None:
    """Whichever process is asked; the next one has its turn."""
    monkeypatch.setattr(simulations, "ALIVE_EVERY_S", 0.05)
    told, now = tmp_path / "pid", utc_now()
    code = f"import os, pathlib, time; pathlib.Path({str(told)!r}).write_text(str(os.getpid())); time.sleep(60)"
    past_ = Past(stack.database_url, (sys.executable, "-c", code))
    async with simulations.simulations(db, past_) as ours:
        for _ in range(2):
            told.unlink(missing_ok=True)
            name = kit.new_id()
            wanted = api.Simulation(simulation_id=name, pool="acme/default")
            assert await simulation_store.begin(db, "acme", wanted, b"", (now, now), now)
            ours.begin("acme", wanted, b"")

            async def started() -> int | None:
                return int(told.read_text() or 0) if told.exists() else None

            pid = await kit.eventually(started, what="the process")
            await simulation_store.cancel(db, "acme", name)
            if here:
                ours.cancel("acme", name)

            await kit.eventually(lambda: gone(pid), what="the end of the process")  # noqa: B023 - awaited in this turn
            found = await simulation_store.get(db, "acme", name, now)
            assert found is not None
            assert (found[0].state, found[0].done) == (api.SIMULATION_STATE_CANCELLED, True)


async def test_it_ends_with_who_asked(tmp_path: Path) -> None:
    """A call that is cancelled leaves no process behind."""
    told = tmp_path / "pid"
    code = f"import os, pathlib, time; pathlib.Path({str(told)!r}).write_text(str(os.getpid())); time.sleep(60)"
    asking = asyncio.create_task(Past(NOWHERE, (sys.executable, "-c", code)).ask("replay", "acme/default"))

    async def started() -> int | None:
        return int(told.read_text() or 0) if told.exists() else None

    pid = await kit.eventually(started, what="the process")
    os.kill(pid, 0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(("share", "rest"), [(1.0, 0.0), (0.5, 2.0), (0.05, 38.0)])
def test_it_takes_its_share_of_a_core(share: float, rest: float) -> None:
    """After two seconds of work."""
    assert past.rest_s(2.0, share) == pytest.approx(rest)


@pytest.mark.parametrize(("kind", "policy"), [("simulate", "SCHED_IDLE"), ("replay", "SCHED_OTHER")])
def test_it_gives_way_to_the_engine(kind: str, policy: str) -> None:
    """Somebody waits for a replay: that is only nice; a simulation is so to all processes of the machine."""
    shown = "os.sched_getscheduler(0), os.nice(0), past.AUTOGROUP.exists() and past.AUTOGROUP.read_text().split()[-1:]"
    code = f"import os; from trunkline_router import past; past.give_way({kind!r}); print({shown})"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout
    scheduler, nice, group = said.split()
    assert (int(scheduler), nice) == (getattr(os, policy), "19")
    assert group == "False" or (group == "['19']") == (kind == "simulate")  # [] in the first session of a machine


class Broken(Past):
    """Cannot run anything."""

    def __init__(self, error: Exception) -> None:
        super().__init__(NOWHERE)
        self.error = error

    async def run(self, kind: str, pool: str, **facts: object) -> AsyncGenerator[float | bytes, None]:
        """It is half done, and fails."""
        del kind, pool, facts
        yield 0.5
        raise self.error


@pytest.mark.parametrize("error", [OSError("PostgreSQL is gone"), ValueError("half a line")], ids=repr)
async def test_one_that_fails_while_postgresql_is_away_ends_as_failed_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever it fails with: nothing that happens to a simulation ends the router."""
    outages, told = iter([OSError("gone"), OSError("gone")]), asyncio.get_running_loop().create_future()

    async def end(_db: object, tenant: str, name: str, comparison: bytes | None, why: str) -> None:
        if (outage := next(outages, None)) is not None:
            raise outage
        told.set_result((tenant, name, comparison, why))

    monkeypatch.setattr(simulation_store, "end", end)
    monkeypatch.setattr(simulations, "AGAIN_S", 0.0)
    with capture_logs() as said:
        async with simulations.simulations(None, Broken(error)) as running:  # type: ignore[arg-type] # no database
            name = kit.new_id()
            running.begin("acme", api.Simulation(simulation_id=name, pool="acme/default"), b"")
            assert await asyncio.wait_for(told, 5) == ("acme", name, None, f"it failed: {error}")
    assert [line["event"] for line in said] == ["a simulation failed", *["cannot say that a simulation has ended"] * 2]


async def test_old_answers_are_dropped_an_hour_later_where_postgresql_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task is one of the router's: it would take all others with it."""
    outages, dropped = iter([OSError("gone"), OSError("gone")]), asyncio.Event()

    async def forget(_db: object, _before: object) -> None:
        if (outage := next(outages, None)) is not None:
            raise outage

    async def forget_simulations(_db: object, _before: object) -> None:
        dropped.set()

    monkeypatch.setattr(store, "forget", forget)
    monkeypatch.setattr(simulation_store, "forget", forget_simulations)
    monkeypatch.setattr(router, "FORGET_EVERY_SECONDS", 0.0)
    forgetting = asyncio.create_task(router._forget(None, 14))  # type: ignore[arg-type] # no database
    await asyncio.wait_for(dropped.wait(), 5)
    forgetting.cancel()
