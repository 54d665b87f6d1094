"""The input that caused a decision, made from its events and the state before it.

Where several inputs decide the same it is one of them. Who named whom as acting is only kept where the events say so:
it decides who may ask, not what follows; and nothing is logged of what was refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from trunkline_router import events as e
from trunkline_router import inputs as i
from trunkline_router import pool_events as p
from trunkline_router.engine import SYSTEM
from trunkline_router.facts import ActorType, Attributes, Contact, CustomerLookup, DuePreview
from trunkline_router.handed import ConversationTakenOver, TakeOver
from trunkline_router.pool import Pool

TIMER = "timer"  # the cause of what is due
#: Already so: nothing is decided, and what time alone made possible is done.
NOTHING = i.Configure(p.PoolConfigured(0, (), (), ()))
T = TypeVar("T")


class Unreadable(Exception):
    """No input leads to these events."""

    def __init__(self, pool_seq: int, kinds: Sequence[str]) -> None:
        super().__init__(f"no input leads to the events from {pool_seq} on: {', '.join(kinds)}")
        self.pool_seq, self.kinds = pool_seq, tuple(kinds)


@dataclass(frozen=True, slots=True)
class Own:
    """What the input itself led to: the first event of each kind, and what else is known."""

    events: Sequence[e.Event]
    before: Pool

    def has(self, kind: type) -> bool:
        """Whether there is one."""
        return any(isinstance(one.payload, kind) for one in self.events)

    def the(self, kind: type[T]) -> T:
        """The first payload of a kind."""
        return next(one.payload for one in self.events if isinstance(one.payload, kind))

    def id(self, kind: type) -> str:
        """The conversation of the first event of a kind."""
        return next(one.conversation_id for one in self.events if isinstance(one.payload, kind))

    def agent(self, named: str = "") -> str:
        """The agent named, if there is one of that id; somebody else has to ask then."""
        return named if named in self.before.agents else min(self.before.agents, default="")


def from_outside(event: e.Event) -> bool:
    """Whether somebody asked for it; what comes from another pool does, also where nobody transferred it."""
    return event.actor.type is not ActorType.SYSTEM or isinstance(event.payload, ConversationTakenOver)


def asked_of(group: Sequence[e.Event], before: Pool) -> i.Input:
    """What was asked. Raises Unreadable."""
    own = Own([one for one in group if from_outside(one)], before)
    # Who may act on conversations of others is not held up by a limit; where the limit counted, they were not.
    limited = own.has(e.ConversationTransferred) and own.the(e.ConversationTransferred).asked_team != ""
    actor = own.events[0].actor if own.events else SYSTEM
    return i.Input(_body(group, own), group[0].cause, actor, supervising=not limited)


def _body(group: Sequence[e.Event], own: Own) -> i.Body:
    first = group[0]
    if first.cause == TIMER:
        return i.Tick()
    if isinstance(first.payload, p.PoolConfigured):
        return i.Configure(first.payload)
    if not own.events:
        return NOTHING
    if not own.has(e.MessageReceived) and _wrote_first(own):
        return _started(own)
    for kind, make in MADE_FROM:
        if own.has(kind):
            return make(own)
    raise Unreadable(first.pool_seq, [type(one.payload).__name__ for one in group])


def _message(own: Own) -> i.ReceiveMessage:
    said = own.the(e.MessageReceived)
    begun = own.the(e.ConversationStarted) if own.has(e.ConversationStarted) else None
    known = begun.attributes if begun else Attributes(priority="", language="")
    if own.has(e.AttributesChanged):
        known = own.the(e.AttributesChanged).attributes
    return i.ReceiveMessage(
        event_id=said.message_id,
        conversation_id=own.id(e.MessageReceived),
        channel=begun.channel if begun else "",
        account=begun.account if begun else "",
        contact=said.contact,
        content=said.content,
        provider_message_id=said.provider_message_id,
        provider_time=said.provider_time,
        automatic=said.automatic,
        reply_address=said.reply_address,
        references=said.references,
        customer=begun.customer if begun else CustomerLookup(),
        language=known.language,
        tags=known.tags,
        attributes=known.values,
        priority=known.priority,
        due=_due(own),
    )


def _due(own: Own) -> DuePreview:
    """What was said of the queue that it led to."""
    if not own.has(e.ConversationQueued):
        return DuePreview()
    queued = own.the(e.ConversationQueued)
    dues = ((queued.team, queued.due_at),) if queued.due_at is not None else ()
    return DuePreview(dues, dues, queued.due_fallback)


def _take_over(own: Own) -> TakeOver:
    taken, name = own.the(ConversationTakenOver), own.id(ConversationTakenOver)
    first = own.events[0]
    removed = first.actor.type is ActorType.SYSTEM
    return TakeOver(name, taken.from_pool, taken.team, taken.agent_id, first.occurred_at, taken.state, removed)


def _wrote_first(own: Own) -> bool:
    """Whether a message of ours began a cycle."""
    began = own.has(e.ConversationStarted) or own.has(e.ConversationReopened)
    return began and any(isinstance(one.payload, e.MessageSent) and not one.payload.automatic for one in own.events)


def _started(own: Own) -> i.StartConversation:
    sent, name = own.the(e.MessageSent), own.id(e.MessageSent)
    begun = own.the(e.ConversationStarted) if own.has(e.ConversationStarted) else None
    known = own.before.conversations.get(name)
    attributes = begun.attributes if begun else Attributes()
    if own.has(e.AttributesChanged):
        attributes = Attributes(values=own.the(e.AttributesChanged).attributes.values)
    return i.StartConversation(
        name,
        sent.agent_id,
        sent.channel,
        sent.account,
        begun.contact if begun else known.contact if known else Contact(""),
        sent.message_id,
        sent.content,
        begun.customer if begun else CustomerLookup(),
        attributes,
    )


def _split(own: Own) -> i.Split:
    part, team = own.the(e.ConversationSplit).conversation_id, own.the(e.ConversationQueued).team
    subject, moved = own.the(e.ConversationStarted).subject, own.the(e.ConversationSplit).unanswered_moved
    return i.Split(own.id(e.ConversationSplit), own.agent(), part, team, subject, moved)


def _merge(own: Own) -> i.Merge:
    return i.Merge(own.id(e.ConversationMerged), own.agent(), own.the(e.ConversationMerged).into)


def _transfer(own: Own) -> i.Transfer:
    moved = own.the(e.ConversationTransferred)
    agent, team = own.agent(moved.from_agent_id), moved.asked_team or moved.to_team
    return i.Transfer(own.id(e.ConversationTransferred), agent, team, moved.reason, moved.to_agent_id)


def _callback(own: Own) -> i.ScheduleCallback:
    window = own.the(e.CallbackScheduled)
    return i.ScheduleCallback(own.id(e.CallbackScheduled), own.agent(), window.begins_at, window.ends_at, window.team)


def _attributes(own: Own) -> i.ChangeAttributes:
    name, new = own.id(e.AttributesChanged), own.the(e.AttributesChanged).attributes
    known = own.before.conversations[name].attributes if name in own.before.conversations else Attributes()
    values = dict(new.values)
    removed = [(key, None) for key, _ in known.values if key not in values]
    return i.ChangeAttributes(
        name,
        own.agent(),
        (*new.values, *removed),
        new.tags,
        tuple(tag for tag in known.tags if tag not in new.tags),
        new.priority,
        new.language,
        new.allowed_agents,
    )


def _decline(own: Own) -> i.DeclineOffer:
    no = own.the(e.OfferDeclined)
    return i.DeclineOffer(own.id(e.OfferDeclined), no.offer_id, no.agent_id, no.reason)


def _assignment(own: Own) -> i.AcceptOffer | i.Assign:
    name, made = own.id(e.ConversationAssigned), own.the(e.ConversationAssigned)
    if made.offer_id:
        return i.AcceptOffer(name, made.offer_id, made.agent_id)
    return i.Assign(name, own.agent(), made.agent_id)


def _snooze(own: Own) -> i.Snooze:
    asleep = own.the(e.ConversationSnoozed)
    return i.Snooze(own.id(e.ConversationSnoozed), own.agent(asleep.agent_id), asleep.until)


def _resolve(own: Own) -> i.Resolve:
    name, ended = own.id(e.ConversationResolved), own.the(e.ConversationResolved)
    said = own.the(e.MessageSent) if own.has(e.MessageSent) else None
    said_id, word = (said.message_id, said.content) if said else ("", None)
    return i.Resolve(name, ended.agent_id, said_id, word, waive_reason=ended.waived_reason)


def _release(own: Own) -> i.Release:
    back = own.the(e.ConversationReleased)
    return i.Release(own.id(e.ConversationReleased), own.agent(), back.reason)


def _reply(own: Own) -> i.SendReply:
    sent = own.the(e.MessageSent)
    name, through = own.id(e.MessageSent), sent.answers_through_seq
    return i.SendReply(name, sent.agent_id, sent.message_id, sent.content, through)


def _note(own: Own) -> i.AddNote:
    note = own.the(e.NoteAdded)
    return i.AddNote(own.id(e.NoteAdded), note.agent_id, note.note_id, note.text)


def _receipt(own: Own) -> i.RecordReceipt:
    told = own.the(e.DeliveryUpdated)
    return i.RecordReceipt(own.events[0].cause, own.id(e.DeliveryUpdated), told.message_id, told.status, told.error)


def _presence(own: Own) -> i.SetPresence:
    changed = own.the(p.AgentPresenceChanged)
    return i.SetPresence(changed.agent_id, changed.presence)


def _accepting(own: Own) -> i.SetAccepting:
    changed = own.the(p.AgentAcceptingChanged)
    return i.SetAccepting(changed.agent_id, changed.accepting)


def _wrap_up(own: Own) -> i.EndWrapUp:
    ended = own.the(p.WrapUpEnded)
    return i.EndWrapUp(ended.agent_id, ended.conversation_id if len(own.events) == 1 else "")


#: What an input is known by; the first kind that there is counts, as several inputs lead to some of the later ones.
MADE_FROM: Sequence[tuple[type, Callable[[Own], i.Body]]] = (
    (ConversationTakenOver, _take_over),
    (e.MessageReceived, _message),
    (p.AgentPresenceChanged, _presence),
    (p.AgentAcceptingChanged, _accepting),
    (p.AgentRespondsAgain, lambda own: i.ClearNotResponding(own.the(p.AgentRespondsAgain).agent_id)),
    (p.AgentConfigured, lambda own: i.PutAgent(own.the(p.AgentConfigured).agent)),
    (p.AgentRemoved, lambda own: i.DeleteAgent(own.the(p.AgentRemoved).agent_id)),
    (p.WrapUpEnded, _wrap_up),
    (e.ConversationSplit, _split),
    (e.ConversationMerged, _merge),
    (e.ConversationTransferred, _transfer),
    (e.CallbackScheduled, _callback),
    (e.AttributesChanged, _attributes),
    (e.OfferDeclined, _decline),
    (e.ConversationAssigned, _assignment),
    (e.ConversationSnoozed, _snooze),
    (e.ConversationResolved, _resolve),
    (e.ConversationReopened, lambda own: i.Reopen(own.id(e.ConversationReopened), own.agent())),
    (e.ConversationWoken, lambda own: i.Wake(own.id(e.ConversationWoken), own.agent())),
    (e.ConversationReleased, _release),
    (e.MessageSent, _reply),
    (e.NoteAdded, _note),
    (e.DeliveryUpdated, _receipt),
)
