"""The end of a conversation: the last word, or why there is none (sla 8)."""

from __future__ import annotations

from datetime import datetime

from trunkline_router import changes, promises, refusals
from trunkline_router.events import ConversationResolved, MessageSent, Payload
from trunkline_router.facts import RescindReason
from trunkline_router.inputs import Resolve
from trunkline_router.pool import Conversation, Pool
from trunkline_router.routing import TextKind
from trunkline_router.state import Engine


def resolve(engine: Engine, c: Conversation, command: Resolve, now: datetime, *, supervising: bool) -> list[Payload]:
    """It is over. Raises Refusal where its customer waits for an answer that is promised."""
    if command.waive_reason and not supervising:
        raise refusals.not_for_agents("ResolveConversation", "waive_reason")
    said = _last_word(engine, c, command, now)
    waived = _waived(engine.pool, c, command, said)
    wrap = changes.wrap_until(engine, c, now)
    taken_back = changes.rescinds(c, RescindReason.RESOLVED)
    return [*taken_back, *said, ConversationResolved(command.agent_id, c.team, wrap, waived)]


def _last_word(engine: Engine, c: Conversation, command: Resolve, now: datetime) -> list[MessageSent]:
    """The agent's own, else the automatic text."""
    content = command.closing
    if command.closing_text:
        content = changes.rendered(engine, c, TextKind.CLOSING, now)
        if content is None:
            raise refusals.no_closing_text(c.channel, c.attributes.language)
    if content is None:
        return changes.closing_text(engine, c, now)
    return [changes.said_by(engine.pool, c, command.agent_id, command.message_id, content)]


def _waived(pool: Pool, c: Conversation, command: Resolve, said: list[MessageSent]) -> str:
    """Why nobody answers; empty where somebody does, or need not."""
    if not promises.owes(pool, c) or any(promises.is_reply(pool, c, one) for one in said):
        return ""
    if not command.waive_reason:
        raise refusals.unanswered(c)
    return command.waive_reason
