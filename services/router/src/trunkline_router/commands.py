"""What agents and supervisors ask for: decided on the state, refused with the facts, [] where it is already so."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from trunkline_router import refusals
from trunkline_router.events import (
    AgentPresenceChanged,
    ConversationAssigned,
    ConversationQueued,
    ConversationReopened,
    ConversationResolved,
    ConversationTransferred,
    MessageSent,
    NoteAdded,
    OfferDeclined,
    OfferRescinded,
    Payload,
    Presence,
    QueueReason,
    ReopenReason,
    RescindReason,
)
from trunkline_router.inputs import (
    AcceptOffer,
    AddNote,
    Command,
    DeclineOffer,
    Input,
    Reopen,
    Resolve,
    SendReply,
    SetPresence,
    Transfer,
)
from trunkline_router.pool import Agent, Conversation, Pool, Status

Decision = list[tuple[str, Payload]]


def decide(pool: Pool, command: Command, asked: Input, now: datetime) -> Decision:
    """What follows from a command. Raises Refusal."""
    if isinstance(command, SetPresence):
        return _set_presence(pool, command)
    conversation = pool.conversations.get(command.conversation_id)
    if conversation is None:
        raise refusals.no_conversation(command.conversation_id)
    _agent(pool, command.agent_id)
    return [(conversation.id, p) for p in _about(pool, conversation, command, asked, now)]


def _about(pool: Pool, conversation: Conversation, command: Command, asked: Input, now: datetime) -> list[Payload]:
    match command:
        case AcceptOffer():
            return _accept(conversation, command)
        case DeclineOffer():
            return _decline(conversation, command)
        case SendReply(_, agent_id, message_id, content):
            _must_hold(conversation, agent_id, asked)
            return [MessageSent(message_id, agent_id, content, conversation.channel, conversation.account)]
        case AddNote(_, agent_id, note_id, text):
            return [NoteAdded(note_id, agent_id, text)]
        case Transfer():
            return _transfer(pool, conversation, command, asked, now)
        case Resolve(_, agent_id):
            return _resolve(conversation, agent_id, asked)
        case Reopen():
            return _reopen(pool, conversation, now)
        case SetPresence():
            return []
        case _:
            assert_never(command)


def _agent(pool: Pool, agent_id: str) -> Agent:
    agent = pool.agents.get(agent_id)
    if agent is None:
        raise refusals.no_agent(agent_id)
    return agent


def _set_presence(pool: Pool, command: SetPresence) -> Decision:
    agent = _agent(pool, command.agent_id)
    answers_again = agent.not_responding and command.presence is Presence.ONLINE
    if agent.presence is command.presence and not answers_again:
        return []
    found: Decision = [("", AgentPresenceChanged(command.agent_id, command.presence))]
    if command.presence is Presence.OFFLINE:
        for conversation_id in sorted(agent.holds):
            conversation = pool.conversations[conversation_id]
            if conversation.status is Status.OFFERED:
                again = ConversationQueued(conversation.team, QueueReason.OFFER_ENDED, conversation.entered_at)
                taken_back = rescinded(conversation, RescindReason.AGENT_OFFLINE)
                found += [(conversation_id, taken_back), (conversation_id, again)]
    return found


def rescinded(conversation: Conversation, reason: RescindReason) -> OfferRescinded:
    """The running offer is taken back."""
    return OfferRescinded(conversation.offer_id, conversation.offered_to, reason)


def _accept(conversation: Conversation, command: AcceptOffer) -> list[Payload]:
    same = conversation.offer_id == command.offer_id
    if same and conversation.status is Status.ASSIGNED and conversation.agent == command.agent_id:
        return []
    if not same or conversation.status is not Status.OFFERED:
        raise refusals.offer_ended(command.offer_id, conversation)
    if conversation.offered_to != command.agent_id:
        raise refusals.offer_of_another(command.offer_id)
    return [ConversationAssigned(command.agent_id, conversation.team, command.offer_id)]


def _decline(conversation: Conversation, command: DeclineOffer) -> list[Payload]:
    if conversation.status is not Status.OFFERED or conversation.offer_id != command.offer_id:
        raise refusals.offer_ended(command.offer_id, conversation)
    if conversation.offered_to != command.agent_id:
        raise refusals.offer_of_another(command.offer_id)
    declined = OfferDeclined(command.offer_id, command.agent_id, command.reason)
    return [declined, ConversationQueued(conversation.team, QueueReason.OFFER_ENDED, conversation.entered_at)]


def _must_hold(conversation: Conversation, agent_id: str, asked: Input) -> None:
    if conversation.status is not Status.ASSIGNED:
        raise refusals.wrong_status(conversation, "accept it first")
    if conversation.agent != agent_id and not asked.supervising:
        raise refusals.not_assigned(conversation)


def _transfer(pool: Pool, conversation: Conversation, command: Transfer, asked: Input, now: datetime) -> list[Payload]:
    if command.to_team not in pool.teams:
        raise refusals.no_team(command.to_team)
    if conversation.status is Status.RESOLVED:
        raise refusals.wrong_status(conversation, "reopen it first")
    if not asked.supervising:
        _must_hold(conversation, command.agent_id, asked)
    found: list[Payload] = []
    if conversation.status is Status.OFFERED:
        found.append(rescinded(conversation, RescindReason.TRANSFERRED))
    transferred = ConversationTransferred(conversation.team, conversation.agent, command.to_team, command.reason)
    return [*found, transferred, ConversationQueued(command.to_team, QueueReason.TRANSFERRED, now)]


def _resolve(conversation: Conversation, agent_id: str, asked: Input) -> list[Payload]:
    if conversation.status is Status.RESOLVED:
        return []
    if not asked.supervising:
        _must_hold(conversation, agent_id, asked)
    found: list[Payload] = []
    if conversation.status is Status.OFFERED:
        found.append(rescinded(conversation, RescindReason.RESOLVED))
    return [*found, ConversationResolved(agent_id, conversation.team)]


def _reopen(pool: Pool, conversation: Conversation, now: datetime) -> list[Payload]:
    if conversation.status is not Status.RESOLVED:
        return []
    team = conversation.team if conversation.team in pool.teams else min(pool.teams)
    return [ConversationReopened(ReopenReason.AGENT), ConversationQueued(team, QueueReason.REOPENED, now)]
