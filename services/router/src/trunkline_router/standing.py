"""Where a conversation stands as far as watchers care: in whose queue, in whose hands. By its log or by the state."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from trunkline_router.events import (
    CallbackScheduled,
    ConversationAssigned,
    ConversationMerged,
    ConversationQueued,
    ConversationRejected,
    ConversationReleased,
    ConversationResolved,
    ConversationSnoozed,
    ConversationTransferred,
    ConversationWoken,
    OfferDeclined,
    OfferMade,
    OfferRescinded,
    OfferTimedOut,
    Payload,
)
from trunkline_router.handed import ConversationHandedOver, ConversationTakenOver
from trunkline_router.pool import Conversation, Status


@dataclass(frozen=True, slots=True)
class Standing:
    """The team in whose queue it waits, if it does; the agents it is offered to, assigned to or snoozed by."""

    queue: str = ""
    agents: frozenset[str] = frozenset()


NOWHERE = Standing()


def standing(c: Conversation) -> Standing:
    """By the state."""
    if c.status is Status.QUEUED:
        return _in_queue(c.team)
    agents = {offer.agent for offer in c.offers.values()}
    if c.agent and c.status in (Status.ASSIGNED, Status.SNOOZED):
        agents.add(c.agent)
    return Standing("", frozenset(agents)) if agents else NOWHERE


@lru_cache(maxsize=4096)
def _in_queue(team: str) -> Standing:
    """One for all: many wait."""
    return Standing(team)


def after(before: Standing, payload: Payload) -> Standing:
    """By one more event of its log."""
    match payload:
        case ConversationQueued(team=team):
            return _in_queue(team)
        case OfferMade(agent_id=agent):
            return Standing("", before.agents | {agent})
        case OfferDeclined(agent_id=agent) | OfferTimedOut(agent_id=agent) | OfferRescinded(agent_id=agent):
            return Standing(before.queue, before.agents - {agent})
        case ConversationAssigned(agent_id=agent) | ConversationSnoozed(agent_id=agent):
            return Standing("", frozenset({agent}))
        case ConversationWoken(agent_id=agent):
            return Standing("", frozenset({agent} if agent else ()))
        case (
            ConversationTransferred()
            | ConversationReleased()
            | ConversationRejected()
            | ConversationMerged()
            | ConversationResolved()
            | CallbackScheduled()
            | ConversationHandedOver()
            | ConversationTakenOver()
        ):
            return NOWHERE
        case _:
            return before
