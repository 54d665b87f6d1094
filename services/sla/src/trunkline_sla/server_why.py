"""SlaService: why a clock says what it says, and what another policy would have said."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime

from trunkline.sla.v1 import sla_service_pb2 as pb
from trunkline_common.auth import caller
from trunkline_common.errors import Refused, Violation, invalid_request

from trunkline_sla import codec, explain, queries, trial, wire_api, wire_story
from trunkline_sla.conversation import Versions
from trunkline_sla.evaluation_model import Metric
from trunkline_sla.explain import Story
from trunkline_sla.journal import Entry
from trunkline_sla.promises import Promises
from trunkline_sla.queries import Clock, History
from trunkline_sla.server_calls import Calls

#: Entries that are told before others get their turn.
AT_ONCE = 50


class WhyCalls(Calls):
    """Handlers."""

    async def ExplainClock(self, request: pb.ExplainClockRequest, context: object) -> pb.ExplainClockResponse:  # noqa: ARG002, N802
        """Every interval of a clock and why, to its end or to now."""
        if request.cycle < 0:
            raise invalid_request(Violation("cycle", "must not be negative"))
        metric = wire_api.metric_name(request.metric)
        clock, history = await self._history(request.conversation_id, metric, request.cycle)
        if clock is None:
            raise _no_clock(request, metric)
        story, now = await self._told(history, self._promises), self._from.now()
        key = Metric(metric), clock.cycle
        told = story.cycles(now).get(key)
        said = [s for s in story.said(now) if (s.fact.metric, s.fact.cycle) == key]
        return pb.ExplainClockResponse(
            clock=self._shown(clock, now),
            intervals=map(wire_story.to_interval, told.cycle.intervals if told else ()),
            events=[wire_story.to_event(s, caller().tenant, request.conversation_id) for s in said],
        )

    async def Evaluate(self, request: pb.EvaluateRequest, context: object) -> pb.EvaluateResponse:  # noqa: ARG002, N802
        """What the policy would have said; nothing is stored."""
        at = wire_api.instant(request, "at") or self._from.now()
        _, history = await self._history(request.conversation_id, "", 0)
        newest = self._newest()
        offer = trial.offer(request.policy, newest.calendars)
        made: dict[int, Promises] = {}

        def versions(number: int) -> Promises:
            if number not in made:
                made[number] = explain.under(self._promises(number), offer, newest)
            return made[number]

        story = await self._told(history, versions, at)
        return pb.EvaluateResponse(
            clocks=[wire_story.to_clock(told, request.conversation_id) for told in story.cycles(at).values()],
            events=[wire_story.to_trial(s, caller().tenant, request.conversation_id) for s in story.said(at)],
        )

    async def _history(self, conversation_id: str, metric: str, cycle: int) -> tuple[Clock | None, History]:
        """The stored clock and what led to it, as of one moment. NOT_FOUND: no such conversation."""
        clock, history = await queries.history(self._from.pool, caller().tenant, conversation_id, metric, cycle)
        if history is None:
            raise Refused(
                "NOT_FOUND",
                "CONVERSATION_NOT_FOUND",
                f"there is no conversation {conversation_id}",
                metadata={"conversation_id": conversation_id},
            )
        return clock, history

    def _newest(self) -> Promises:
        config = self._from.tenants.get(caller().tenant)
        return self._promises(config.version if config else 0)

    async def _told(self, history: History, versions: Versions, at: datetime | None = None) -> Story:
        """The history told again, letting others have their turn; with `at` as another policy is tried until then."""
        story = Story(caller().tenant, history.conversation_id, versions)
        for n, entry in enumerate(map(_entry, history.entries)):
            if at is None or explain.tried(entry, at):
                story.tell(entry)
            if n % AT_ONCE == 0:
                await asyncio.sleep(0)
        return story


def _entry(stored: str) -> Entry:
    return codec.to_entry(json.loads(stored))


def _no_clock(request: pb.ExplainClockRequest, metric: str) -> Refused:
    return Refused(
        "NOT_FOUND",
        "CLOCK_NOT_FOUND",
        f"conversation {request.conversation_id} has no clock of {metric}, cycle {request.cycle or 'any'}",
        metadata={"conversation_id": request.conversation_id, "metric": metric, "cycle": str(request.cycle)},
    )
