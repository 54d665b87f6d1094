"""Payloads that several decisions share: offers taken back, the way back to the queue, texts, attributes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from trunkline_router import estimate, known, policies
from trunkline_router.events import AttributesChanged, ConversationQueued, MessageSent, OfferRescinded, Payload
from trunkline_router.facts import Content, QueueReason, RescindReason
from trunkline_router.inputs import ChangeAttributes
from trunkline_router.pool import ENDED, Conversation, Pool, Status
from trunkline_router.routing import AutoText, PolicyConfig, TextKind
from trunkline_router.state import Engine

Decision = list[tuple[str, Payload]]
"""Payloads with the conversation each belongs to (empty: the pool)."""

INSTANT = "%Y-%m-%d %H:%M UTC"  # as texts show one
TEXTS = UUID("2f6f0d0e-4c33-5f0e-8a3c-6f4d1f0f9b62")


def rescinds(c: Conversation, reason: RescindReason, *, but: str = "") -> list[Payload]:
    """Every running offer is taken back, except one."""
    return [OfferRescinded(o, offer.agent, reason) for o, offer in c.offers.items() if o != but]


def back_if_last(engine: Engine, c: Conversation, ended: int, now: datetime) -> list[Payload]:
    """To the queue again when as many offers end as run; while others run, somebody may still accept."""
    if c.status is not Status.OFFERED or ended < len(c.offers):
        return []
    return [policies.again(engine, c, now, QueueReason.OFFER_ENDED)]


def wrap_until(engine: Engine, c: Conversation, now: datetime) -> datetime | None:
    """How long its units stay with the agent after the contact (routing 4.4)."""
    seconds = engine.channel_class(c.channel).wrap_s
    return now + timedelta(seconds=seconds) if seconds and c.status is Status.ASSIGNED else None


def attributes(engine: Engine, c: Conversation, command: ChangeAttributes, now: datetime) -> list[Payload]:
    """What is known of it, and its place anew where that changes the policy or the priority (routing 3.1)."""
    new = known.changed(c.attributes, command)
    if new == c.attributes:
        return []
    after = replace(c, attributes=new)
    moved = placed_anew(engine, c, after, now)
    waits = bool(c.unanswered) and c.status not in ENDED
    return [AttributesChanged(new), *(invited(engine, after, moved, now) if waits else ()), *moved]


def placed_anew(engine: Engine, c: Conversation, after: Conversation, now: datetime) -> list[Payload]:
    """Its place in the queue where what is known now changes it; what no condition names changes nothing (3.1)."""
    if c.status not in (Status.QUEUED, Status.OFFERED):
        return []
    policy = None if policies.concerned(engine, c, after, now) else engine.pool.policy(c.policy)
    queued = goes_on(c, policies.placed(engine, after, now, QueueReason.CHANGED, policy))
    if same_place(c, queued) and after.attributes.allowed_agents == c.attributes.allowed_agents:
        return []
    return [*rescinds(c, RescindReason.CHANGED), queued]


def goes_on(c: Conversation, queued: ConversationQueued) -> ConversationQueued:
    """In the same step whom it waits for stays as it was."""
    if (queued.policy, queued.step, queued.team) != (c.policy, c.step, c.team):
        return queued
    return replace(queued, preferred=c.preferred, preferred_until=c.preferred_until)


def same_place(c: Conversation, q: ConversationQueued) -> bool:
    """Whether nothing would be otherwise."""
    wanted = (q.team, q.policy, q.step, q.skills, q.boost_s, q.tier, q.strategy, q.assigned_by_hand, q.step_ends_at)
    return wanted == (c.team, c.policy, c.step, c.skills, c.boost_s, c.tier, c.strategy, c.by_hand, c.step_ends_at)


# -- automatic texts


def said_by(
    pool: Pool, c: Conversation, agent_id: str, message_id: str, content: Content, through: int = 0
) -> MessageSent:
    """What an agent, a person or a bot, says to the customer."""
    bot = is_bot(pool, agent_id)
    return MessageSent(message_id, agent_id, content, c.channel, c.account, answers_through_seq=through, bot=bot)


def is_bot(pool: Pool, agent_id: str) -> bool:
    """Whether the agent is one; nobody is a person."""
    agent = pool.agents.get(agent_id)
    return agent is not None and agent.config.bot


def text(engine: Engine, c: Conversation, kind: TextKind, now: datetime) -> list[MessageSent]:
    """The tenant's text of a kind, once a cycle; nothing where there is none for the channel."""
    said = None if kind in c.told else rendered(engine, c, kind, now)
    if said is None:
        return []
    message_id = str(uuid5(TEXTS, f"{engine.pool.id}/{c.id}/{c.cycle}/{kind}"))
    return [MessageSent(message_id, "", said, c.channel, c.account, kind)]


def rendered(engine: Engine, c: Conversation, kind: TextKind, now: datetime) -> Content | None:
    """What the text of a kind says; None where there is none for the channel and language."""
    found = _chosen(engine.pool.config.texts, kind, c.channel, c.attributes.language)
    if found is None:
        return None
    told = values(engine, c, now) | (_wait(engine, c) if "wait." in found.text else {})
    return Content(engine.tools.template(found.text)(told))


def invitation(engine: Engine, c: Conversation, policy: PolicyConfig, now: datetime) -> list[MessageSent]:
    """Let us go on in private: said in public where the policy that holds says so. No reply: that is still owed."""
    return text(engine, c, TextKind.PRIVATE, now) if policy.invite_private and c.attributes.public else []


def invited(engine: Engine, c: Conversation, moved: Iterable[Payload], now: datetime) -> list[MessageSent]:
    """The same for what is under way, whoever has it: by the policy that holds now, in the team where it goes now."""
    if not c.attributes.public or TextKind.PRIVATE in c.told:
        return []
    team = next((p.team for p in moved if isinstance(p, ConversationQueued)), c.team)
    return invitation(engine, replace(c, team=team), policies.select(engine, c, now), now)


def closing_text(engine: Engine, c: Conversation, now: datetime) -> list[MessageSent]:
    """What is said at the end."""
    return text(engine, c, TextKind.CLOSING, now)


def _chosen(texts: Iterable[AutoText], kind: TextKind, channel: str, language: str) -> AutoText | None:
    """The most particular one: channel before language, a language before its base, that before any."""
    language = language.lower()
    ranks = {"": 2, language.partition("-")[0]: 1, language: 0}
    fitting = [t for t in texts if t.kind is kind and t.channel in (channel, "") and t.language.lower() in ranks]
    return min(fitting, key=lambda t: (not t.channel, ranks[t.language.lower()]), default=None)


def _wait(engine: Engine, c: Conversation) -> dict[str, Any]:
    """The estimate in whole minutes and its age; without one all are left out, as for any value that is not known."""
    found = estimate.wait(engine, c)
    if not found:
        return {}
    return {
        "wait.low_minutes": found.low_s // 60,
        "wait.high_minutes": -(-found.high_s // 60),
        "wait.as_of": found.as_of.strftime(INSTANT),
    }


def values(engine: Engine, c: Conversation, now: datetime) -> dict[str, Any]:
    """What texts may name."""
    name = c.contact.display_name
    team = engine.pool.teams.get(c.team)
    hours = dict(engine.pool.config.calendars).get(team.calendar) if team and team.calendar else None
    opens = engine.tools.hours(hours).next_open(now) if hours else None
    agent = engine.pool.agents.get(c.agent or c.last_agent)
    others = [a for a in engine.pool.config.addresses if a.channel != c.channel]
    return {
        "customer.name": name,
        "customer.first_name": name.partition(" ")[0],
        "conversation.id": c.id,
        "conversation.reference": c.id[:8].upper(),
        "team.name": c.team,
        "agent.name": agent.config.name if agent else "",
        "channel": c.channel,
        "language": c.attributes.language,
        "opens_at": opens.strftime(INSTANT) if opens else "",
        "attributes": dict(c.attributes.values),
        "tenant.name": engine.pool.tenant,
        "alternative.channel": others[0].channel if others else "",
        "alternative.address": others[0].address if others else "",
        "channels": ", ".join(f"{a.channel} {a.address}" for a in others),
    }
