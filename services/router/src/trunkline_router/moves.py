"""Decisions that move a conversation: transfer, assignment by hand, release, merge, split, callback, a start by us."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from trunkline_router import changes, policies, refusals
from trunkline_router.changes import Decision
from trunkline_router.events import (
    AttributesChanged,
    CallbackScheduled,
    ConversationAbsorbed,
    ConversationAssigned,
    ConversationMerged,
    ConversationQueued,
    ConversationReleased,
    ConversationReopened,
    ConversationSplit,
    ConversationStarted,
    ConversationTransferred,
    MessageSent,
    Payload,
)
from trunkline_router.facts import QueueReason, ReopenReason, RescindReason
from trunkline_router.inputs import Assign, Input, Merge, Release, ScheduleCallback, Split, StartConversation, Transfer
from trunkline_router.pool import ENDED, Conversation, Status
from trunkline_router.state import Engine


def transfer(engine: Engine, c: Conversation, command: Transfer, asked: Input, now: datetime) -> list[Payload]:
    """To another team's queue or into an agent's hands; too often, to those who decide such cases (features 12)."""
    team, limits = command.to_team, engine.pool.config.limits
    if team not in engine.pool.teams:
        raise refusals.no_team(team)
    asked_team = ""
    if limits.max_transfers and c.transfers >= limits.max_transfers and not asked.supervising:
        if not limits.escalation_team or c.team == limits.escalation_team:
            raise refusals.transfer_limit(c, limits.max_transfers)
        asked_team, team = team, limits.escalation_team
    agent = "" if asked_team else command.to_agent_id
    moved = ConversationTransferred(c.team, c.agent, team, command.reason, agent, asked_team)
    taken_back = changes.rescinds(c, RescindReason.TRANSFERRED)
    if agent:
        _member(engine, agent, team)
        return [*taken_back, moved, ConversationAssigned(agent, team, "", by_hand=True)]
    reason = QueueReason.ESCALATED if asked_team else QueueReason.TRANSFERRED
    return [*taken_back, moved, policies.in_team(engine, c, team, now, reason)]


def _member(engine: Engine, agent_id: str, team: str) -> None:
    agent = engine.pool.agents.get(agent_id)
    if agent is None:
        raise refusals.no_agent(agent_id)
    if team not in agent.config.teams:
        raise refusals.agent_outside(agent_id, team)


def assign(engine: Engine, c: Conversation, command: Assign, asked: Input) -> list[Payload]:
    """By hand, beyond capacity if need be (routing 3.8). An agent pulls what waits; a supervisor moves anything."""
    if c.status is Status.ASSIGNED and c.agent == command.to_agent_id:
        return []
    if c.status in ENDED:
        raise refusals.wrong_status(c, "reopen it first")
    if not asked.supervising:
        if command.to_agent_id != command.agent_id:
            raise refusals.not_assigned(c)
        if c.status is Status.ASSIGNED:
            raise refusals.wrong_status(c, "ask its agent to release it")
    _member(engine, command.to_agent_id, c.team)
    found = changes.rescinds(c, RescindReason.TAKEN)
    if c.status in (Status.ASSIGNED, Status.SNOOZED):
        found.append(ConversationReleased(c.agent, "assigned to another agent"))
    return [*found, ConversationAssigned(command.to_agent_id, c.team, "", by_hand=True)]


def release(engine: Engine, c: Conversation, command: Release, now: datetime) -> list[Payload]:
    """Back to its place in the queue."""
    released = ConversationReleased(c.agent, command.reason)
    return [released, policies.again(engine, c, now, QueueReason.RELEASED)]


def schedule(engine: Engine, c: Conversation, command: ScheduleCallback, now: datetime) -> list[Payload]:
    """To be called in a window; until then it waits in no queue (features 22)."""
    if command.team not in engine.pool.teams:
        raise refusals.no_team(command.team)
    if command.begins_at <= now:
        raise refusals.wrong_time("begins_at", "must be in the future")
    if command.ends_at <= command.begins_at:
        raise refusals.wrong_time("ends_at", "must be after begins_at")
    taken_back = changes.rescinds(c, RescindReason.TRANSFERRED)
    return [*taken_back, CallbackScheduled(command.begins_at, command.ends_at, command.team)]


def merge(engine: Engine, c: Conversation, command: Merge) -> Decision:
    """The other one goes on, with the earlier of the two places (routing 3.13)."""
    survivor = engine.pool.conversations.get(command.into)
    if survivor is None:
        raise refusals.no_conversation(command.into)
    if c.merged_into == survivor.id:
        return []
    if survivor.id == c.id:
        raise refusals.cannot_merge(c.id, survivor.id, "they are the same")
    if survivor.status in ENDED or c.merged_into or survivor.merged_into:
        raise refusals.cannot_merge(c.id, survivor.id, "only conversations that are not merged yet, into an open one")
    merged: list[Payload] = [*changes.rescinds(c, RescindReason.MERGED), ConversationMerged(survivor.id)]
    earlier = survivor.entered_at if c.status in ENDED else min(c.entered_at, survivor.entered_at)
    return [*((c.id, p) for p in merged), (survivor.id, ConversationAbsorbed(c.id, earlier))]


def split(engine: Engine, c: Conversation, command: Split, now: datetime) -> Decision:
    """A new conversation of the same contact, at the end of a team's queue (routing 3.13)."""
    if command.team not in engine.pool.teams:
        raise refusals.no_team(command.team)
    if command.new_id in engine.pool.conversations:
        raise refusals.already_there(command.new_id)
    subject = command.subject or c.subject
    started = ConversationStarted(c.channel, c.account, c.contact, subject, c.customer, c.attributes)
    queued = ConversationQueued(
        command.team,
        QueueReason.SPLIT,
        now,
        boost_s=policies.boost(engine.pool, c.attributes.priority),
        assigned_by_hand=not engine.pool.teams[command.team].assigns,
    )
    return [(c.id, ConversationSplit(command.new_id)), (command.new_id, started), (command.new_id, queued)]


def start(engine: Engine, command: StartConversation) -> Decision:
    """We write first: its agent holds it, or nobody does until the customer answers (features 21).

    A thread whose last cycle has ended begins a new one; into an open one its agent writes.
    """
    known = engine.pool.conversations.get(command.conversation_id)
    if known is not None and (known.status is not Status.RESOLVED or known.merged_into):
        raise refusals.already_there(command.conversation_id)
    team = engine.pool.team_of(command.account)
    sent = MessageSent(command.message_id, command.agent_id, command.content, command.channel, command.account)
    found: list[Payload] = [*_begun(command, known), sent]
    if command.agent_id:
        _member(engine, command.agent_id, team)
        found.append(ConversationAssigned(command.agent_id, team, "", by_hand=True))
    return [(command.conversation_id, p) for p in found]


def _begun(command: StartConversation, known: Conversation | None) -> list[Payload]:
    if known is not None:
        values = dict(known.attributes.values) | dict(command.attributes.values)
        new = replace(known.attributes, values=tuple(sorted(values.items())))
        changed: list[Payload] = [AttributesChanged(new)] if new != known.attributes else []
        return [ConversationReopened(ReopenReason.AGENT), *changed]
    return [
        ConversationStarted(
            command.channel,
            command.account,
            command.contact,
            command.content.subject,
            command.customer,
            command.attributes,
            outbound=True,
        )
    ]
