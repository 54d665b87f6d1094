"""What no single field of a configuration document shows: duplicates, references to nothing, two things that clash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from trunkline_common.calendar_document import never_open
from trunkline_common.errors import Violation

from trunkline_router import config_models as models
from trunkline_router.conditions import BadCondition, compile_condition
from trunkline_router.config_parts import Parts
from trunkline_router.config_policies import PREFERRED, check_policies
from trunkline_router.config_promises import check_promises
from trunkline_router.templates import BadTemplate, compile_template, must_fit
from trunkline_router.wire_config import PUBLIC

LANGUAGE = "$language"
#: What a text may say of other channels, and how long an address may be.
ELSEWHERE, MAX_ADDRESS = frozenset({"alternative.channel", "alternative.address", "channels"}), 200
#: A field of an item and what it names.
References = Iterator[tuple[str, str]]


def check(parts: Parts, at: datetime | None) -> Iterator[Violation]:
    """Every error between the parts. With `at` also calendars that do not open in the year after it."""
    for name in parts.ids:
        yield from _twice(name, parts.ids[name] or [])
    for lists, into, references in REFERENCES:
        yield from _unknown(parts, lists, into, references)
    yield from _agents(parts)
    yield from _pools(parts)
    yield from _channels(parts)
    yield from _conditions(parts)
    yield from _texts(parts)
    yield from _invitations(parts)
    yield from _addresses(parts)
    yield from check_policies(parts)
    yield from check_promises(parts)
    if at is not None:
        yield from _never_open(parts, at)


def _twice(name: str, ids: list[str]) -> Iterator[Violation]:
    seen: set[str] = set()
    for i, found in enumerate(ids):
        if found and found in seen:
            yield Violation(f"{name}[{i}].id", f"{found} is there twice")
        seen.add(found)


# -- references


def _each(field: str, refs: Iterable[str]) -> References:
    return ((f"{field}[{i}]", ref) for i, ref in enumerate(refs))


def _keys(field: str, refs: Iterable[str]) -> References:
    return ((f"{field}.{ref}", ref) for ref in refs)


def _one(field: str, ref: str) -> References:
    return iter([(field, ref)] if ref else [])


def _of_steps(policy: models.PolicyModel, refs: Callable[[models.StepModel], References]) -> References:
    return ((f"steps[{i}].{field}", ref) for i, step in enumerate(policy.steps) for field, ref in refs(step))


def _overflow(policy: models.PolicyModel, kind: str) -> References:
    return _one(f"on_exhausted.{kind}", getattr(policy.on_exhausted, kind)) if policy.on_exhausted else iter(())


def _preferred(step: models.StepModel) -> References:
    return (found for found in _each("preferred", step.preferred) if found[1] not in PREFERRED)


def _required(step: models.StepModel) -> References:
    return _keys("skills", (name for name in step.skills or () if name != LANGUAGE))


#: Items of which list name items of which other one, and where.
REFERENCES: list[tuple[str, str, Callable[[Any], References]]] = [
    ("teams", "pools", lambda t: _one("pool", t.pool)),
    ("teams", "calendars", lambda t: _one("calendar", t.calendar)),
    ("agents", "teams", lambda a: _each("teams", a.teams)),
    ("agents", "skills", lambda a: _keys("skills", a.skills)),
    ("agents", "channel_classes", lambda a: _keys("caps", a.caps)),
    ("accounts", "teams", lambda a: _one("team", a.team)),
    ("policies", "teams", lambda p: _of_steps(p, lambda s: _one("team", s.team))),
    ("policies", "teams", lambda p: _overflow(p, "team")),
    ("policies", "agents", lambda p: _overflow(p, "agent")),
    ("policies", "agents", lambda p: _of_steps(p, _preferred)),
    ("policies", "skills", lambda p: _of_steps(p, _required)),
    ("sla_policies", "teams", lambda p: _one("team", p.team)),
    ("sla_policies", "calendars", lambda p: _one("calendar", p.calendar)),
    ("sources", "accounts", lambda s: _each("accounts", s.accounts)),
]


def _unknown(parts: Parts, name: str, into: str, references: Callable[[Any], References]) -> Iterator[Violation]:
    if (known := parts.known(into)) is None:
        return
    for path, item in parts.items[name]:
        for field, ref in references(item):
            if ref not in known:
                yield Violation(f"{path}.{field}", f"{ref} is not configured")


# -- clashes


def _agents(parts: Parts) -> Iterator[Violation]:
    for path, agent in parts.items["agents"]:
        if len(parts.pools_of(agent.teams)) > 1:
            yield Violation(f"{path}.teams", "are of more than one pool; an agent belongs to one")
        if agent.id in PREFERRED:
            yield Violation(f"{path}.id", f"{agent.id} is what policies call somebody else")


def _pools(parts: Parts) -> Iterator[Violation]:
    used = set(parts.pools.values())
    for pool in parts.ids["pools"] or ():
        if pool and pool not in used and parts.whole("teams"):
            yield Violation("pools", f"pool {pool} has no team")
    team, teams = parts.limits.escalation_team, parts.known("teams")
    if team and teams is not None and team not in teams:
        yield Violation("limits.escalation_team", f"{team} is not configured")


def _channels(parts: Parts) -> Iterator[Violation]:
    found: dict[str, str] = {}
    for path, of in parts.items["channel_classes"]:
        for i, channel in enumerate(of.channels):
            if channel in found:
                yield Violation(f"{path}.channels[{i}]", f"{channel} is in {found[channel]} already")
            found.setdefault(channel, of.id)
        if "open" not in of.counts_as_load:
            yield Violation(f"{path}.counts_as_load", "must name open: what an agent works on is load")


def _conditions(parts: Parts) -> Iterator[Violation]:
    """CEL, wherever it may stand."""
    found = [(f"{path}.never_auto_assign", team.never_auto_assign) for path, team in parts.items["teams"]]
    for path, policy in parts.items["policies"]:
        found.append((f"{path}.when", policy.when))
        found += [(f"{path}.steps[{i}].skip_if", step.skip_if) for i, step in enumerate(policy.steps)]
    for field, text in found:
        try:
            if text:
                compile_condition(text)
        except BadCondition as error:
            yield Violation(field, str(error))


def _texts(parts: Parts) -> Iterator[Violation]:
    """Liquid; one text for a kind, a channel and a language, as long as its channel takes."""
    seen = Counter[Any]()
    for path, text in parts.items["texts"]:
        key = text.kind, text.channel, (text.language or "").lower()
        if seen[key]:
            yield Violation(path, "is there twice: one text for a kind, a channel and a language")
        seen[key] += 1
        try:
            template = compile_template(text.text)
            if text.channel:
                must_fit(template, text.channel)
            if template.names & ELSEWHERE and not _reachable(parts, text.channel):
                yield Violation(f"{path}.text", f"names another channel, but no account of one has {PUBLIC}")
        except BadTemplate as error:
            yield Violation(f"{path}.text", str(error))


def _invitations(parts: Parts) -> Iterator[Violation]:
    """A policy that invites has something to say."""
    if not parts.whole("texts") or any(text.kind == "private" for _, text in parts.items["texts"]):
        return
    for path, policy in parts.items["policies"]:
        if policy.invite_private:
            yield Violation(f"{path}.invite_private", "there is no text of kind private")


def _reachable(parts: Parts, channel: str | None) -> bool:
    """Whether there is another channel to name; what cannot be read is taken for one."""
    found = {a.channel for _, a in parts.items["accounts"] if a.options.get(PUBLIC)}
    return bool(found - {channel}) or not parts.whole("accounts")


def _addresses(parts: Parts) -> Iterator[Violation]:
    for path, account in parts.items["accounts"]:
        address = account.options.get(PUBLIC, "x")
        if not address.strip() or len(address) > MAX_ADDRESS or not address.isprintable():
            yield Violation(f"{path}.options.{PUBLIC}", f"must be 1 to {MAX_ADDRESS} printable characters")


def _never_open(parts: Parts, at: datetime) -> Iterator[Violation]:
    for path, calendar in parts.items["calendars"]:
        if problem := never_open(calendar.rules(), at):
            yield Violation(path, problem)
