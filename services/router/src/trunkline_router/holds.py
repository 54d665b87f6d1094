"""What an agent has in hand, whose turn it was, and what a rate limit counts: part of `evolve`."""

from __future__ import annotations

from datetime import datetime, timedelta

from trunkline_router.pool import Agent, Conversation, Hold, Pool, Status
from trunkline_router.state import Engine


def turn(pool: Pool, agent: Agent, team: str) -> None:
    """Who was chosen goes to the end of the rotation, whether or not they accept (routing 3.5)."""
    pool.turns += 1
    agent.rotated[team] = pool.turns


def within_window(pool: Pool, agent: Agent, at: datetime) -> list[datetime]:
    """Their assignments that a limit of one of their teams still counts."""
    limited = [pool.teams[t] for t in agent.config.teams if t in pool.teams and pool.teams[t].rate_max]
    longest = max((t.rate_window_s for t in limited), default=0)
    return [one for one in agent.recent if one > at - timedelta(seconds=longest)] if longest else []


def hold(to: Engine, agent: Agent, c: Conversation) -> None:
    """The agent has it in hand: assigned, offered or in wrap-up."""
    wanted = to.channel_class(c.channel)
    agent.holds[c.id] = Hold(wanted.weight, wanted.id, wanted.interruptible)
    agent.wraps.pop(c.id, None)
    to.put(agent)


def let_go(to: Engine, agent: Agent, c: Conversation) -> None:
    """And no more."""
    agent.holds.pop(c.id, None)
    to.put(agent)


def put_down(to: Engine, c: Conversation) -> None:
    """Out of its agent's hands, where it is or sleeps in them; a wrap-up goes on."""
    holder = to.pool.agents.get(c.agent)
    in_hand = c.status in (Status.ASSIGNED, Status.SNOOZED)
    if holder is not None and in_hand and c.id in holder.holds and c.id not in holder.wraps:
        let_go(to, holder, c)
