"""Decisions once more, from their recorded events."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st
from trunkline_router import wire
from trunkline_router.engine import SYSTEM, handle
from trunkline_router.events import Event, OfferMade
from trunkline_router.facts import Actor, ActorType, Content, Presence
from trunkline_router.inputs import (
    AcceptOffer,
    Body,
    Configure,
    EndWrapUp,
    Input,
    ReceiveMessage,
    RecordReceipt,
    Reopen,
    Resolve,
    SetPresence,
    Snooze,
    StartConversation,
    Tick,
    Wake,
)
from trunkline_router.pool import Pool
from trunkline_router.refusals import Refusal
from trunkline_router.replay import Difference, groups, replay
from trunkline_router.replay_inputs import NOTHING, Unreadable, asked_of
from trunkline_router.state import Engine
from trunkline_router.tools import PLAIN

from tests.router.given import ANA, CONTACT, CUSTOMER, DESK, POOL, Step, after, at, configured, message, offer_id
from tests.router.test_engine_properties import DRAWS, FULL, PHASES, TOOLS, Draw, Run, body_of, drawn

Decided = tuple[Pool, Body, list[Event]]


class Recorded(Run):
    """A run with the state before each decision; causes are as in production, each of its own."""

    def __init__(self) -> None:
        self.decided: list[Decided] = []
        super().__init__()

    def ask(self, body: Body, *, supervising: bool) -> list[Event]:
        """Handle an input now, and keep what was decided."""
        before = deepcopy(self.engine.pool)
        actor = CUSTOMER if isinstance(body, ReceiveMessage | RecordReceipt) else DESK
        cause = f"request-{len(self.log)}"
        if isinstance(body, Configure | Tick):
            actor, cause = SYSTEM, "timer" if isinstance(body, Tick) else f"config/{len(self.log)}"
        events = handle(self.engine, Input(body, cause, actor, supervising), at(self.seconds))
        self.log += events
        if events:
            self.decided.append((before, body, events))
        return events

    def step(self, draw: Draw) -> None:
        """Handle an input; then what is due."""
        self.seconds += draw[4]
        with suppress(Refusal):
            self.ask(body_of(draw, self.engine.pool, self.seconds), supervising=draw[5])
        self.ask(Tick(), supervising=False)


def stored(events: Sequence[Event]) -> list[Event]:
    """Events as they come back from the log's bytes."""
    kept = (wire.to_pool_event(one, POOL, 1, one.occurred_at).SerializeToString() for one in events)
    return [wire.from_pool_event(one) for one in kept]


@settings(max_examples=60, deadline=None, phases=PHASES)
@given(st.lists(DRAWS, min_size=5, max_size=40))
def test_every_decision_of_any_run_is_decided_again_as_it_was(draws: list[Draw]) -> None:
    """From its stored events alone, on the pool as it is loaded anew."""
    run = Recorded()
    for draw in draws:
        run.step(draw)
    for before, body, events in run.decided:
        assert replay(Engine(before, TOOLS), stored(events)) is None, body


def test_every_input_that_decides_something_is_read_from_its_events() -> None:
    """What is never met is never checked; and what was asked is of the kind that is read."""
    run, chance = Recorded(), random.Random(5)  # noqa: S311 - the same numbers every time are the point
    for _ in range(1500):
        run.step(drawn(chance))
    for body in (
        Configure(replace(FULL, version=run.engine.pool.config_version + 1)),
        replace(STARTED, conversation_id="last"),
        Snooze("last", "ana", at(run.seconds + 60)),
        Wake("last", "ana"),
        Resolve("last", "ana"),
        EndWrapUp("ana"),
        Reopen("last", "ana"),
    ):
        run.ask(body, supervising=True)
    read = [(type(body), asked_of(events, before).body, events) for before, body, events in run.decided]
    assert {asked for asked, _, _ in read} == set(get_args(Body))
    assert [(a, type(b), es) for a, b, es in read if type(b) is not a and b is not NOTHING] == []


def test_the_log_is_cut_where_the_decisions_began() -> None:
    """By cause and instant; one tick after another is another decision."""
    run, chance = Recorded(), random.Random(3)  # noqa: S311 - the same numbers every time are the point
    for _ in range(300):
        run.step(drawn(chance))
    assert list(groups(run.log)) == [events for _, _, events in run.decided]


STARTED = StartConversation("", "ana", "calls", "app", CONTACT, "m1", Content("hello"))
ONLINE = (Step(0, Configure(configured())), Step(0, SetPresence("ana", Presence.ONLINE)))


def offered() -> tuple[Engine, list[Event]]:
    """The state before a message, and the decision: it waits and is offered to ana."""
    before, _ = after(*ONLINE)
    changed, _ = after(*ONLINE)
    return before, handle(changed, Input(message("c1"), "cause-1", CUSTOMER), at(1))


def test_another_agent_in_an_offer_is_the_first_difference() -> None:
    """Where, what was recorded, what follows now."""
    before, events = offered()
    made = events[-1].payload
    assert isinstance(made, OfferMade)
    events[-1] = replace(events[-1], payload=replace(made, agent_id="ben"))
    assert replay(before, events) == Difference(3, "payload.agent_id", "ben", "ana")


def test_a_missing_and_an_added_event_are_differences() -> None:
    """The one that is not there is None."""
    before, events = offered()
    assert replay(before, events[:-1]) == Difference(3, "", None, events[-1])
    before, _ = after(*ONLINE)
    more = replace(events[-1], pool_seq=99)
    assert replay(before, [*events, more]) == Difference(4, "", more, None)


def test_what_would_be_refused_now_is_a_difference() -> None:
    """With the refusal in place of what was recorded."""
    _, events = after(*ONLINE, Step(1, message("c1")), Step(2, AcceptOffer("c1", offer_id("c1", 4), "ana")))
    before, _ = after(*ONLINE)
    before.pool.seq = events[-1].pool_seq - 1
    found = replay(before, [replace(events[-1], cause="accept")])
    assert found is not None
    assert (found.index, found.recorded) == (0, events[-1].payload)
    assert getattr(found.now, "reason", "") == "CONVERSATION_NOT_FOUND"


def test_events_that_no_input_leads_to_are_named() -> None:
    """An offer that a person made."""
    before, events = offered()
    found = replay(before, [replace(events[-1], actor=Actor(ActorType.AGENT, ANA.id))])
    assert found is not None
    assert isinstance(found.now, Unreadable)
    assert (found.now.pool_seq, found.now.kinds) == (events[-1].pool_seq, ("OfferMade",))


def test_what_time_alone_made_possible_is_decided_again_without_an_input() -> None:
    """Something that was already so was asked: it caused what had become possible meanwhile."""
    assert handle(Engine(Pool(POOL), PLAIN), Input(NOTHING, "again", SYSTEM), at(0)) == []
