"""What a period would have been under another configuration: its customers and agents once more, on the same engine.

Taken from the record: every message with its instant, everything else that came from outside, when agents were there,
how they answered each offer and after how long, how long they had each conversation and how that ended, and when those
gave up who had not been given an agent. Taken from the engine: everything else. What the record cannot tell is assumed:
whoever got an agent would have waited longer; an offer that was missed or taken back would have been accepted later;
agents whom the record does not know are not there; further offers and conversations in hand go as usual in the period;
a transfer to the team that has it already is not made.

Nothing is published. It is an iterator, so that whoever runs it may stop, and can tell how far it is.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime

from trunkline_router.replay import groups
from trunkline_router.simulation_figures import Meter, Route, TeamFigures
from trunkline_router.simulation_record import Reader
from trunkline_router.simulation_world import Period, World

EVERY = 500  # decisions between two signs of progress
MAX_LISTED = 1000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far: the instant reached, 0 to 1."""

    at: datetime
    done: float


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A conversation that went to another team or agent, and why."""

    conversation: str
    recorded: Route
    simulated: Route
    why: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The period as it was and as it would have been.

    `moved`: conversations that went to another team; `other_agent`: to another agent of the same one; `elsewhere` lists
    the first of both, those that moved first. `impossible`: what came from outside and did not fit any more.
    """

    conversations: int
    recorded: tuple[TeamFigures, ...]
    simulated: tuple[TeamFigures, ...]
    moved: int
    other_agent: int
    elsewhere: tuple[Elsewhere, ...]
    impossible: int


def simulate(period: Period) -> Generator[Progress | Comparison, None, None]:
    """Signs of progress, then the comparison. The pool given is used up."""
    reader, meter = Reader(period.before, period.since), Meter(period.before, period.since)
    for number, group in enumerate(groups(period.recorded)):
        reader.read(group)
        for event in group:
            meter.see(event)
        if number % EVERY == 0:
            yield Progress(period.since, 0.0)
    world = World(period, reader.finish(period.until))
    for number, at in enumerate(world.run()):
        if number % EVERY == 0:
            yield Progress(at, _share(period, at))
    yield _compare(meter, world, period.until)


def _share(period: Period, at: datetime) -> float:
    return (at - period.since) / (period.until - period.since) if period.until > period.since else 1.0


# -- the comparison


def _compare(recorded: Meter, world: World, until: datetime) -> Comparison:
    before, after = recorded.all_routes(), world.meter.all_routes()
    both = [(name, before[name], after[name]) for name in before if name in after]
    moved = [Elsewhere(n, r, s, why(r, s)) for n, r, s in both if r.team != s.team]
    others = [Elsewhere(n, r, s, why(r, s)) for n, r, s in both if r.team == s.team and r.agent != s.agent]
    return Comparison(
        conversations=len(before),
        recorded=recorded.figures(until),
        simulated=world.meter.figures(until),
        moved=len(moved),
        other_agent=len(others),
        elsewhere=tuple([*moved, *others][:MAX_LISTED]),
        impossible=world.impossible,
    )


def why(recorded: Route, simulated: Route) -> str:
    """What led elsewhere, in a few words."""
    if (recorded.policy, recorded.step) != (simulated.policy, simulated.step):
        return f"{_rule(simulated)} instead of {_rule(recorded)}"
    if not simulated.agent or not recorded.agent:
        return "it waited to the end" if not simulated.agent else "an agent was free in time"
    if recorded.team != simulated.team:
        return f"{_rule(simulated)} asks for team {simulated.team}"
    return "another agent of the team came first by then"


def _rule(route: Route) -> str:
    if route.policy:
        return f"step {route.step} of policy {route.policy}"
    return f"the queue of {route.team}" + (f" ({route.reason})" if route.reason else "")
