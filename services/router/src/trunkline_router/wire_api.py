"""Conversations and agents as callers see them."""

from __future__ import annotations

from trunkline.router.v1 import router_service_pb2 as api

from trunkline_router.pool import BEGINNING, Agent, Conversation
from trunkline_router.protomap import fill, timestamp
from trunkline_router.state import Engine


def view(engine: Engine, conversation_id: str) -> api.Conversation:
    """A conversation of the engine, with its place in the queue."""
    made = to_api_conversation(engine.pool.conversations[conversation_id], engine.pool.id)
    ahead = engine.waiting.position(conversation_id)
    made.position = 0 if ahead is None else ahead + 1
    return made


def to_api_conversation(conversation: Conversation, pool: str) -> api.Conversation:
    """A conversation as callers see it."""
    made = api.Conversation(
        conversation_id=conversation.id,
        assigned_agent_id=conversation.agent,
        offers=(
            api.Offer(offer_id=id_, agent_id=offer.agent, expires_at=timestamp(offer.expires_at))
            for id_, offer in conversation.offers.items()
        ),
        pool=conversation.moved_to or pool,
        status=api.ConversationStatus.Value(f"CONVERSATION_STATUS_{conversation.status}"),
    )
    if made.offers:
        made.offered_agent_id, made.offer_id = made.offers[0].agent_id, made.offers[0].offer_id
    for name in ("team", "channel", "account", "seq", "transfers", "merged_into"):
        setattr(made, name, getattr(conversation, name))
    made.entered_at.FromDatetime(conversation.entered_at)
    if conversation.wakes_at is not None:
        made.wakes_at.FromDatetime(conversation.wakes_at)
    if conversation.callback is not None:
        made.callback_begins_at.FromDatetime(conversation.callback[0])
        made.callback_ends_at.FromDatetime(conversation.callback[1])
    if conversation.unanswered_since is not None:
        made.unanswered_since.FromDatetime(conversation.unanswered_since)
        if conversation.attributes.public:
            made.public_reply_owed_since.FromDatetime(conversation.unanswered_since)
    fill(made.attributes, conversation.attributes)
    return made


def to_api_agent(agent: Agent) -> api.Agent:
    """An agent as callers see it."""
    return api.Agent(
        agent_id=agent.config.id,
        name=agent.config.name,
        teams=agent.config.teams,
        presence=api.Presence.Value(f"PRESENCE_{agent.presence}"),
        capacity=agent.config.capacity,
        load=agent.load,
        not_responding=agent.not_responding,
        last_assigned_at=timestamp(agent.last_assigned_at) if agent.last_assigned_at > BEGINNING else None,
        accepting=agent.accepting,
        skills=dict(agent.config.skills),
        bot=agent.config.bot,
        caps=dict(agent.config.caps),
        by_api=agent.config.by_api,
        conversation_ids=sorted(agent.holds),
    )
