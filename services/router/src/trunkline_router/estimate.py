"""How long a conversation may wait: position times handling time, over the slots that serve it (routing 5.7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trunkline_router.index import available
from trunkline_router.matching import qualified
from trunkline_router.pool import Conversation, Handling, Pool
from trunkline_router.state import Engine

WEIGHT = 0.1  # of the newest handling time in the mean


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds from now, as a range; `as_of` is when the team last ended a conversation: how old the figures are."""

    low_s: int
    high_s: int
    as_of: datetime


def wait(engine: Engine, c: Conversation) -> Wait | None:
    """None where nothing is known yet: nobody has ended a conversation, or nobody is there who could take this one.

    A conversation that does not wait yet is taken as the last of its team. Looks at every agent: not for every message.
    """
    team = engine.pool.teams.get(c.team)
    known = engine.pool.handling.get(c.team)
    if team is None or known is None:
        return None
    weight = engine.channel_class(c.channel).weight
    there = (a for a in engine.pool.agents.values() if available(a, team, engine.index.now) and qualified(engine, a, c))
    slots = sum(a.config.capacity // max(1, weight) for a in there)
    if not slots:
        return None
    ahead = engine.waiting.position(c.id)
    turns = (len(engine.waiting.of(c.team)) if ahead is None else ahead) + 1
    low, high = max(0.0, known.mean_s - known.deviation_s), known.mean_s + known.deviation_s
    return Wait(round(turns * low / slots), round(turns * high / slots), known.as_of)


def learn(pool: Pool, team: str, took: float, at: datetime) -> None:
    """A conversation of the team has ended, so many seconds after its assignment. Only for evolve."""
    known = pool.handling.get(team)
    if known is None:
        pool.handling[team] = Handling(took, took / 2, at)
        return
    known.deviation_s += WEIGHT * (abs(took - known.mean_s) - known.deviation_s)
    known.mean_s += WEIGHT * (took - known.mean_s)
    known.as_of = at
