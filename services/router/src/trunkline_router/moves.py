"""Decisions that move a conversation: transfer, assignment by hand, release, merge, split, callback, a start by us."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from trunkline_router import changes, handover, policies, refusals
from trunkline_router.changes import Decision
from trunkline_router.events import (
    AttributesChanged,
    CallbackScheduled,
    ConversationAbsorbed,
    ConversationAssigned,
    ConversationMerged,
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
from trunkline_router.pool import BEGINNING, ENDED, Conversation, Status
from trunkline_router.state import Engine


def transfer(engine: Engine, c: Conversation, command: Transfer, asked: Input, now: datetime) -> list[Payload]:
    """To another team's queue or into an agent's hands; too often, to those who decide such cases (features 12)."""
    team, limits, elsewhere = command.to_team, engine.pool.config.limits, handover.to_pool(engine.pool, command.to_team)
    if team not in engine.pool.teams and elsewhere is None:
        raise refusals.no_team(team)
    asked_team = ""
    if limits.max_transfers and c.transfers >= limits.max_transfers and not asked.supervising:
        if not limits.escalation_team or c.team == limits.escalation_team:
            raise refusals.transfer_limit(c, limits.max_transfers)
        asked_team, team, elsewhere = team, limits.escalation_team, None
    agent = "" if asked_team else command.to_agent_id
    moved = ConversationTransferred(c.team, c.agent, team, command.reason, agent, asked_team)
    taken_back = changes.rescinds(c, RescindReason.TRANSFERRED)
    if elsewhere is not None:
        last = c.seq + len(taken_back) + 2
        return [*taken_back, moved, handover.handed_over(c, elsewhere, team, agent, last)]
    if agent:
        _member(engine, agent, team)
        return [*taken_back, moved, ConversationAssigned(agent, team, "", by_hand=True)]
    reason = QueueReason.ESCALATED if asked_team else QueueReason.TRANSFERRED
    return [*taken_back, moved, policies.in_team(engine, c, team, now, reason)]


def _own_team(engine: Engine, team: str) -> None:
    elsewhere = handover.to_pool(engine.pool, team)
    if team not in engine.pool.teams:
        raise refusals.no_team(team) if elsewhere is None else refusals.other_pool(team, elsewhere)


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
    if c.status is Status.RESOLVED:
        raise refusals.wrong_status(c, "reopen it first")
    if not asked.supervising:
        _may_pull(c, command)
    team = c.team if c.team in engine.pool.teams else policies.home(engine, c)
    _member(engine, command.to_agent_id, team)
    found = changes.rescinds(c, RescindReason.TAKEN)
    if c.status in (Status.ASSIGNED, Status.SNOOZED):
        found.append(ConversationReleased(c.agent, "assigned to another agent"))
    return [*found, ConversationAssigned(command.to_agent_id, team, "", by_hand=True)]


def _may_pull(c: Conversation, command: Assign) -> None:
    """What waits, for themselves; of what sleeps only their own."""
    allowed = c.attributes.allowed_agents
    if command.to_agent_id != command.agent_id:
        raise refusals.not_assigned(c)
    if c.status is Status.ASSIGNED or (c.status is Status.SNOOZED and c.agent != command.agent_id):
        raise refusals.wrong_status(c, "ask its agent to release it")
    if allowed and command.agent_id not in allowed:
        raise refusals.only_for_others(c)


def release(engine: Engine, c: Conversation, command: Release, now: datetime) -> list[Payload]:
    """Back to its place in the queue."""
    released = ConversationReleased(c.agent, command.reason)
    return [released, policies.anew(engine, c, now, QueueReason.RELEASED)]


def schedule(engine: Engine, c: Conversation, command: ScheduleCallback, now: datetime) -> list[Payload]:
    """To be called in a window; until then it waits in no queue (features 22)."""
    _own_team(engine, command.team)
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
    if survivor.status is Status.MOVED:
        raise refusals.cannot_merge(c.id, survivor.id, f"that one is of pool {survivor.moved_to}; transfer one of them")
    if survivor.id == c.id:
        raise refusals.cannot_merge(c.id, survivor.id, "they are the same")
    if survivor.status in ENDED or c.merged_into or survivor.merged_into:
        raise refusals.cannot_merge(c.id, survivor.id, "only conversations that are not merged yet, into an open one")
    merged: list[Payload] = [*changes.rescinds(c, RescindReason.MERGED), ConversationMerged(survivor.id)]
    waited = [survivor.entered_at] if c.status in ENDED else [c.entered_at, survivor.entered_at]
    earlier = min((at for at in waited if at > BEGINNING), default=BEGINNING)
    began = None if c.status is Status.RESOLVED else c.started_at
    absorbed = ConversationAbsorbed(c.id, earlier, began, c.unanswered_since)
    return [*((c.id, p) for p in merged), (survivor.id, absorbed)]


def split(engine: Engine, c: Conversation, command: Split, now: datetime) -> Decision:
    """A new conversation of the same contact, at the end of a team's queue (routing 3.13)."""
    _own_team(engine, command.team)
    if command.new_id in engine.pool.conversations:
        raise refusals.already_there(command.new_id)
    subject, new = command.subject or c.subject, command.new_id
    since = c.unanswered_since if command.with_unanswered else None
    started = ConversationStarted(
        c.channel, c.account, c.contact, subject, c.customer, c.attributes, split_from=c.id, unanswered_since=since
    )
    coming = Conversation(new, 0, c.channel, c.account, c.contact, subject, c.customer, attributes=c.attributes)
    coming.cycle, coming.cycle_began_at, coming.entered_at = 1, now, now
    queued = policies.in_team(engine, coming, command.team, now, QueueReason.SPLIT)
    return [(c.id, ConversationSplit(new, since is not None)), (new, started), (new, queued)]


def start(engine: Engine, command: StartConversation) -> Decision:
    """We write first: its agent holds it, or nobody does until the customer answers (features 21).

    A thread whose last cycle has ended begins a new one; into an open one its agent writes.
    """
    known = engine.pool.conversations.get(command.conversation_id)
    if known is not None and (known.status is not Status.RESOLVED or known.merged_into):
        raise refusals.already_there(command.conversation_id)
    team = engine.pool.team_of(command.account)
    sent = MessageSent(
        command.message_id,
        command.agent_id,
        command.content,
        command.channel,
        command.account,
        bot=changes.is_bot(engine.pool, command.agent_id),
    )
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
