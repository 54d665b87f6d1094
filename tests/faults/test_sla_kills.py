"""The SLA service under SIGKILL with thousands of armed clocks: every breach once, none missed, none early (sla 12).

A check that stands in `pytest.raises` is the check of the test above it, on a build without the mechanism named.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from trunkline_common.faultpoints import CrashPoint

from tests.faults.crowd import Crowd, check
from tests.sla.talk import Talk

pytestmark = [
    pytest.mark.stack,
    pytest.mark.faults,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="session"),
]
#: The process dies at the n-th pass of each point, of about a hundred.
POINTS: dict[CrashPoint, int] = {
    "batch.taken": 30, "batch.before_commit": 30, "batch.after_commit": 30, "relay.after_send": 3,
}  # fmt: skip
CLOCKS = int(os.environ.get("SLA_CLOCKS", "10000"))
FAR = timedelta(days=1)
#: About what a process needs to start: it dies with clocks in hand that fall due while it runs, or have just before.
SOON = timedelta(seconds=3)


def now() -> datetime:
    """By the wall clock."""
    return datetime.now(UTC)


async def test_a_kill_at_any_point_breaks_no_promise_and_invents_none(many: Crowd) -> None:
    """A quarter of the clocks falls due at each point at which the process dies; replies wait for the last start."""
    clocks = await many.add(CLOCKS, now() + FAR)
    size = CLOCKS // len(POINTS)
    for n, (point, nth) in enumerate(POINTS.items()):
        await many.arm(clocks[n * size : (n + 1) * size], now() + SOON)
        await many.dies(point, nth, SLA_FIRINGS=str(size // 100))
        if point != "relay.after_send":
            assert 0 < await many.breached(clocks) < (n + 1) * size
    answered = await many.add(200, now())
    await many.answer(answered)
    await many.start()
    due = clocks[: len(POINTS) * size]
    await many.finished(due)
    said = await many.said()
    check(said, {key: many.due[key] for key in due})
    assert len(said) > len({event.event_id for event in said}), "nothing was sent twice"
    kept = {event.conversation_id for event in said if event.HasField("fulfilled") and event.fulfilled.met}
    assert kept == set(answered)
    assert len(await many.rows("select from breach where conversation_id = any($1)", clocks)) == len(due)


async def test_without_its_mechanisms_the_service_loses_breaches_and_invents_them(many: Crowd) -> None:
    """None missed needs the clocks armed on a claim, and the outbox in the transaction; none invented needs 12.4."""
    due = await many.add(500, now())
    wanted = {key: many.due[key] for key in due}
    await many.start(without="arming")
    await many.heard(Talk(many.tenant, at=now() - timedelta(hours=2)).begin())
    said = await many.said()
    with pytest.raises(AssertionError, match="breaches missed: 500"):
        check(said, wanted)
    await many.services.stop("sla")
    await many.dies("batch.after_commit", 3, TRUNKLINE_SABOTAGE="no_outbox")
    answered = await many.add(200, now())
    await many.answer(answered)
    await many.start(without="end")
    await many.finished(due)
    await many.read(answered)
    said = await many.said()
    with pytest.raises(AssertionError, match="breaches missed"):
        check([event for event in said if event.conversation_id in wanted], wanted)
    lost = set(wanted) - {event.conversation_id for event in said if event.HasField("breached")}
    with pytest.raises(AssertionError, match="breaches of what was not due"):
        check(said, {key: at for key, at in wanted.items() if key not in lost})
