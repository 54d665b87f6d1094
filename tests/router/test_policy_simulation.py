"""A period once more under another configuration."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trunkline_router.engine import handle
from trunkline_router.events import Event
from trunkline_router.facts import Presence, QueueReason
from trunkline_router.inputs import (
    AcceptOffer,
    Body,
    Configure,
    DeclineOffer,
    Input,
    Resolve,
    SetPresence,
    Tick,
    Transfer,
)
from trunkline_router.policy_simulation import Comparison, Progress, simulate, why
from trunkline_router.pool import Pool
from trunkline_router.pool_events import PoolConfigured
from trunkline_router.routing import TeamConfig
from trunkline_router.simulation_figures import Route, TeamFigures
from trunkline_router.simulation_world import Period
from trunkline_router.state import Engine
from trunkline_router.toolbox import TOOLS
from trunkline_router.tools import PLAIN, Tools

from tests.router import day as days
from tests.router.given import ANA, BEN, CUSTOMER, DESK, POOL, RETURNS, at, configured, message, offer_id
from tests.router.test_engine_properties import CONFIGURATIONS, DRAWS, PHASES, Draw
from tests.router.test_engine_properties import TOOLS as TEST_TOOLS
from tests.router.test_replay import Recorded


def compared(
    log: Sequence[Event], new: PoolConfigured, until: float, before: Pool | None = None, tools: Tools = PLAIN
) -> Comparison:
    """The comparison of a period from the start on."""
    *progress, found = simulate(Period(before or Pool(POOL), log, at(0), at(until), new, tools))
    assert all(isinstance(p, Progress) and 0 <= p.done <= 1 for p in progress)
    assert isinstance(found, Comparison)
    return found


def recorded(*steps: tuple[float, Body]) -> list[Event]:
    """What follows from inputs, each with a cause of its own; what is due is done before each."""
    engine, log = Engine(Pool(POOL)), list[Event]()
    for number, (seconds, body) in enumerate(steps):
        while engine.timers and engine.timers[0][0] < at(seconds):
            log += handle(engine, Input(Tick(), "timer", DESK), engine.timers[0][0])
        actor = CUSTOMER if hasattr(body, "channel") else DESK
        log += handle(engine, Input(body, f"input-{number}", actor, supervising=True), at(seconds))
    return log


def team(found: Sequence[TeamFigures], name: str) -> TeamFigures:
    """A team's figures."""
    return next(f for f in found if f.team == name)


@cache
def a_day() -> days.Day:
    """A small day with everything that customers and agents do."""
    day = days.Day(days.Size(agents=30, conversations=600, teams=4))
    for _ in day.run():
        pass
    return day


def day_under(new: PoolConfigured) -> Comparison:
    """That day under another configuration."""
    *_, found = simulate(Period(Pool(POOL), a_day().log, days.START, days.END, new, TOOLS))
    assert isinstance(found, Comparison)
    return found


def test_under_its_own_configuration_a_day_is_as_it_was() -> None:
    """Every conversation goes where it went, and every figure is the same: the simulation adds nothing of its own."""
    found = day_under(days.configuration(a_day().size))
    assert (found.conversations, found.moved, found.other_agent, found.impossible) == (600, 0, 0, 0)
    assert found.simulated == found.recorded == a_day().figures()


def test_the_second_half_of_a_day_is_as_it_was_from_the_state_at_noon() -> None:
    """What was waiting, offered, in hand and asleep goes on."""
    size = a_day().size
    noon = next(e for e in a_day().log if e.occurred_at.hour == 12)
    first = days.Day(size)
    runs = first.run(3600)
    while next(runs).at.hour < 12:
        pass
    before = first.engine.pool
    assert before.seq == noon.pool_seq - 1
    since = days.START.replace(hour=12)
    rest = a_day().log[before.seq :]
    *_, found = simulate(Period(before, rest, since, days.END, days.configuration(size), TOOLS))
    assert isinstance(found, Comparison)
    assert (found.moved, found.impossible) == (0, 0)
    assert found.other_agent <= found.conversations * 0.01  # those asked or asleep at noon: since when is not known


def test_twice_the_room_makes_waits_shorter_and_fewer_give_up() -> None:
    """Of the same customers, with the same agents."""
    own = days.configuration(a_day().size)
    found = day_under(replace(own, agents=tuple(replace(a, capacity=2 * a.capacity) for a in own.agents)))
    before, after = (
        [sum(getattr(t, n) for t in f) for n in ("served", "abandoned")] for f in (found.recorded, found.simulated)
    )
    assert after[0] > before[0]
    assert after[1] < before[1]
    assert found.other_agent > 0
    assert found.elsewhere


ONLINE = (
    (0, Configure(configured())),
    (0, SetPresence("ana", Presence.ONLINE)),
    (0, SetPresence("ben", Presence.ONLINE)),
)
TO_RETURNS = configured(account="returns")


def test_a_conversation_that_goes_to_another_team_is_listed_with_why() -> None:
    """The account's team is another one: ben of returns is asked instead of ana of billing."""
    log = recorded(
        *ONLINE, (1, message("c1")), (3, AcceptOffer("c1", offer_id("c1", 4), "ana")), (63, Resolve("c1", "ana"))
    )
    found = compared(log, TO_RETURNS, 100)
    assert (found.conversations, found.moved, found.other_agent) == (1, 1, 0)
    (one,) = found.elsewhere
    assert one.recorded == Route("billing", "ana", "", 0, QueueReason.NEW)
    assert one.simulated == Route("returns", "ben", "", 0, QueueReason.NEW)
    assert one.why == "the queue of returns (NEW) asks for team returns"
    before, after = team(found.recorded, "billing"), team(found.simulated, "returns")
    assert (before.served, before.wait_p50_s, after.served, after.wait_p50_s) == (1, 2, 1, 2)


def test_a_transfer_to_the_team_that_has_it_already_is_not_made() -> None:
    """Ana only found out that it was for returns; ben handles it as long as he did."""
    log = recorded(
        *ONLINE,
        (1, message("c1")),
        (3, AcceptOffer("c1", offer_id("c1", 4), "ana")),
        (33, Transfer("c1", "ana", "returns", "a return")),
        (35, AcceptOffer("c1", offer_id("c1", 8), "ben")),
        (95, Resolve("c1", "ben")),
    )
    found = compared(log, TO_RETURNS, 200)
    assert team(found.recorded, "billing").served == team(found.recorded, "returns").served == 1
    assert (team(found.simulated, "billing").served, team(found.simulated, "returns").served) == (0, 1)
    # 60 s of 2 units that ben and, for returns alone, only he could have in 200 s
    assert team(found.simulated, "returns").utilisation == pytest.approx(60 / (2 * 200))


def test_who_gave_up_waiting_gives_up_then_unless_somebody_has_it() -> None:
    """Nobody was there for billing; somebody is for returns."""
    log = recorded(
        (0, Configure(configured())),
        (0, SetPresence("ben", Presence.OFFLINE)),
        (1, message("c1")),
        (50, Resolve("c1", "ana")),
    )
    found = compared(log, configured(), 100)
    assert team(found.recorded, "billing").abandoned == team(found.simulated, "billing").abandoned == 1
    log = recorded(
        *ONLINE[::2],
        (1, message("c1")),
        (4, DeclineOffer("c1", offer_id("c1", 4), "ben", "")),
        (50, Resolve("c1", "ana")),
    )
    assert team(compared(log, configured(), 100).recorded, "billing").abandoned == 1
    carla = replace(ANA, id="ana", capacity=2)
    log = recorded(
        *ONLINE[:2],
        (1, message("c0")),
        (2, message("c1")),
        (3, AcceptOffer("c0", offer_id("c0", 4), "ana")),
        (50, Resolve("c1", "ana")),
    )
    found = compared(log, configured(agents=(carla, BEN)), 100)
    assert team(found.recorded, "billing").abandoned == 1
    assert (team(found.simulated, "billing").abandoned, team(found.simulated, "billing").served) == (0, 2)


def test_a_shorter_time_to_answer_is_missed_as_often_as_it_would_have_been() -> None:
    """Ana took 12 s: with 10 s she misses the offer."""
    log = recorded(
        *ONLINE[:2], (1, message("c1")), (13, AcceptOffer("c1", offer_id("c1", 4), "ana")), (60, Resolve("c1", "ana"))
    )
    found = compared(log, configured(teams=(TeamConfig("billing", 10), RETURNS)), 60)
    assert (team(found.recorded, "billing").served, team(found.simulated, "billing").served) == (1, 0)
    assert team(found.simulated, "billing").waiting == 1


def test_agents_who_are_gone_from_the_configuration_take_nothing() -> None:
    """Their presence is what did not fit any more."""
    log = recorded(
        *ONLINE, (1, message("c1")), (3, AcceptOffer("c1", offer_id("c1", 4), "ana")), (63, Resolve("c1", "ana"))
    )
    found = compared(log, configured(agents=(BEN,)), 100)
    assert found.impossible == 1
    assert [e.simulated.agent for e in found.elsewhere] == ["ben"]


def test_it_can_be_stopped_at_every_sign_of_progress() -> None:
    """An iterator: who does not ask for more has no more done."""
    running = simulate(Period(Pool(POOL), a_day().log, days.START, days.END, days.configuration(a_day().size), TOOLS))
    assert isinstance(next(running), Progress)
    running.close()
    assert list(running) == []


@settings(max_examples=60, deadline=None, phases=PHASES)
@given(st.lists(DRAWS, min_size=5, max_size=60), st.sampled_from(CONFIGURATIONS), st.integers(0, 30))
def test_any_log_can_be_simulated_under_any_configuration(draws: list[Draw], new: PoolConfigured, cut: int) -> None:
    """From its beginning or from any state in between; the figures of what was recorded are those of the log."""
    run, before = Recorded(), Pool(POOL)
    for number, draw in enumerate(draws):
        if number == cut:
            before = deepcopy(run.engine.pool)
        run.step(draw)
    rest = [e for e in run.log if e.pool_seq > before.seq]
    found = compared(rest, new, run.seconds + 1, before, TEST_TOOLS)
    assert found.moved + found.other_agent >= len(found.elsewhere)
    assert {f.team for f in found.simulated} >= {t.id for t in new.teams if any(t.id in a.teams for a in new.agents)}


@pytest.mark.parametrize(
    ("recorded_route", "simulated", "words"),
    [
        (Route("a", "x", "p", 0, None), Route("a", "y", "p", 0, None), "another agent of the team came first by then"),
        (
            Route("a", "x", "p", 0, None),
            Route("a", "y", "q", 1, None),
            "step 1 of policy q instead of step 0 of policy p",
        ),
        (Route("a", "x", "p", 0, None), Route("a", "", "p", 0, None), "it waited to the end"),
        (Route("a", "", "p", 0, None), Route("a", "x", "p", 0, None), "an agent was free in time"),
        (Route("a", "x", "p", 0, None), Route("b", "y", "p", 0, None), "step 0 of policy p asks for team b"),
        (
            Route("a", "x", "p", 1, None),
            Route("b", "y", "", 0, QueueReason.OVERFLOW),
            "the queue of b (OVERFLOW) instead of step 1 of policy p",
        ),
    ],
)
def test_why_is_said_in_a_few_words(recorded_route: Route, simulated: Route, words: str) -> None:
    """By what differs first: the rule, whether anybody had it, the team, the agent."""
    assert why(recorded_route, simulated) == words
