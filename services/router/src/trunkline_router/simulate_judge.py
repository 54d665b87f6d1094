"""What a step led to, held against what its file expects: every miss with its path, expected and got."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from trunkline_router import explain
from trunkline_router.events import ConversationRejected, Event
from trunkline_router.pool import Conversation, Status
from trunkline_router.simulate_expect import AgentIs, ConversationIs, Expect
from trunkline_router.simulate_run import Result, Run, agent_state, as_dict

Miss = tuple[str, Any, Any]
"""Path below the expectation, expected, got."""


def misses(run: Run, result: Result) -> Iterator[str]:
    """Every expectation that is not met; a step without any that is refused."""
    path, expect = f"steps[{result.number}]", result.step.expect
    if expect is None:
        if result.refusal is not None:
            yield f"{path}: refused: {result.refusal.reason}: {result.refusal.message}"
        return
    for field, expected, got in _missed(run, result, expect):
        yield f"{path}.expect.{field}: expected {_json(_written(expected))}, got {_json(_written(got))}"


def _missed(run: Run, result: Result, expect: Expect) -> Iterator[Miss]:
    yield from _conversation(run, result, result.subject, expect)
    for name, wanted in expect.conversations.items():
        yield from ((f"conversations.{name}.{f}", e, g) for f, e, g in _conversation(run, result, name, wanted))
    for name, agent in expect.agents.items():
        yield from ((f"agents.{name}.{f}", e, g) for f, e, g in _agent(run, name, agent))
    for field in sorted(expect.model_fields_set & STEP.keys()):
        expected = getattr(expect, field)
        got = STEP[field](run, result, expected)
        if got != expected:
            yield field, expected, got


# -- of a step: what there was in place of what is expected


def _refused(_run: Run, result: Result, _expected: object) -> object:
    return result.refusal.reason if result.refusal else None


def _rejected(_run: Run, result: Result, expected: object) -> object:
    """Of a conversation nobody is there for, or of a command."""
    found = [e.payload.reason for e in result.events if isinstance(e.payload, ConversationRejected)]
    found += [result.refusal.reason] if result.refusal else []
    return expected if expected in found else found[0] if found else None


def _events(_run: Run, result: Result, expected: Any) -> object:
    """These in this order, whatever there is between them; an empty list: none."""
    left = list(expected)
    for event in result.events:
        if left and _is(event, *left[0]):
            left.pop(0)
    met = not left and (expected or not result.events)
    return expected if met else _names(result)


def _all_events(_run: Run, result: Result, expected: Any) -> object:
    met = len(expected) == len(result.events)
    met = met and all(_is(e, *one) for e, one in zip(result.events, expected, strict=True))
    return expected if met else _names(result)


def _is(event: Event, name: str, wanted: Mapping[str, Any]) -> bool:
    found = as_dict(event)
    return found["type"] == name and all(found.get(field) == value for field, value in wanted.items())


def _names(result: Result) -> list[str]:
    return [type(e.payload).__name__ for e in result.events]


def _queue(run: Run, _result: Result, expected: Any) -> object:
    waiting, teams = run.engine.waiting, run.engine.pool.teams
    found = {team: tuple(place[-1] for place in waiting.of(team)) for team in teams}
    everybody = sorted(place for team in teams for place in waiting.of(team))
    found[""] = tuple(place[-1] for place in everybody)
    return {team: found.get(team, ()) for team in expected}


STEP: Mapping[str, Callable[[Run, Result, Any], object]] = {
    "refused": _refused,
    "rejected": _rejected,
    "events": _events,
    "all_events": _all_events,
    "queue": _queue,
}


# -- of an agent, of a conversation


def _agent(run: Run, name: str, expect: AgentIs) -> Iterator[Miss]:
    if name not in run.engine.pool.agents:
        yield "id", name, None
        return
    found = agent_state(run.engine, name)
    for field in sorted(expect.model_fields_set):
        expected, got = getattr(expect, field), found[field]
        if field == "presence":
            expected = expected.lower()
        if (sorted(expected) != sorted(got)) if isinstance(expected, tuple) else expected != got:
            yield field, expected, got


def _conversation(run: Run, result: Result, name: str, expect: ConversationIs) -> Iterator[Miss]:
    c = run.engine.pool.conversations.get(name)
    for field in sorted(expect.model_fields_set & ConversationIs.model_fields.keys()):
        expected = getattr(expect, field)
        if c is None:
            yield field, expected, "no such conversation"
        elif field in ("assigned", "assigned_any"):
            yield from _assigned(run, result, c, field, expected)
        elif not _met(field, expected, got := CONVERSATION[field](run, result, c)):
            yield field, expected, got


def _assigned(run: Run, result: Result, c: Conversation, field: str, expected: Any) -> Iterator[Miss]:
    """Nobody: it waits. An agent: it is theirs, or they are asked and a later step of the file answers."""
    if expected is None:
        met = c.status is Status.QUEUED
    else:
        wanted = expected if isinstance(expected, tuple) else (expected,)
        asked = [o.agent for o in c.offers.values() if run.answered_later(result.number, c.id)]
        met = bool(set(wanted) & {c.agent if c.status is Status.ASSIGNED else None, *asked})
    if not met:
        yield field, expected, c.agent if c.status is Status.ASSIGNED else _whereabouts(c)


def _whereabouts(c: Conversation) -> str | None:
    if c.status is Status.OFFERED:
        return f"offered to {', '.join(o.agent for o in c.offers.values())}"
    return None if c.status is Status.QUEUED else c.status.lower()


def _met(field: str, expected: Any, got: Any) -> bool:
    """Of reasons and of proposals those that are named; of agents asked all, in any order."""
    if field == "why":
        return bool(expected == {name: got.get(name) for name in expected})
    if field == "changes":
        return set(expected) <= set(got)
    return sorted(expected) == sorted(got) if field == "offered" else bool(expected == got)


def _why(run: Run, result: Result, c: Conversation) -> object:
    """The reasons of the last decision about it in this step, else those for which it waits."""
    decisions = [d for d in result.decisions if d.conversation == c.id]
    found = decisions[-1] if decisions else explain.explain_waiting(run.engine, c, run.now)
    chosen = found.chosen if isinstance(found, explain.Explanation) else ()
    return {v.agent: v.reason for them in (chosen, *(g.agents for g in found.groups)) for v in them}


def _changes(run: Run, _result: Result, c: Conversation) -> object:
    return explain.explain_waiting(run.engine, c, run.now).changes


CONVERSATION: Mapping[str, Callable[[Run, Result, Conversation], object]] = {
    "offered": lambda _run, _result, c: tuple(o.agent for o in c.offers.values()),
    "queued": lambda _run, _result, c: c.team if c.status is Status.QUEUED else None,
    "status": lambda _run, _result, c: c.status,
    "policy": lambda _run, _result, c: c.policy,
    "step": lambda _run, _result, c: c.step,
    "position": lambda run, _result, c: run.engine.waiting.position(c.id),
    "unanswered": lambda _run, _result, c: c.unanswered_since is not None,
    "why": _why,
    "changes": _changes,
}


def _written(value: Any) -> Any:
    """As the file has it: an event without fields by its name, the queue of all teams as a list."""
    if isinstance(value, dict):
        return _written(value[""]) if value.keys() == {""} else value
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):
        return [{name: fields} if fields else name for name, fields in value]
    return value


def _json(value: object) -> str:
    return json.dumps(value, default=explain.to_dict)
