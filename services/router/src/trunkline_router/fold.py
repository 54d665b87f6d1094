"""evolve: what an event does to the state. It never refuses: the event has happened."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

from trunkline_router import estimate, fold_agents, handover, holds, promises
from trunkline_router.events import (
    AttributesChanged,
    CallbackScheduled,
    ConversationAbsorbed,
    ConversationAssigned,
    ConversationMerged,
    ConversationPayload,
    ConversationQueued,
    ConversationRejected,
    ConversationReleased,
    ConversationReopened,
    ConversationResolved,
    ConversationSnoozed,
    ConversationSplit,
    ConversationStarted,
    ConversationTransferred,
    ConversationWoken,
    DeliveryUpdated,
    Event,
    ExclusionsCleared,
    MessageReceived,
    MessageSent,
    NoteAdded,
    OfferDeclined,
    OfferMade,
    OfferRescinded,
    OfferTimedOut,
)
from trunkline_router.facts import DeliveryStatus, QueueReason, Unanswered
from trunkline_router.handed import ConversationHandedOver, ConversationTakenOver
from trunkline_router.pool import BEGINNING, Conversation, Offer, Status
from trunkline_router.pool_events import PoolPayload
from trunkline_router.state import Engine

#: Reasons for which it comes back to the step it was in, and does not enter it (routing 3.2).
SAME_STEP = (
    QueueReason.OFFER_ENDED,
    QueueReason.RELEASED,
    QueueReason.AGENT_LOST,
    QueueReason.WOKEN,
    QueueReason.CHANGED,
)
#: Reasons for which it is where somebody sent it, not where a policy did.
SENT = (
    QueueReason.TRANSFERRED,
    QueueReason.TEAM_REMOVED,
    QueueReason.OVERFLOW,
    QueueReason.ESCALATED,
    QueueReason.CALLBACK_DUE,
    QueueReason.SPLIT,
)
#: Reasons for which a visit to the queue goes on: who declined it is not asked again (routing 3.7).
SAME_VISIT = (QueueReason.OFFER_ENDED, QueueReason.RELAXED, QueueReason.PREFERRED_WAITED, QueueReason.CHANGED)
MAX_TEXT = 4000  # characters of the last message that conditions can see


OfferPayload = OfferMade | OfferDeclined | OfferTimedOut | OfferRescinded | ExclusionsCleared
EndPayload = (
    ConversationTransferred
    | ConversationReleased
    | ConversationRejected
    | ConversationMerged
    | ConversationResolved
    | ConversationSnoozed
    | ConversationWoken
    | CallbackScheduled
    | ConversationHandedOver
)


def evolve(to: Engine, event: Event) -> None:
    """Apply one event, in order of pool_seq."""
    pool, payload, at = to.pool, event.payload, event.occurred_at
    pool.seq, pool.last_at, to.index.now = event.pool_seq, at, at
    if isinstance(payload, PoolPayload):
        fold_agents.evolve(to, payload, at)
        return
    if isinstance(payload, ConversationStarted | ConversationTakenOver):
        pool.conversations[event.conversation_id] = handover.begun(event, payload)
        return
    conversation = pool.conversations[event.conversation_id]
    conversation.seq = event.seq
    _evolve(to, conversation, payload, at)
    to.time(conversation)


def _evolve(to: Engine, c: Conversation, payload: ConversationPayload, at: datetime) -> None:
    match payload:
        case MessageReceived():
            c.reply_address = payload.reply_address
            c.references = payload.references or c.references
            c.last_text = payload.content.text[:MAX_TEXT]
            c.last_message = payload.provider_message_id
            if not payload.automatic:
                c.messages += 1
                promises.keep(to, c, (*c.unanswered, Unanswered(c.seq, at)))
        case MessageSent(automatic=None):
            promises.answered(to, c, payload)
        case MessageSent(automatic=str(kind)):
            c.told.add(kind)
        case AttributesChanged(attributes):
            c.attributes = attributes
        case ConversationAbsorbed():
            _absorb(to, c, payload)
        case ConversationSplit(unanswered_moved=True):
            promises.keep(to, c, ())
        case DeliveryUpdated(message_id, DeliveryStatus.FAILED):
            promises.not_delivered(to, c, message_id)
        case ConversationReopened(same_cycle=same):
            c.resolved_at, c.status, c.sent, c.entered_at = None, Status.NEW, False, BEGINNING
            if not same:
                c.cycle, c.cycle_began_at, c.transfers, c.told = c.cycle + 1, at, 0, set()
                c.messages = 0
        case NoteAdded() | DeliveryUpdated() | ConversationSplit() | MessageSent():
            pass
        case ConversationStarted() | ConversationTakenOver():
            pass
        case ConversationQueued():
            _queue(to, c, payload)
        case OfferMade() | OfferDeclined() | OfferTimedOut() | OfferRescinded() | ExclusionsCleared():
            _evolve_offer(to, c, payload, at)
        case ConversationAssigned():
            _assign(to, c, payload, at)
        case _:
            _evolve_end(to, c, payload, at)


def _evolve_offer(to: Engine, c: Conversation, payload: OfferPayload, at: datetime) -> None:
    match payload:
        case OfferMade(offer_id, agent_id, expires_at):
            _offer(to, c, offer_id, Offer(agent_id, expires_at))
        case OfferRescinded(offer_id):
            _end_offer(to, c, offer_id)
        case OfferDeclined(offer_id, agent_id) | OfferTimedOut(offer_id, agent_id):
            _end_offer(to, c, offer_id)
            _exclude(to, c, agent_id, at)
            if agent_id in to.pool.agents:
                missed = isinstance(payload, OfferTimedOut)
                to.pool.agents[agent_id].missed = to.pool.agents[agent_id].missed + 1 if missed else 0
        case ExclusionsCleared():
            c.excluded, c.reoffer_at = set(), None
            to.touched.add(c.id)
        case _:
            assert_never(payload)


def _evolve_end(to: Engine, c: Conversation, payload: EndPayload, at: datetime) -> None:
    """Out of the queue, out of somebody's hands, or back into them."""
    match payload:
        case ConversationTransferred():
            _leave(to, c)
            c.transfers, c.sent = c.transfers + 1, True
        case ConversationHandedOver():
            handover.leave_behind(c, payload)
        case ConversationReleased():
            _leave(to, c)
        case ConversationRejected():
            _end(to, c, at)
        case ConversationMerged(into):
            _end(to, c, at)
            promises.forget(c)
            c.merged_into = into
        case ConversationResolved(_, _, wrap_until):
            _resolve(to, c, wrap_until, at)
        case ConversationSnoozed(agent_id, until):
            _snooze(to, c, agent_id, until)
        case ConversationWoken(_, agent_id):
            _wake(to, c, agent_id)
        case CallbackScheduled(begins_at, ends_at, team):
            _leave(to, c)
            c.status, c.callback, c.team = Status.SCHEDULED, (begins_at, ends_at), team
        case _:
            assert_never(payload)


# -- the queue


def _queue(to: Engine, c: Conversation, q: ConversationQueued) -> None:
    _leave(to, c, keep_exclusions=q.reason in SAME_VISIT)
    entered = (q.policy, q.step, q.team) != (c.policy, c.step, c.team) or q.reason not in SAME_STEP
    c.sent = not q.policy and (c.sent or q.reason in SENT)
    c.team, c.entered_at, c.status = q.team, q.entered_at, Status.QUEUED
    c.policy, c.step, c.skills, c.boost_s, c.tier = q.policy, q.step, q.skills, q.boost_s, q.tier
    c.strategy, c.step_ends_at, c.by_hand = q.strategy, q.step_ends_at, q.assigned_by_hand
    c.preferred, c.preferred_until = q.preferred, q.preferred_until
    if q.due_at is not None:
        c.dues = c.dues | {q.team: q.due_at}
    to.enqueue(c)
    if entered and q.preferred_until is None:  # who is waited for might serve it yet
        to.entered.append(c.id)


def _exclude(to: Engine, c: Conversation, agent_id: str, at: datetime) -> None:
    c.excluded.add(agent_id)
    if c.reoffer_at is None and c.team in to.pool.teams:
        c.reoffer_at = at + timedelta(seconds=to.pool.teams[c.team].reoffer_after_s)


def _absorb(to: Engine, c: Conversation, other: ConversationAbsorbed) -> None:
    if c.status is Status.QUEUED:
        to.dequeue(c)
    c.entered_at, c.started_at = other.entered_at, min(c.started_at, other.started_at or c.started_at)
    if c.status is Status.QUEUED:
        to.enqueue(c)
    if other.unanswered_since is not None:
        promises.keep(to, c, (*c.unanswered, Unanswered(c.seq, other.unanswered_since)))


# -- offers and assignments


def _offer(to: Engine, c: Conversation, offer_id: str, offer: Offer) -> None:
    if c.status is Status.QUEUED:
        to.dequeue(c)
    c.status, c.offers[offer_id] = Status.OFFERED, offer
    agent = to.pool.agents[offer.agent]
    agent.offered += 1
    holds.turn(to.pool, agent, c.team)
    holds.hold(to, agent, c)


def _end_offer(to: Engine, c: Conversation, offer_id: str) -> None:
    offer = c.offers.pop(offer_id)
    agent = to.pool.agents.get(offer.agent)
    if agent is not None:
        agent.offered -= 1
        holds.let_go(to, agent, c)


def _assign(to: Engine, c: Conversation, payload: ConversationAssigned, at: datetime) -> None:
    agent_id = payload.agent_id
    if c.status is Status.QUEUED:
        to.dequeue(c)
    c.team, c.accepted_offer = payload.team, payload.offer_id
    for offer_id in [o for o, offer in c.offers.items() if offer.agent == agent_id]:
        _end_offer(to, c, offer_id)
    agent = to.pool.agents[agent_id]
    c.status, c.agent, c.last_agent, c.assigned_at = Status.ASSIGNED, agent_id, agent_id, at
    c.callback = None
    holds.hold(to, agent, c)
    agent.last_assigned_at, agent.assigned = at, agent.assigned + 1
    if payload.offer_id:  # others put it into their hands
        agent.missed = 0
    agent.recent = [*holds.within_window(to.pool, agent, at), at]
    if not payload.offer_id and not payload.by_hand:
        holds.turn(to.pool, agent, c.team)
    to.put(agent)


def _leave(to: Engine, c: Conversation, *, keep_exclusions: bool = False) -> None:
    """Take it from where it is: the queue, or an agent's hands. Its offers were ended by events of their own."""
    if c.status is Status.QUEUED:
        to.dequeue(c)
    holds.put_down(to, c)
    if not keep_exclusions:
        c.excluded, c.reoffer_at = set(), None
    c.agent, c.wakes_at, c.callback = "", None, None
    c.preferred, c.preferred_until, c.step_ends_at = (), None, None


def _snooze(to: Engine, c: Conversation, agent_id: str, until: datetime) -> None:
    """It is their agent's still; its units are where its channel class says so (routing 4.3)."""
    _leave(to, c)
    c.agent, c.status, c.wakes_at = agent_id, Status.SNOOZED, until
    agent = to.pool.agents.get(agent_id)
    if agent is not None and to.channel_class(c.channel).snoozed_counts:
        holds.hold(to, agent, c)


def _wake(to: Engine, c: Conversation, agent_id: str) -> None:
    c.wakes_at = None
    if agent_id:
        c.status, c.agent = Status.ASSIGNED, agent_id
        holds.hold(to, to.pool.agents[agent_id], c)


def _end(to: Engine, c: Conversation, at: datetime) -> None:
    _leave(to, c)
    c.status, c.resolved_at = Status.RESOLVED, at


def _resolve(to: Engine, c: Conversation, wrap_until: datetime | None, at: datetime) -> None:
    holder = to.pool.agents.get(c.agent)
    if holder is not None and c.assigned_at is not None and c.status is Status.ASSIGNED:
        estimate.learn(to.pool, c.team, (at - c.assigned_at).total_seconds(), at)
    _end(to, c, at)
    promises.forget(c)
    if holder is not None and wrap_until is not None:
        holds.hold(to, holder, c)
        holder.wraps[c.id] = wrap_until
        to.put(holder)
