"""The engine's state as plain JSON, and back. Instants are whole seconds; what has its default is left out.

Terms and calendars are kept as the names and the version they are under, and found again in the configuration.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

from trunkline_sla.conversation import Conversation
from trunkline_sla.evaluation import State
from trunkline_sla.evaluation_model import Clock, Interval, Message, Metric, Phase, Reply
from trunkline_sla.evaluation_rules import Setting
from trunkline_sla.journal import Entry, Known, What
from trunkline_sla.promises import Situation

#: The setting of a policy id, a calendar id and a version.
Find = Callable[[str, str, int], Setting]
EPOCH, SECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(seconds=1)
Plain = dict[str, Any]
ENCODE = json.JSONEncoder(separators=(",", ":")).encode


def _defaults(kind: type[Clock] | type[Entry]) -> dict[str, Any]:
    return {name: kind._field_defaults.get(name, ...) for name in kind._fields}


CLOCK, ENTRY = _defaults(Clock), _defaults(Entry)
CLOCK_PLAIN = {name: default for name, default in CLOCK.items() if name not in ("terms", "intervals")}
CLOCK_VALUES = attrgetter(*CLOCK_PLAIN)
CLOCK_INSTANTS = ("started_at", "since", "changed_at", "breached_at", "ended_at", "due_at", "next_at", "said_at")
ENTRY_INSTANTS = {"at", "started_at", "unanswered_since"}


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else (at - EPOCH) // SECOND


def _instant(seconds: int | None) -> datetime | None:
    return None if seconds is None else EPOCH + timedelta(seconds=seconds)


def dump(plain: object) -> str:
    """For a column of JSON."""
    return ENCODE(plain)


# -- clocks


def from_clock(clock: Clock) -> Plain:
    """A clock, its terms by name."""
    values = zip(CLOCK_PLAIN.items(), CLOCK_VALUES(clock), strict=True)
    found = {name: value for (name, default), value in values if value != default}
    for name in CLOCK_INSTANTS:
        if name in found:
            found[name] = _seconds(found[name])
    found["terms"] = [clock.terms.policy_id, clock.terms.calendar_id, clock.terms.version]
    if clock.intervals:
        found["intervals"] = [_from_interval(part) for part in clock.intervals]
    return found


def to_clock(found: Plain, find: Find) -> Clock:
    """The clock again."""
    values = dict(found)
    for name in CLOCK_INSTANTS:
        if name in values:
            values[name] = _instant(values[name])
    values["metric"], values["phase"] = Metric(values["metric"]), Phase(values.get("phase", Phase.RUNNING))
    values["terms"] = find(*values["terms"]).terms(values["metric"])
    values["intervals"] = tuple(_to_interval(part, find) for part in values.get("intervals", ()))
    return Clock(**values)


def _from_interval(part: Interval) -> list[Any]:
    start, end = _seconds(part.start), _seconds(part.end)
    return [start, end, part.counted, part.seconds, part.why, part.cause, part.calendar_id, part.version]


def _to_interval(found: list[Any], find: Find) -> Interval:
    start, end, counted, seconds, why, cause, calendar_id, version = found
    calendar = find("", calendar_id, version).business
    return Interval(
        EPOCH + timedelta(seconds=start), EPOCH + timedelta(seconds=end), counted, seconds, why, calendar, cause,
        calendar_id, version,
    )  # fmt: skip


# -- conversations


def from_conversation(found: Conversation) -> Plain:
    """All but the clocks that are promised, which are rows of their own."""
    state = found.state
    where = found.situation
    plain: Plain = {
        "situation": [where.team, where.channel, where.priority, sorted(where.tags), dict(where.attributes)],
        "traceparent": found.traceparent,
    }
    if state is not None:
        setting = state.setting
        plain |= {
            "setting": [setting.policy_id, setting.calendar_id, setting.version],
            "at": _seconds(state.at),
            "status": state.status,
            "begun_at": _seconds(state.begun_at),
            "outbound": state.outbound,
            "replied": state.replied,
            "unanswered": [_from_message(m) for m in state.unanswered],
            "replies": [_from_reply(r) for r in state.replies],
            "silent": [from_clock(clock) for clock in state.current.values() if not clock.terms.live],
        }
    return plain


def to_state(found: Plain, promised: Mapping[Metric, Clock], find: Find) -> State | None:
    """The engine's state with the clocks that were read beside it."""
    if "setting" not in found:
        return None
    silent = (to_clock(clock, find) for clock in found["silent"])
    at = _instant(found["at"])
    assert at is not None  # noqa: S101 - the document of a state has it
    return State(
        setting=find(*found["setting"]),
        at=at,
        status=found["status"],
        begun_at=_instant(found["begun_at"]),
        outbound=found["outbound"],
        replied=found["replied"],
        unanswered=tuple(_to_message(m) for m in found["unanswered"]),
        replies=tuple(_to_reply(r, find) for r in found["replies"]),
        current={**{clock.metric: clock for clock in silent}, **promised},
    )


def to_situation(found: Plain) -> Situation:
    """What the choice of the policy rests on."""
    team, channel, priority, tags, attributes = found["situation"]
    return Situation(team, channel, priority, frozenset(tags), attributes)


def _from_message(message: Message) -> list[Any]:
    return [message.message_id, _seconds(message.at), message.seq]


def _to_message(found: list[Any]) -> Message:
    return Message(found[0], EPOCH + timedelta(seconds=found[1]), found[2])


def _from_reply(reply: Reply) -> list[Any]:
    answered, ended = [_from_message(m) for m in reply.answered], [from_clock(c) for c in reply.ended]
    return [reply.message_id, _seconds(reply.at), reply.through, answered, ended, reply.replied]


def _to_reply(found: list[Any], find: Find) -> Reply:
    message_id, at, through, answered, ended, replied = found
    messages = tuple(_to_message(m) for m in answered)
    return Reply(
        message_id, EPOCH + timedelta(seconds=at), through, messages, tuple(to_clock(c, find) for c in ended), replied
    )


# -- history


def from_entry(entry: Entry) -> Plain:
    """An entry of the journal; its instants have their microseconds."""
    found = {n: v for n, d in ENTRY.items() if (v := getattr(entry, n)) != d}
    known = entry.known
    plain = {n: v.isoformat() if isinstance(v, datetime) else v for n, v in found.items()}
    return plain | ({"known": [known.priority, list(known.tags), dict(known.attributes)]} if known else {})


def to_entry(found: Plain) -> Entry:
    """The entry again."""
    values = dict(found)
    for name in ENTRY_INSTANTS & values.keys():
        values[name] = datetime.fromisoformat(values[name])
    values["what"] = What(values["what"])
    if "known" in values:
        priority, tags, attributes = values["known"]
        values["known"] = Known(priority, tuple(tags), attributes)
    return Entry(**values)
