"""Explanations: of every decision, of everything that waits, and each reason once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trunkline_router import engine as deciding
from trunkline_router.explain import Explanation, Waiting, explain_match, explain_waiting, to_dict
from trunkline_router.explain_agents import Reason
from trunkline_router.facts import Presence
from trunkline_router.inputs import (
    AcceptOffer,
    ChangeAttributes,
    Configure,
    DeclineOffer,
    PutAgent,
    SetAccepting,
    SetPresence,
    Snooze,
    Tick,
)
from trunkline_router.matching import Match, choose, next_match
from trunkline_router.pool import Status
from trunkline_router.routing import PolicyConfig, StepConfig, Strategy
from trunkline_router.state import Engine

from tests.router.given import ANA, BEN, BILLING, RETURNS, Step, after, at, configured, message, offer_id
from tests.router.test_engine_properties import DRAWS, PHASES, Draw, Run

SKILLED = replace(ANA, skills=(("de", 2),), capacity=2)
STEPS = (StepConfig("billing", (("de", 3), ("tax", 1)), wait_s=30), StepConfig("billing", (("de", 2),)))
O1 = offer_id("c1", 4)


def names(found: Explanation | Waiting) -> list[str]:
    """Every agent in a group, as often as they are in one."""
    return [v.agent for group in found.groups for v in group.agents]


def why(engine: Engine, conversation: str = "c1") -> dict[str, Reason]:
    """The reason of each agent for whom a waiting conversation is not."""
    found = explain_waiting(engine, engine.pool.conversations[conversation], engine.index.now)
    return {v.agent: v.reason for group in found.groups for v in group.agents}


# -- whatever happens


@contextmanager
def every_match_is_explained() -> Iterator[list[Match]]:
    """Each decision is explained on the state before it, and the explanation chooses the same agents."""
    seen: list[Match] = []

    def checked(engine: Engine) -> Match | None:
        found = next_match(engine)
        if found is not None:
            explained = explain_match(engine, found.conversation)
            chosen = [v.agent for v in explained.chosen]
            assert chosen == [a.config.id for a in found.agents]
            assert sorted([*chosen, *names(explained)]) == sorted(engine.pool.agents)
            json.dumps(to_dict(explained))
            seen.append(found)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deciding, "next_match", checked)
        yield seen


@settings(max_examples=60, deadline=None, phases=PHASES)
@given(st.lists(DRAWS, min_size=10, max_size=60))
def test_the_explanation_is_what_the_engine_does(draws: list[Draw]) -> None:
    """The agents chosen are those whom nothing hinders; while something waits there is none."""
    with every_match_is_explained():
        run = Run()
        for draw in draws:
            run.step(draw)
            _everybody_is_hindered(run.engine)


def _everybody_is_hindered(engine: Engine) -> None:
    for c in engine.pool.conversations.values():
        found = explain_waiting(engine, c, engine.index.now)
        json.dumps(to_dict(found))
        if c.status is Status.QUEUED:
            assert sorted(names(found)) == sorted(engine.pool.agents)
            assert explain_match(engine, c).chosen == ()
            assert choose(engine, c) == ()


# -- each reason


def test_an_agent_has_the_first_reason_that_applies() -> None:
    """Ben is of another team, and offline, and without the skill; that he is of another team is said."""
    policy = PolicyConfig("all", steps=STEPS)
    away = replace(BEN, id="away", skills=(("de", 3), ("tax", 1)))
    engine, _ = after(
        Step(
            0,
            Configure(
                replace(configured(agents=[SKILLED, replace(BEN, teams=("returns",)), away]), policies=(policy,))
            ),
        ),
        Step(0, SetPresence("ana", Presence.ONLINE)),
        Step(0, SetPresence("away", Presence.AWAY)),
        Step(1, message("c1")),
    )
    assert why(engine) == {"ana": Reason.SKILL_MISSING, "ben": Reason.NOT_IN_TEAM, "away": Reason.AWAY}


def test_what_is_missing_is_told_with_its_figures() -> None:
    """The first skill that is missing, the level held and the level needed."""
    engine, _ = after(
        Step(0, Configure(replace(configured(agents=[SKILLED]), policies=(PolicyConfig("all", steps=STEPS),)))),
        Step(0, SetPresence("ana", Presence.ONLINE)),
        Step(1, message("c1")),
    )
    (group,) = explain_waiting(engine, engine.pool.conversations["c1"], at(1)).groups
    (verdict,) = group.agents
    assert verdict.says == "ana is missing skill de level 3, skill tax level 1"
    assert verdict.facts == (("skill", "de"), ("needed", 3), ("held", 2))


CARLA = replace(ANA, id="carla")
WAITS = (Step(0, Configure(configured(agents=[ANA]))), Step(1, message("c1")))
ONLINE = Step(2, SetPresence("ana", Presence.ONLINE))
REASONS: list[tuple[tuple[Step, ...], Reason, tuple[str, ...]]] = [
    (WAITS, Reason.OFFLINE, ("nobody of team billing is online", "ana is offline")),
    ((*WAITS, Step(2, SetPresence("ana", Presence.AWAY))), Reason.AWAY, ("ana is away",)),
    ((*WAITS, Step(2, SetAccepting("ana", accepting=False)), ONLINE), Reason.NOT_ACCEPTING,
     ("ana accepts no new work",)),
    ((*WAITS, ONLINE, Step(3, DeclineOffer("c1", O1, "ana", ""))), Reason.EXCLUDED, ("ana declined or missed it",)),
    ((*WAITS, Step(2, PutAgent(replace(ANA, capacity=0))), ONLINE), Reason.NO_ROOM, ("ana is full: 0 of 0",)),
    ((*WAITS, Step(2, PutAgent(replace(ANA, bot=True))), ONLINE), Reason.BOT, ("team billing has only bots",)),
    ((*WAITS, Step(2, ChangeAttributes("c1", "ana", allowed_agents=("carla",))), ONLINE), Reason.NOT_ALLOWED,
     ("ana is not one of those allowed: carla",)),
]  # fmt: skip


@pytest.mark.parametrize(("given_", "reason", "changes"), REASONS, ids=[str(reason) for _, reason, _ in REASONS])
def test_why_ana_does_not_get_it(given_: tuple[Step, ...], reason: Reason, changes: tuple[str, ...]) -> None:
    """One thing is in the way, and that is the change that would serve c1."""
    engine, _ = after(*given_)
    assert why(engine) == {"ana": reason}
    assert explain_waiting(engine, engine.pool.conversations["c1"], engine.index.now).changes == changes


# -- what else is told


def test_a_decision_tells_the_key_by_which_an_agent_was_first() -> None:
    """Of the strategy, with its values; the next one in line comes later."""
    team = replace(BILLING, strategy=Strategy.LEAST_ASSIGNED)
    engine, _ = after(
        Step(0, Configure(configured(teams=[team, RETURNS], agents=[replace(ANA, capacity=5), CARLA]))),
        Step(0, SetPresence("ana", Presence.ONLINE)),
        Step(1, message("c1")),
        Step(2, AcceptOffer("c1", O1, "ana")),
        Step(3, SetAccepting("ana", accepting=False)),
        Step(4, message("c2")),
    )
    for agent in engine.pool.agents.values():  # the state before a decision: both are there now
        agent.presence, agent.accepting = Presence.ONLINE, True
    found = explain_match(engine, engine.pool.conversations["c2"])
    assert [(v.agent, v.reason, v.facts) for v in found.chosen] == [
        ("carla", Reason.CHOSEN, (("by", "least_assigned"), ("assigned", 0)))
    ]
    assert [(g.reason, g.agents[0].says, g.agents[0].facts) for g in found.groups] == [
        (Reason.LATER, "ana comes after carla", (("assigned", 1),))
    ]
    assert (found.rule.strategy, found.requirement.team, found.inputs["priority"]) == (
        Strategy.LEAST_ASSIGNED,
        "billing",
        "normal",
    )
    assert "text" not in found.inputs


def test_what_waits_tells_its_place_and_its_next_step() -> None:
    """Behind c1; in 20 s tax is given up."""
    engine, _ = after(
        Step(0, Configure(replace(configured(agents=[SKILLED]), policies=(PolicyConfig("all", steps=STEPS),)))),
        Step(1, message("c1")),
        Step(10, message("c2")),
        Step(20, Tick()),
    )
    found = explain_waiting(engine, engine.pool.conversations["c2"], at(20))
    assert (found.position, found.rule and found.rule.step) == (1, 0)
    assert found.next_step is not None
    assert (found.next_step.begins_at, found.next_step.dropped, found.next_step.skills) == (
        at(40),
        ("tax",),
        (("de", 2),),
    )
    assert found.changes == ("nobody of team billing has de level 3, tax level 1",)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"overflow_team": "returns"}, {"team": "returns", "overflow": True}),
        ({"overflow_agent": "ben"}, {"agent": "ben", "overflow": True}),
    ],
)
def test_an_overflow_is_the_next_step_of_the_last(policy: dict[str, Any], expected: dict[str, Any]) -> None:
    """A team or an agent."""
    steps = (StepConfig("billing", wait_s=30),)
    made = replace(configured(), policies=(PolicyConfig("all", steps=steps, **policy),))
    engine, _ = after(Step(0, Configure(made)), Step(1, message("c1")))
    found = to_dict(explain_waiting(engine, engine.pool.conversations["c1"], at(1)))
    assert found["next_step"].items() >= expected.items()
    assert found["next_step"]["begins_at"] == "2026-03-02T09:00:31Z"


def test_who_declined_is_told_with_the_time_of_the_next_question() -> None:
    """A minute after the first refusal."""
    engine, _ = after(*WAITS, ONLINE, Step(3, DeclineOffer("c1", O1, "ana", "")))
    found = explain_waiting(engine, engine.pool.conversations["c1"], at(3))
    assert found.reoffer_at == at(63)
    assert to_dict(found)["groups"] == [
        {
            "reason": "EXCLUDED",
            "agents": [{"agent": "ana", "says": "ana declined or missed it", "asked_again_at": "2026-03-02T09:01:03Z"}],
        }
    ]


def test_what_is_not_in_a_queue_waits_for_an_answer_or_a_time() -> None:
    """An offer until it ends, a snooze until it is due."""
    engine, _ = after(*WAITS, ONLINE)
    asked = explain_waiting(engine, engine.pool.conversations["c1"], at(2))
    assert [(a.agent, a.until) for a in asked.asked] == [("ana", at(22))]
    engine, _ = after(*WAITS, ONLINE, Step(3, AcceptOffer("c1", O1, "ana")), Step(4, Snooze("c1", "ana", at(90))))
    slept = explain_waiting(engine, engine.pool.conversations["c1"], at(4))
    assert (slept.status, slept.due_at, slept.groups) == (Status.SNOOZED, at(90), ())
