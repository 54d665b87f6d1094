"""What a brief takes of the clocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trunkline.sla.v1.sla_event_pb2 import METRIC_FIRST_RESPONSE, METRIC_NEXT_RESPONSE
from trunkline.sla.v1.sla_service_pb2 import CLOCK_STATE_PAUSED, Clock, GetClocksResponse
from trunkline_timeline.promises import Promises


class Sla:
    """Answers like the sla service."""

    async def GetClocks(self, _request: Any, **_more: Any) -> GetClocksResponse:  # noqa: N802
        """A first response and three questions, the second answered last."""
        cycles = [Clock(metric=METRIC_NEXT_RESPONSE, cycle=n) for n in (1, 3, 2)]
        first = Clock(
            metric=METRIC_FIRST_RESPONSE, cycle=1, state=CLOCK_STATE_PAUSED, target_text="4 h of calendar night"
        )
        return GetClocksResponse(clocks=[first, *cycles])


async def test_a_brief_has_the_newest_cycle_of_every_metric(tmp_path: Path) -> None:
    """Whole, as the service shows it: its state, and the target in words."""
    token = tmp_path / "token"
    token.write_text("x")
    promises = Promises(None, token)
    promises._stub = Sla()  # type: ignore[assignment]
    found, why_not = await promises.clocks("acme", "c")
    assert [(c.metric, c.cycle) for c in found] == [(METRIC_FIRST_RESPONSE, 1), (METRIC_NEXT_RESPONSE, 3)]
    assert (found[0].state, found[0].target_text, why_not) == (CLOCK_STATE_PAUSED, "4 h of calendar night", "")
