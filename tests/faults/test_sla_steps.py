"""The wall clock under the SLA service is set by an hour: no breach comes early and none is missed (sla 12.6)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.metadata import files
from pathlib import Path
from typing import Any

import pytest
from trunkline_common.worker import LONGEST_SLEEP_S

from deploy.local.services import Services
from deploy.local.stack import Stack
from tests import kit
from tests.faults.builds import PATIENCE_S
from tests.sla.service import at, facts, new_tenant, promises, rows, version
from tests.sla.talk import Talk, produce

pytestmark = [
    pytest.mark.stack,
    pytest.mark.faults,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="session"),
]
HOUR, MINUTE, MILLISECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(milliseconds=1)
SOON_S = 4
#: By the team that promises it, in seconds.
TARGETS = {"soon": SOON_S, "half": 1800, "two": 7200}


class WallClock:
    """The clock of one process, which a test sets; what measures time that has passed goes on as before."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(timedelta())
        [library] = [f for f in files("libfaketime") or () if f.name.startswith("libfaketime.so")]
        self.env = {
            "LD_PRELOAD": str(library.locate()),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, by: timedelta) -> None:
        """So far from the true one, from now on."""
        scratch = self._file.with_suffix(".new")
        scratch.write_text(f"{by.total_seconds():+.0f}\n")
        scratch.replace(self._file)


async def breached(stack: Stack, talk: Talk) -> bool:
    """Whether its breach is published."""
    query = "select from breach where conversation_id = $1 and not exists (select from outbox)"
    return bool(await rows(stack, query, talk.conversation_id))


async def breach(stack: Stack, talk: Talk) -> Any:
    """Its one breach, once it is published."""
    await kit.eventually(lambda: breached(stack, talk), seconds=PATIENCE_S, what="the breach")
    mine = [e for e, _ in await facts(stack, talk.tenant) if e.conversation_id == talk.conversation_id]
    assert [e.WhichOneof("payload") for e in mine] == ["clock_started", "breached"]
    assert at(mine[1].emitted_at) > at(mine[1].due_at) == at(mine[1].occurred_at)
    return mine[1]


async def begin(stack: Stack, tenant: str, team: str, *, ago: timedelta = timedelta()) -> Talk:
    """A conversation that waits for that team, its clock armed."""
    talk = Talk(tenant, at=datetime.now(UTC).replace(microsecond=0) - ago).begin(team=team)
    await produce(stack.bootstrap, talk.records())

    async def armed() -> bool:
        return bool(await rows(stack, "select from clock where conversation_id = $1", talk.conversation_id))

    await kit.eventually(armed, seconds=PATIENCE_S, what="the clock armed")
    return talk


async def set_back_in_time(stack: Stack, tenant: str, clock: WallClock) -> Talk:
    """A conversation that was to breach in a moment when the clock was set back by an hour; the moment has passed."""
    while True:
        clock.set(timedelta())
        talk = await begin(stack, tenant, "soon")
        clock.set(-HOUR)
        due = talk.at + timedelta(seconds=SOON_S)
        if datetime.now(UTC) < due:  # else the machine was too slow, and it may have breached rightly
            break

    async def passed() -> bool:
        return datetime.now(UTC) > due + timedelta(seconds=1 + LONGEST_SLEEP_S)

    await kit.eventually(passed, what="the deadline")
    return talk


async def test_a_step_of_the_wall_clock_breaches_nothing_early_and_misses_nothing(
    stack: Stack, sla: Services, tmp_path: Path
) -> None:
    """Backward: nothing is said before its time by the new clock. Forward: what has become due is said at once."""
    tenant, clock = new_tenant(), WallClock(tmp_path / "offset")
    policies = [promises(team, first_response=seconds) for team, seconds in TARGETS.items()]
    for policy in policies:
        policy.team = policy.id
    await produce(stack.bootstrap, [version(tenant, 1, policies)])
    await sla.start("sla", env=clock.env)
    half, two = await begin(stack, tenant, "half"), await begin(stack, tenant, "two")
    soon = await set_back_in_time(stack, tenant, clock)
    await breach(stack, await begin(stack, tenant, "soon", ago=2 * HOUR))  # it looks at its timers
    assert not await breached(stack, soon)
    clock.set(timedelta())
    assert (await breach(stack, soon)).late_ms < HOUR / MILLISECOND
    assert not await breached(stack, half)
    clock.set(HOUR)
    assert (await breach(stack, half)).late_ms > 25 * MINUTE / MILLISECOND
    assert not await breached(stack, two)
