"""What is promised to customers (sla 7.14, 8): which policy is a conversation's, and what nobody has answered yet."""

from __future__ import annotations

from trunkline_router.events import MessageSent
from trunkline_router.facts import Unanswered
from trunkline_router.pool import Conversation, Pool, Status
from trunkline_router.routing import Order, Promise
from trunkline_router.state import Engine


def of(pool: Pool, c: Conversation) -> Promise | None:
    """The first policy that fits it; what is no team's yet has none."""
    return next((p for p in pool.config.promises if _fits(p, c)), None) if c.team else None


def _fits(promise: Promise, c: Conversation) -> bool:
    known, values = c.attributes, dict(c.attributes.values)
    return (
        promise.team in ("", c.team)
        and (not promise.channels or c.channel in promise.channels)
        and (not promise.priorities or known.priority in promise.priorities)
        and set(promise.tags) <= set(known.tags)
        and all(values.get(name) == value for name, value in promise.attributes)
    )


def is_reply(pool: Pool, c: Conversation, sent: MessageSent) -> bool:
    """Whether a message of ours answers the customer (sla 7.5): not what the engine writes, a bot's where it may."""
    if sent.automatic is not None:
        return False
    promise = of(pool, c) if sent.bot else None
    return not sent.bot or (promise is not None and promise.bot_reply_counts)


def owes(pool: Pool, c: Conversation) -> bool:
    """Whether it must not end like this: the customer wrote last, and everybody is promised an answer (sla 8.2)."""
    promise = of(pool, c)
    return bool(c.unanswered) and promise is not None and promise.last_word


# -- what nobody has answered


def after_reply(pool: Pool, c: Conversation, sent: MessageSent) -> tuple[Unanswered, ...]:
    """What still waits after a message of ours: what was written after that which it answers."""
    if not is_reply(pool, c, sent):
        return c.unanswered
    through = sent.answers_through_seq or c.seq
    return tuple(one for one in c.unanswered if one.seq > through)


def answered(to: Engine, c: Conversation, sent: MessageSent) -> None:
    """A message of ours went out."""
    left = after_reply(to.pool, c, sent)
    if is_reply(to.pool, c, sent):
        c.replied, c.last_reply = True, sent.message_id
        c.answered = tuple(one for one in c.unanswered if one not in left)
    keep(to, c, left)


def not_delivered(to: Engine, c: Conversation, message_id: str) -> None:
    """What a reply answered waits again where it never arrived (sla 7.5), unless a later one answered it too."""
    if message_id == c.last_reply:
        again, c.answered = c.answered, ()
        keep(to, c, (*again, *c.unanswered))


def keep(to: Engine, c: Conversation, unanswered: tuple[Unanswered, ...]) -> None:
    """An order by due time follows who waits for an answer; every other order is static (routing 3.4)."""
    since = min((one.at for one in unanswered), default=None)
    team = to.pool.teams.get(c.team)  # it may be gone: see leaving.py
    moves = c.status is Status.QUEUED and team and team.order is Order.EDF and since != c.unanswered_since
    if moves:
        to.dequeue(c)
    if since != c.unanswered_since and c.unanswered:
        c.dues = {}  # another message is the oldest now
    c.unanswered, c.unanswered_since = unanswered, since
    if moves:
        to.enqueue(c)


def forget(c: Conversation) -> None:
    """Nobody waits for an answer here any more."""
    c.unanswered, c.unanswered_since, c.dues = (), None, {}
