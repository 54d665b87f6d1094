"""From one pool to another: what is handed over, how the other engine goes on, and where a conversation is now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from uuid import UUID, uuid5

from trunkline_router import policies, promises, refusals
from trunkline_router.changes import Decision
from trunkline_router.events import ConversationAssigned, ConversationStarted, Event, Payload
from trunkline_router.facts import QueueReason, Unanswered
from trunkline_router.handed import (
    ConversationHandedOver,
    ConversationState,
    ConversationTakenOver,
    Place,
    Sighting,
    TakeOver,
)
from trunkline_router.pool import BEGINNING, Conversation, Pool, Status
from trunkline_router.state import Engine

FORWARDED = UUID("b0f3f8b4-8f0c-5b0a-9a1e-5c1c2f6d7e32")


# -- the pool that gives it away


def to_pool(pool: Pool, team: str) -> str | None:
    """The tenant's other pool whose team it is."""
    return dict(pool.config.elsewhere).get(team)


def handed_over(c: Conversation, pool: str, team: str, agent: str, seq: int) -> ConversationHandedOver:
    """The last event of a transfer; `seq` is its own."""
    return ConversationHandedOver(pool, team, agent, state_of(c, seq, c.transfers + 1))


def state_of(c: Conversation, seq: int, transfers: int) -> ConversationState:
    """What of a conversation is not of its place in a queue or in somebody's hands."""
    known = {f.name: getattr(c, f.name) for f in fields(ConversationState)}
    return ConversationState(**known | {"seq": seq, "transfers": transfers, "told": tuple(sorted(c.told))})


def leave_behind(c: Conversation, payload: ConversationHandedOver) -> None:
    """What is kept of it: where it went."""
    c.status, c.moved_to, c.team = Status.MOVED, payload.to_pool, payload.team
    c.last_text, c.references = "", ()
    promises.forget(c)


# -- the pool that gets it


def take_over(engine: Engine, asked: TakeOver, now: datetime) -> Decision:
    """It waits for the team it was transferred to, or its agent has it; [] where that was so before.

    What comes back with the seq it was given away with found nobody there to take it.
    """
    known = engine.pool.conversations.get(asked.conversation_id)
    if known is not None and known.seq > asked.state.seq:
        return []
    if known is not None and known.status is not Status.MOVED:
        raise refusals.already_there(known.id)
    taken = ConversationTakenOver(asked.from_pool, asked.team, asked.agent_id, asked.state)
    coming = _made(asked.conversation_id, 0, asked.state)
    coming.team = asked.team
    if engine.pool.dropped:
        return [(coming.id, taken)]  # and on at once: see leaving.py
    return [(coming.id, taken), (coming.id, _placed(engine, coming, asked, now))]


def _placed(engine: Engine, c: Conversation, asked: TakeOver, now: datetime) -> Payload:
    entered_at = asked.state.entered_at if asked.removed and asked.state.entered_at > BEGINNING else now
    if asked.team not in engine.pool.teams or asked.removed:
        team = asked.team if asked.team in engine.pool.teams else policies.home(engine, c)
        return policies.in_team(engine, c, team, now, QueueReason.TEAM_REMOVED, entered_at=entered_at)
    agent = engine.pool.agents.get(asked.agent_id)
    if agent is not None and asked.team in agent.config.teams:
        return ConversationAssigned(asked.agent_id, asked.team, "", by_hand=True)
    return policies.in_team(engine, c, asked.team, now, QueueReason.TRANSFERRED)


def begun(event: Event, payload: ConversationStarted | ConversationTakenOver) -> Conversation:
    """A conversation as its first event in a pool makes it."""
    if isinstance(payload, ConversationTakenOver):
        made = _made(event.conversation_id, event.pool_seq, payload.state)
        made.team, made.sent = payload.team, True
    else:
        p = payload
        made = Conversation(
            event.conversation_id, event.pool_seq, p.channel, p.account, p.contact, p.subject, p.customer
        )
        made.attributes, made.cycle, made.cycle_began_at = p.attributes, 1, event.occurred_at
        made.started_at, made.unanswered_since = event.occurred_at, p.unanswered_since
        made.unanswered = (Unanswered(event.seq, p.unanswered_since),) if p.unanswered_since else ()
    made.seq = event.seq
    return made


def _made(conversation_id: str, ordinal: int, state: ConversationState) -> Conversation:
    carried = {f.name: getattr(state, f.name) for f in fields(state)}
    return Conversation(id=conversation_id, ordinal=ordinal, **carried | {"told": set(state.told)})


# -- what still arrives where it was


def whereabouts(pool: Pool, conversation_id: str, *, merged: bool) -> Conversation | None:
    """The conversation that another pool has now; with `merged` the one it was merged into, where messages go."""
    found = pool.surviving(conversation_id) if merged else pool.conversations.get(conversation_id)
    return found if found is not None and found.status is Status.MOVED else None


def place_of(gone: Conversation) -> Place:
    """Where it went."""
    return Place(gone.id, gone.moved_to, gone.seq)


def seen_elsewhere(conversation_id: str, own: str, sightings: Iterable[Sighting]) -> Place | None:
    """Where a conversation is that is new to a pool; None: nowhere, it begins here.

    One that is on its way here is asked for where it comes from: what is sent on from there comes after it.
    """
    last = max((s for s in sightings if s.pool != own), key=lambda s: s.seq, default=None)
    if last is None:
        return None
    return Place(conversation_id, last.to_pool if last.to_pool not in ("", own) else last.pool, last.seq)


def forwarded_id(event_id: str, place: Place) -> str:
    """The id under which something is sent on after a conversation: another one for every hand-over it follows.

    So a copy counts once, and what follows it to a pool where it was before counts there too.
    """
    return str(uuid5(FORWARDED, f"{event_id}/{place.pool}/{place.seq}"))


def begun_id(conversation_id: str) -> str:
    """What only one transaction at a time may note: of two pools that hear first of a conversation, one waits."""
    return str(uuid5(FORWARDED, f"{conversation_id}/begun"))


def hand_over_id(conversation_id: str, seq: int, to: str) -> str:
    """The id of the record that brings a conversation to a pool."""
    return str(uuid5(FORWARDED, f"{conversation_id}/{seq}/{to}"))
