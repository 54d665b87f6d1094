"""What people ask for about a conversation: decided on the state, refused with the facts, [] where it is already so."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from trunkline_router import changes, closing, moves, policies, refusals
from trunkline_router.changes import Decision
from trunkline_router.events import (
    ConversationAssigned,
    ConversationReopened,
    ConversationSnoozed,
    ConversationWoken,
    NoteAdded,
    OfferDeclined,
    Payload,
)
from trunkline_router.facts import Presence, QueueReason, ReopenReason, RescindReason, WakeReason
from trunkline_router.inputs import (
    AcceptOffer,
    AddNote,
    Assign,
    ChangeAttributes,
    ConversationCommand,
    DeclineOffer,
    Input,
    Merge,
    Release,
    Reopen,
    Resolve,
    ScheduleCallback,
    SendReply,
    Snooze,
    Split,
    StartConversation,
    Transfer,
    Wake,
)
from trunkline_router.pool import Agent, Conversation, Status
from trunkline_router.state import Engine


def decide(engine: Engine, command: ConversationCommand, asked: Input, now: datetime) -> Decision:
    """What follows from a command. Raises Refusal."""
    if command.agent_id or not (asked.supervising or isinstance(command, StartConversation)):
        known_agent(engine, command.agent_id)
    if isinstance(command, StartConversation):
        return moves.start(engine, command)
    conversation = known_conversation(engine, command.conversation_id)
    match command:
        case Merge():
            return _merge(engine, conversation, command, now)
        case Split():
            return moves.split(engine, conversation, command, now)
        case _:
            return [(conversation.id, p) for p in _about(engine, conversation, command, asked, now)]


def _about(engine: Engine, c: Conversation, command: ConversationCommand, asked: Input, now: datetime) -> list[Payload]:
    match command:
        case AcceptOffer():
            return _accept(c, command)
        case DeclineOffer():
            return _decline(engine, c, command, now)
        case SendReply(_, agent_id, message_id, content, through):
            must_hold(c, agent_id, asked)
            if not 0 <= through <= c.seq:
                raise refusals.wrong_seq("answers_through_seq", c)
            return [changes.said_by(engine.pool, c, agent_id, message_id, content, through)]
        case AddNote(_, agent_id, note_id, text):
            return [NoteAdded(note_id, agent_id, text)]
        case Transfer():
            must_hold_if_agent(c, command.agent_id, asked)
            return moves.transfer(engine, c, command, asked, now)
        case Assign():
            return moves.assign(engine, c, command, asked)
        case Release():
            must_hold(c, command.agent_id, asked)
            return moves.release(engine, c, command, now)
        case Snooze():
            return _snooze(c, command, asked, now)
        case Wake():
            return _woken(engine, c, command, asked, now)
        case Resolve():
            return _resolve(engine, c, command, asked, now)
        case Reopen():
            return _reopen(engine, c, now)
        case ChangeAttributes():
            return changes.attributes(engine, c, command, now)
        case ScheduleCallback():
            must_hold_if_agent(c, command.agent_id, asked)
            return moves.schedule(engine, c, command, now)
        case Merge() | Split() | StartConversation():
            return []
        case _:
            assert_never(command)


def known_agent(engine: Engine, agent_id: str) -> Agent:
    """The agent of that id. Raises Refusal."""
    agent = engine.pool.agents.get(agent_id)
    if agent is None:
        raise refusals.no_agent(agent_id)
    return agent


def known_conversation(engine: Engine, conversation_id: str) -> Conversation:
    """The conversation of that id. Raises Refusal."""
    conversation = engine.pool.conversations.get(conversation_id)
    if conversation is None:
        raise refusals.no_conversation(conversation_id)
    if conversation.status is Status.MOVED:
        raise refusals.moved(conversation_id, conversation.moved_to)
    return conversation


def must_hold(c: Conversation, agent_id: str, asked: Input) -> None:
    """Only who has it may do this; a supervisor may for them."""
    must_be_theirs(c, agent_id, supervising=asked.supervising)


def must_be_theirs(c: Conversation, agent_id: str, *, supervising: bool, asleep: bool = False) -> None:
    """Assigned (or, with `asleep`, snoozed), and to that agent unless a supervisor asks."""
    if c.status is not Status.ASSIGNED and not (asleep and c.status is Status.SNOOZED):
        raise refusals.wrong_status(c, "accept it first")
    if c.agent != agent_id and not supervising:
        raise refusals.not_assigned(c)


def must_hold_if_agent(c: Conversation, agent_id: str, asked: Input) -> None:
    """A supervisor may do this whoever has it; nobody may where there is nothing to do."""
    if c.status is Status.RESOLVED:
        raise refusals.wrong_status(c, "reopen it first")
    if not asked.supervising:
        must_be_theirs(c, agent_id, supervising=False, asleep=True)


def _merge(engine: Engine, c: Conversation, command: Merge, now: datetime) -> Decision:
    """A survivor that sleeps is woken by what nobody has answered yet."""
    found = moves.merge(engine, c, command)
    survivor = engine.pool.conversations[command.into]
    if found and c.unanswered and survivor.status is Status.SNOOZED:
        found += [(survivor.id, p) for p in wake(engine, survivor, WakeReason.CUSTOMER_MESSAGE, now)]
    return found


def _accept(c: Conversation, command: AcceptOffer) -> list[Payload]:
    offer = c.offers.get(command.offer_id)
    if offer is None:
        if c.status is Status.ASSIGNED and c.agent == command.agent_id and c.accepted_offer == command.offer_id:
            return []
        raise refusals.offer_ended(command.offer_id, c)
    if offer.agent != command.agent_id:
        raise refusals.offer_of_another(command.offer_id)
    others = changes.rescinds(c, RescindReason.ACCEPTED_BY_ANOTHER, but=command.offer_id)
    return [*others, ConversationAssigned(command.agent_id, c.team, command.offer_id)]


def _decline(engine: Engine, c: Conversation, command: DeclineOffer, now: datetime) -> list[Payload]:
    offer = c.offers.get(command.offer_id)
    if offer is None:
        raise refusals.offer_ended(command.offer_id, c)
    if offer.agent != command.agent_id:
        raise refusals.offer_of_another(command.offer_id)
    declined = OfferDeclined(command.offer_id, command.agent_id, command.reason)
    return [declined, *changes.back_if_last(engine, c, 1, now)]


def _snooze(c: Conversation, command: Snooze, asked: Input, now: datetime) -> list[Payload]:
    must_hold(c, command.agent_id, asked)
    if command.until <= now:
        raise refusals.wrong_time("until", "must be in the future")
    return [ConversationSnoozed(c.agent, command.until)]


def _woken(engine: Engine, c: Conversation, command: Wake, asked: Input, now: datetime) -> list[Payload]:
    if c.status is not Status.SNOOZED:
        return []
    must_be_theirs(c, command.agent_id, supervising=asked.supervising, asleep=True)
    return wake(engine, c, WakeReason.AGENT, now)


def wake(engine: Engine, c: Conversation, reason: WakeReason, now: datetime) -> list[Payload]:
    """Back to its agent, above capacity if need be (routing 4.3); to the queue where the agent is gone or lost."""
    if _is_back(engine, c):
        return [ConversationWoken(reason, c.agent)]
    return [ConversationWoken(reason, ""), policies.anew(engine, c, now, QueueReason.WOKEN)]


def _is_back(engine: Engine, c: Conversation) -> bool:
    """Whether its agent can have it: an agent who was lost loses what is requeued when that happens (3.9)."""
    agent = engine.pool.agents.get(c.agent)
    if agent is None:
        return False
    lost = agent.presence is Presence.OFFLINE and agent.lost_at is None
    return not (lost and engine.channel_class(c.channel).requeue_when_lost)


def _resolve(engine: Engine, c: Conversation, command: Resolve, asked: Input, now: datetime) -> list[Payload]:
    if c.status is Status.RESOLVED:
        return []
    if not asked.supervising:
        must_be_theirs(c, command.agent_id, supervising=False, asleep=True)
    return closing.resolve(engine, c, command, now, supervising=asked.supervising)


def _reopen(engine: Engine, c: Conversation, now: datetime) -> list[Payload]:
    if c.status is not Status.RESOLVED or c.merged_into:
        return []
    return [
        ConversationReopened(ReopenReason.AGENT, same_cycle=policies.same_cycle(engine, c, now)),
        policies.enter(engine, policies.reopened(engine, c, now), now, QueueReason.REOPENED),
    ]
