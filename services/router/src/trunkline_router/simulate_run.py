"""A scenario on the engine: the events of each step, why each decision came out so, and what of it was not expected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any

from trunkline_router import explain, inputs
from trunkline_router import simulate_steps as steps
from trunkline_router.engine import handle
from trunkline_router.events import Event, OfferMade
from trunkline_router.fold import evolve
from trunkline_router.pool import Pool, Status
from trunkline_router.pool_events import PoolConfigured
from trunkline_router.refusals import Refusal
from trunkline_router.simulate_check import Checked
from trunkline_router.simulate_inputs import SYSTEM, Desk, running_offer
from trunkline_router.state import Engine
from trunkline_router.toolbox import TOOLS


@dataclass(slots=True)
class Result:
    """What a step led to. `subject` is the conversation that its expectations are about."""

    number: int
    step: steps.AnyStep
    subject: str
    at: datetime
    events: list[Event] = field(default_factory=list)
    decisions: list[explain.Explanation] = field(default_factory=list)
    refusal: Refusal | None = None


class Run:
    """One run of a checked file. Time is the file's."""

    def __init__(self, checked: Checked) -> None:
        self._steps, self.now = checked.steps, checked.start
        self.engine = Engine(Pool(checked.pool), TOOLS)
        #: One event behind: the state that the engine decides on.
        self._before = Engine(Pool(checked.pool), TOOLS)
        self._desk = Desk(self.engine, checked.accounts, checked.configurations)
        self._subject = ""
        self._tell(Result(-1, steps.State(do="state"), "", self.now), inputs.Configure(checked.configurations[-1]))

    def results(self) -> Iterator[Result]:
        """Step by step; the engine is in the state after it."""
        for number, step in enumerate(self._steps):
            yield self._step(number, step)

    def _step(self, number: int, step: steps.AnyStep) -> Result:
        self._subject = step.conversation or self._subject
        result = Result(number, step, self._subject, self.now)
        try:
            if step.at is not None:
                self._pass_time(result, step.at)
            for asked in self._desk.inputs(number, step, self.now):
                self._handle(result, asked)
        except Refusal as refusal:
            result.refusal = refusal
        seconds = step.seconds if isinstance(step, steps.Advance) else 0
        self._pass_time(result, self.now + timedelta(seconds=seconds))
        self._accept(result)
        result.at = self.now
        return result

    def _pass_time(self, result: Result, until: datetime) -> None:
        """What is due happens at its instant, as in a process that is never late."""
        while True:
            due = self.engine.next_due()
            if due is None or due >= until:
                break
            self.now = max(due, self.now)
            self._tell(result, inputs.Tick())
        self.now = until
        self._tell(result, inputs.Tick())

    def _accept(self, result: Result) -> None:
        """What a step expects to be assigned and is offered to that agent is accepted for them."""
        for conversation, agents in _assigned_to(result):
            c = self.engine.pool.conversations.get(conversation)
            found = running_offer(c, agents) if c is not None else None
            if found is not None and not self.answered_later(result.number, conversation):
                offer, agent = found
                self._tell(result, inputs.AcceptOffer(conversation, offer, agent))
                self._tell(result, inputs.Tick())

    def answered_later(self, number: int, conversation: str) -> bool:
        """Whether the next step about the conversation accepts or declines."""
        later = (s for s in self._steps[number + 1 :] if s.conversation == conversation)
        following = next(later, None)
        return following is not None and following.do in ("accept", "decline")

    def _tell(self, result: Result, body: inputs.Body) -> None:
        self._handle(result, inputs.Input(body, f"step {result.number}", SYSTEM))

    def _handle(self, result: Result, asked: inputs.Input) -> None:
        for event in handle(self.engine, asked, self.now):
            result.events.append(event)
            self._explain(result, event)
            if isinstance(event.payload, OfferMade):
                self._desk.offers[event.conversation_id, event.payload.agent_id] = event.payload.offer_id
            evolve(self._before, event)

    def _explain(self, result: Result, event: Event) -> None:
        before = self._before
        before.pass_time(event.occurred_at)
        c = before.pool.conversations.get(event.conversation_id)
        if c is not None and c.status is Status.QUEUED:
            found = explain.explain_decision(before, c, event)
            result.decisions += [found] if found is not None else []


def _assigned_to(result: Result) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Conversations with the agents that the step expects to have them."""
    expect = result.step.expect
    if expect is None:
        return
    for conversation, found in ((result.subject, expect), *expect.conversations.items()):
        yield conversation, (*filter(None, [found.assigned]), *found.assigned_any)
    for agent, them in expect.agents.items():
        yield from ((conversation, (agent,)) for conversation in them.assigned)


# -- as JSON


def printed(result: Result, engine: Engine) -> dict[str, Any]:
    """A step's result; where its conversation still waits, why."""
    shown: dict[str, Any] = {"step": result.number, "do": result.step.do, "at": explain.to_dict(result.at)}
    shown["events"] = [as_dict(event) for event in result.events]
    shown["decisions"] = [explain.to_dict(decision) for decision in result.decisions]
    if result.refusal is not None:
        shown["refused"] = {"reason": result.refusal.reason, "message": result.refusal.message, **result.refusal.facts}
    c = engine.pool.conversations.get(result.subject)
    if c is not None and c.status is Status.QUEUED:
        shown["waiting"] = explain.to_dict(explain.explain_waiting(engine, c, result.at))
    if isinstance(result.step, steps.State):
        shown["state"] = state(engine)
    return shown


def as_dict(event: Event) -> dict[str, Any]:
    """An event: its type, when, of which conversation, and its fields that say something."""
    about = {"conversation": event.conversation_id} if event.conversation_id else {}
    payload = event.payload
    said = {"version": payload.version} if isinstance(payload, PoolConfigured) else plain(payload)
    return {"type": type(payload).__name__, "at": explain.to_dict(event.occurred_at), **about, **said}


def plain(value: Any) -> Any:
    """Fields that are not empty, down to the last."""
    if is_dataclass(value):
        found = {f.name: getattr(value, f.name) for f in fields(value)}
        return {name: plain(v) for name, v in found.items() if v not in (None, "", ())}
    return [plain(v) for v in value] if isinstance(value, tuple) else explain.to_dict(value)


def state(engine: Engine) -> dict[str, Any]:
    """Agents and queues."""
    pool = engine.pool
    return {
        "agents": {name: agent_state(engine, name) for name in pool.agents},
        "queue": {team: [place[-1] for place in engine.waiting.of(team)] for team in pool.teams},
        "conversations": {c.id: c.status.lower() for c in pool.conversations.values()},
    }


def agent_state(engine: Engine, name: str) -> dict[str, Any]:
    """An agent, with what they have in hand in the order in which it began."""
    agent = engine.pool.agents[name]
    them = sorted((engine.pool.conversations[c] for c in agent.holds), key=lambda c: c.ordinal)
    return {
        "presence": agent.presence.lower(),
        "accepting": agent.accepting,
        "not_responding": agent.not_responding,
        "load": agent.load,
        "capacity": agent.config.capacity,
        "assigned": [c.id for c in them if c.status is Status.ASSIGNED and c.agent == name],
        "offered": [c.id for c in them if any(o.agent == name for o in c.offers.values())],
        "wrap_up": [c.id for c in them if c.id in agent.wraps],
    }
