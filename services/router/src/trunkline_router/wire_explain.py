"""Explanations, differences and comparisons as callers see them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from trunkline.router.v1 import explain_service_pb2 as api

from trunkline_router import explain
from trunkline_router.events import ConversationAssigned, Event, OfferMade
from trunkline_router.explain import Explanation, Group, Waiting
from trunkline_router.explain_agents import Verdict
from trunkline_router.policy_simulation import Comparison
from trunkline_router.protomap import fill, timestamp
from trunkline_router.refusals import Refusal
from trunkline_router.replay import Difference
from trunkline_router.replay_inputs import Unreadable


def to_json(value: Any) -> str:
    """Any value of the domain as JSON; empty for none."""
    if value is None:
        return ""
    if isinstance(value, Refusal):
        value = {"refused": value.reason, "message": value.message, **value.facts}
    elif isinstance(value, Unreadable):
        value = {"unreadable": str(value)}
    elif isinstance(value, Event):
        value = explain.to_dict(value) | {"kind": type(value.payload).__name__}
    return json.dumps(explain.to_dict(value), default=str)


def _plain(verdict: Verdict) -> Verdict:
    return replace(verdict, facts=tuple((name, to_json(value)) for name, value in verdict.facts if value is not None))


def _groups(groups: Iterable[Group]) -> tuple[Group, ...]:
    return tuple(replace(g, agents=tuple(map(_plain, g.agents))) for g in groups)


def to_explanation(found: Explanation) -> api.Explanation:
    """Why these agents and not the others."""
    made = api.Explanation()
    inputs = {name: to_json(value) for name, value in found.inputs.items()}
    fill(made, replace(found, chosen=tuple(map(_plain, found.chosen)), groups=_groups(found.groups), inputs=inputs))
    return made


def to_waiting(found: Waiting) -> api.ExplainWaitingResponse:
    """What it waits for."""
    made = api.ExplainWaitingResponse()
    fill(made, replace(found, groups=_groups(found.groups), wait=None))
    if found.wait is not None:
        made.wait.low.FromSeconds(found.wait.low_s)
        made.wait.high.FromSeconds(found.wait.high_s)
        made.wait.as_of.FromDatetime(found.wait.as_of)
    return made


def to_decision(events: Sequence[Event], found: Explanation | None) -> api.ExplainDecisionResponse:
    """A choice as it was recorded, with its explanation where there was one to make."""
    first = events[0]
    made = api.ExplainDecisionResponse(
        decided_at=timestamp(first.occurred_at),
        cause=first.cause,
        config_version=first.config_version,
        agent_ids=[e.payload.agent_id for e in events if isinstance(e.payload, OfferMade | ConversationAssigned)],
        by_hand=found is None,
    )
    fill(made.actor, first.actor)
    if found is not None:
        made.explanation.CopyFrom(to_explanation(found))
    return made


def to_replayed(group: Sequence[Event], difference: Difference | None) -> api.ReplayDecisionResponse:
    """A decision, and whether it comes out the same."""
    first = group[0]
    made = api.ReplayDecisionResponse(
        equal=difference is None,
        cause=first.cause,
        decided_at=timestamp(first.occurred_at),
        first_pool_seq=first.pool_seq,
        events=len(group),
        config_version=first.config_version,
    )
    if difference is not None:
        recorded, now = to_json(difference.recorded), to_json(difference.now)
        made.difference.CopyFrom(
            api.Difference(index=difference.index, path=difference.path, recorded=recorded, now=now)
        )
    return made


def to_comparison(found: Comparison) -> api.Comparison:
    """The two periods."""
    made = api.Comparison()
    fill(made, found)
    return made
