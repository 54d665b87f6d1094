"""Messages of the customer and replies to them: which of the reply clocks they begin, end and bring back (sla.md 7.5
to 7.7, 7.11, 8). Each function is one kind of event passing over the clocks of a conversation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from trunkline_sla import evaluation_clocks as clocks
from trunkline_sla.evaluation_events import AgentMessage, BotMessage, CustomerMessage, DeliveryFailed
from trunkline_sla.evaluation_facts import FactKind
from trunkline_sla.evaluation_model import LIFECYCLE, Clock, Message, Metric, Phase, Reply
from trunkline_sla.evaluation_rules import counts_first_message
from trunkline_sla.evaluation_work import Work

FIRST, NEXT, PERIODIC = Metric.FIRST_RESPONSE, Metric.NEXT_RESPONSE, Metric.PERIODIC_UPDATE
OWED = (FIRST, NEXT)
#: Replies remembered in case they are not delivered. An older one has been followed by so many that nothing is owed.
REVOCABLE = 4
#: Unanswered messages remembered one by one; the last stands for all after it.
WAITING = 500


# -- the customer


def customer_message(work: Work, event: CustomerMessage, at: datetime) -> None:
    """The oldest unanswered one opens; a second moves nothing (7.6). The two reply metrics take turns (7.7)."""
    _waits(work, Message(event.message_id, at, event.seq))
    if not work.replied and not work.is_open(FIRST):
        work.start(FIRST, at)
    if (work.replied or counts_first_message(work.setting.policy)) and not work.is_open(NEXT):
        work.start(NEXT, at)


def _waits(work: Work, message: Message) -> None:
    if len(work.unanswered) >= WAITING:
        last = work.unanswered[-1]
        work.unanswered = (*work.unanswered[:-1], replace(last, message_id="", seq=message.seq))
    else:
        work.unanswered = (*work.unanswered, message)


def deleted(work: Work, message_id: str, at: datetime) -> None:
    """The next unanswered one opens in its place; without one nothing is owed (7.6)."""
    work.replies = tuple(_of(reply, _but(reply.answered, message_id)) for reply in work.replies)
    left = _but(work.unanswered, message_id)
    if left == work.unanswered:
        return
    oldest, work.unanswered = work.unanswered[0], left
    if not left:
        _cancel(work, at, "deleted")
    elif left[0] is not oldest:
        _move(work, left[0].at, at)


def _but(messages: tuple[Message, ...], message_id: str) -> tuple[Message, ...]:
    return tuple(m for m in messages if not message_id or m.message_id != message_id)


def _of(reply: Reply, answered: tuple[Message, ...]) -> Reply:
    """A reply that answers no more than that."""
    ended = reply.ended if answered else tuple(c for c in reply.ended if c.metric not in OWED)
    return replace(reply, answered=answered, ended=ended)


def _move(work: Work, since: datetime, at: datetime) -> None:
    """The open reply clocks count from there; one that the creation opened stays (7.2)."""
    for metric in OWED:
        clock = work.current.get(metric)
        if clock is not None and clock.open and (metric is NEXT or clock.started_at != work.begun_at or work.outbound):
            work.moved(clock, clocks.counting_from(clock, since, at), at)


def _cancel(work: Work, at: datetime, reason: str) -> list[Clock]:
    found = [metric for metric in OWED if work.is_open(metric)]
    for metric in found:
        work.cancel(metric, at, reason)
    return [work.current[metric] for metric in found]


# -- replies


def agent_message(work: Work, event: AgentMessage, at: datetime) -> None:
    """A reply (7.5)."""
    _reply(work, Reply(event.message_id, at, event.answers_through or 0, (), (), work.replied), "agent_message")


def bot_message(work: Work, event: BotMessage, at: datetime) -> None:
    """A reply where the policy says so (7.5, 8.4)."""
    policy = work.setting.policy
    if policy is not None and (policy.automation_counts if event.automation else policy.bot_reply_counts):
        reply = Reply(event.message_id, at, 0, (), (), work.replied)
        _reply(work, reply, "bot_message", automation=event.automation or None)


def _reply(work: Work, reply: Reply, reason: str, *, automation: bool | None = None) -> None:
    at = reply.at
    answered, left = _parts(work.unanswered, reply.through)
    ended = [c for m, c in work.current.items() if c.open and (m is PERIODIC or (answered and m in OWED))]
    if answered:
        for metric in OWED:
            _answered(work, metric, at, reason, automation=automation)
    elif not left and work.is_open(FIRST):
        work.cancel(FIRST, at, "agent_started")  # the customer has not written yet (7.15)
    _update(work, at, reason)
    work.unanswered, work.replied = left, work.replied or bool(answered)
    if answered and left:
        _still_owed(work, [c for c in ended if c.metric is NEXT], left[0].at, at)
    reply = replace(reply, answered=answered, ended=tuple(ended) if reply.message_id else ())
    work.replies = (*work.replies, reply)[-REVOCABLE:]


def _parts(messages: tuple[Message, ...], through: int) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """Those that a reply answers, and those that it does not."""
    if not through:
        return messages, ()
    return tuple(m for m in messages if m.seq <= through), tuple(m for m in messages if m.seq > through)


def _answered(work: Work, metric: Metric, at: datetime, reason: str, *, automation: bool | None) -> None:
    """It fulfils an open cycle, and one that a stop state ended has nothing to come back to."""
    if work.is_open(metric):
        work.fulfil(metric, at, reason, automation=automation)
    elif metric in work.current:
        work.put(work.current[metric]._replace(stopped=False))


def _update(work: Work, at: datetime, reason: str) -> None:
    if work.is_open(PERIODIC):
        work.fulfil(PERIODIC, at, reason)
    if work.status not in work.setting.terms(PERIODIC).stop_on:
        work.start(PERIODIC, at)


def _still_owed(work: Work, old: list[Clock], since: datetime, at: datetime) -> None:
    """What the reply did not answer waits from its own time on, less the pauses there have been."""
    if not old:
        work.start(NEXT, at, since)
    else:
        work.begin(clocks.counting_from(old[0], max(since, old[0].started_at), at), at)


# -- a reply that was not delivered


def delivery_failed(work: Work, event: DeliveryFailed, at: datetime) -> None:
    """What it fulfilled is not: a later reply did it, or nobody has (7.5)."""
    for i, failed in enumerate(work.replies):
        if event.message_id and failed.message_id == event.message_id:
            before, later = work.replies[:i], list(work.replies[i + 1 :])
            _without(work, failed, later, at)
            work.replied = failed.replied
            for n, reply in enumerate(later):
                later[n] = replace(reply, replied=work.replied)
                work.replied = work.replied or bool(reply.answered)
            work.replies = (*before, *later)
            return


def _without(work: Work, failed: Reply, later: list[Reply], at: datetime) -> None:
    """As if it had not been sent: the reply after it was the next update, and another may have been the answer."""
    updates, waits = ([c for c in failed.ended if (c.metric is PERIODIC) is update] for update in (True, False))
    if later:
        later[0] = _inherits(work, later[0], updates, failed.at, at)
    else:
        _revoke(work, updates, (PERIODIC,), at)
    left = tuple(m for m in failed.answered if all(reply.through and m.seq > reply.through for reply in later))
    heir = next((n for n, reply in enumerate(later) if _parts(failed.answered, reply.through)[0]), None)
    if heir is None:
        work.unanswered = (*failed.answered, *work.unanswered)
        _revoke(work, waits, OWED if waits else (), at)
        return
    answered = tuple(m for m in failed.answered if m not in left)
    found = _inherits(work, later[heir], waits, None, at)
    later[heir] = replace(found, answered=(*answered, *found.answered))
    if left:
        work.unanswered = (*left, *work.unanswered)
        if not work.is_open(NEXT):
            work.start(NEXT, at, left[0].at)
        _earlier(work, NEXT, left[0].at, at)


def _inherits(work: Work, heir: Reply, older: list[Clock], since: datetime | None, at: datetime) -> Reply:
    """Their verdict is that of the next reply. What that has ended of its own began only because of the failed one,
    where they wait for the same, or where it began at `since`."""
    metrics = {clock.metric for clock in older}
    metrics |= set(OWED) if metrics & set(OWED) else set()
    own = [c for c in heir.ended if c.metric in metrics or (c.metric is PERIODIC and c.started_at == since)]
    for clock in own:
        _again(work, clock, Phase.CANCELLED, "superseded", heir.at, at)
    for clock in older:
        _again(work, clock, Phase.FULFILLED, "agent_message", heir.at, at)
    kept = (clock for clock in heir.ended if clock not in own)
    return replace(heir, ended=(*(clock._replace(gen=clock.gen + 1) for clock in older), *kept))


def _again(work: Work, clock: Clock, phase: Phase, reason: str, then: datetime, at: datetime) -> None:
    """Another end of a cycle that has ended: it was then, it is said now, one gen after the first verdict."""
    was = clocks.rewound(clock, then)._replace(gen=clock.gen + 1)
    ended = clocks.end(was, then, phase, reason, work.cause)
    if ended.met is False and ended.breached_at is None and clock.terms.live:
        ended = ended._replace(breached_at=at)
        work.say(ended._replace(due_at=clocks.due(was)), FactKind.BREACHED, at)
    if phase is Phase.FULFILLED:
        work.fulfilled(ended, at)
    else:
        work.say(ended, FactKind.CANCELLED, at, elapsed_s=ended.consumed, reason=reason)
    now = work.current[clock.metric]
    if now.cycle == clock.cycle:
        work.current[clock.metric] = ended._replace(issued=now.issued)
    else:
        work.keep(ended)


def _revoke(work: Work, older: list[Clock], metrics: Iterable[Metric], at: datetime) -> None:
    """Of an older and a newer opening the older one goes on."""
    for metric in metrics:
        if work.is_open(metric):
            work.cancel(metric, at, "superseded")
    for clock in older:
        issued = work.current[clock.metric].issued
        again = clock._replace(issued=issued, changed_at=at, gen=clock.gen + 1)
        work.back(again, at, "delivery_failed")


# -- without a reply


def waived(work: Work, reason: str, at: datetime) -> None:
    """Counted apart from met and missed (8.2). What has been answered so far is settled with it."""
    for clock in _cancel(work, at, "waived"):
        work.say(clock, FactKind.WAIVED, at, elapsed_s=clock.consumed, reason=reason)
    if work.unanswered:
        work.unanswered = ()
        work.replies = tuple(_of(reply, ()) for reply in work.replies)


def split_off(work: Work, at: datetime) -> None:
    """What was unanswered is owed by the new conversation (7.11)."""
    _cancel(work, at, "split")
    work.unanswered = ()


def merged(work: Work, at: datetime) -> None:
    """All goes on in the other conversation (7.11)."""
    for metric, clock in list(work.current.items()):
        if clock.open:
            work.cancel(metric, at, "merged")
        elif clock.stopped:
            work.put(clock._replace(stopped=False))
    work.unanswered, work.replies = (), ()


def absorbed(work: Work, started_at: datetime, unanswered_since: datetime | None, at: datetime) -> None:
    """The earlier beginning wins, metric by metric (7.11)."""
    for metric in sorted(LIFECYCLE):
        _earlier(work, metric, started_at, at)
    if unanswered_since is not None:
        work.unanswered = tuple(sorted((Message("", unanswered_since), *work.unanswered), key=lambda m: m.at))
        if not any(work.is_open(metric) for metric in OWED):
            work.start(NEXT if work.replied else FIRST, at, unanswered_since)
        for metric in OWED:
            _earlier(work, metric, unanswered_since, at)


def _earlier(work: Work, metric: Metric, since: datetime, at: datetime) -> None:
    clock = work.current.get(metric)
    if clock is not None and clock.open and since < clock.started_at:
        work.moved(clock, clocks.counting_from(clock, since, at), at)
