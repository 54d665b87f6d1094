"""Partitions of the SLA service change hands while thousands of its clocks are due in the same second (sla 12.7, 12.9).

Every breach once, none missed, none early.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from tests import kit
from tests.faults.builds import PATIENCE_S, frozen, wake
from tests.faults.crowd import Crowd, check
from tests.faults.world import PARTITIONS, fault_of

pytestmark = [
    pytest.mark.stack,
    pytest.mark.faults,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="session"),
]
HERD = 2400
#: So many timers in a transaction; every partition takes several, and about that many passes are the middle of it.
FEW, MIDDLE = "20", 30
SOON = timedelta(seconds=3)


async def rebalancing(many: Crowd) -> None:
    """Wait until the group waits for its members."""
    admin = AIOKafkaAdminClient(bootstrap_servers=many.stack.bootstrap)
    await admin.start()

    async def waits() -> bool:
        [answer] = await admin.describe_consumer_groups(["sla"])
        state: str = answer.groups[0][2]
        return state == "PreparingRebalance"

    try:
        await kit.eventually(waits, seconds=PATIENCE_S, what="the other one joining")
    finally:
        await admin.close()


async def owned(many: Crowd, name: str, at_least: int) -> None:
    """Wait until a process owns so many partitions."""
    query = "select count(*) from consumer_partition where grp = 'sla' and owner = $1"

    async def look() -> bool:
        return bool((await many.rows(query, many.services.address(name)))[0][0] >= at_least)

    await kit.eventually(look, seconds=PATIENCE_S, what=f"{name} the owner of {at_least} partitions")


async def herd(many: Crowd) -> dict[str, datetime]:
    """Due in one second: another process joins while the first stands still in the middle of it; the first goes on.

    Then the second stands still in the middle of another herd, until the first has taken all over, and wakes up.
    """
    other = fault_of(many.stack, "sla-2")
    first = await many.add(HERD, datetime.now(UTC) + SOON)
    many.fault.arm("FREEZE_AT", "batch.taken", MIDDLE)
    # missed by nobody while it stands still
    one = await many.start(wait=False, SLA_FIRINGS=FEW, TRUNKLINE_SESSION_TIMEOUT_MS="60000")
    await frozen(one)
    many.fault.disarm()
    assert 0 < await many.breached(first) < HERD
    second = await many.add(HERD, datetime.now(UTC) + 2 * SOON)
    other.arm("FREEZE_AT", "batch.taken", MIDDLE)
    two = await many.start("sla-2", wait=False, SLA_FIRINGS=FEW, TRUNKLINE_INSTANCE="", **other.env)
    await rebalancing(many)
    wake(one)
    await frozen(two)
    other.disarm()
    await owned(many, "sla", PARTITIONS)
    await many.finished([*first, *second])
    wake(two)
    await owned(many, "sla-2", 1)
    await many.finished([*first, *second])
    return dict(many.due)


async def test_a_rebalance_in_the_middle_of_a_herd_loses_and_doubles_nothing(many: Crowd) -> None:
    """Whoever owns a partition fires what its clocks have not said; who stood still is refused (P7)."""
    due = await herd(many)
    check(await many.said(), due)
