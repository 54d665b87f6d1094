"""What is wrong with a scenario file beyond single fields: its configurations, names that stand for nothing, time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError
from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline_common.calendar_document import violations
from trunkline_common.errors import Refused, Violation
from trunkline_common.files import InvalidFile

from trunkline_router import config, wire_config
from trunkline_router import simulate_steps as steps
from trunkline_router.pool_events import PoolConfigured

TENANT = "scenario"
MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
#: When the clock of a file may stand; timers need room after it.
FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
OUTSIDE = "a story is told between the years 1970 and 9000"
TAGGED = re.compile(r"^(steps\[\d+\])\.[a-z_]+(?=\.|$)")


@dataclass(frozen=True, slots=True)
class Account:
    """A channel account of the document."""

    id: str
    channel: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that can be run. Configurations are by the step that brings them; -1: there from the start."""

    steps: tuple[steps.AnyStep, ...]
    pool: str
    start: datetime
    configurations: Mapping[int, PoolConfigured]
    accounts: tuple[Account, ...]


def check(document: object) -> Checked:
    """The scenario of a document. Raises InvalidFile with every error."""
    try:
        scenario = steps.Scenario.model_validate(document)
    except ValidationError as error:
        raise InvalidFile([_without_tag(v) for v in violations(error, "file")]) from error
    documents = {-1: ("config", scenario.config)}
    documents |= {i: (f"steps[{i}].config", s.config) for i, s in enumerate(scenario.steps) if s.do == "configure"}
    parsed, problems = dict[int, TenantConfig](), list[Violation]()
    for i, (path, written) in documents.items():
        try:
            parsed[i] = _parsed(written)
        except Refused as refused:
            problems += [
                Violation(f"{path}.{v.field}".removesuffix(".yaml"), v.description) for v in refused.violations
            ]
    if problems:
        raise InvalidFile(problems)
    pool = _pool(scenario, parsed[-1])
    start = scenario.start or _start(scenario.steps)
    found = Checked(tuple(scenario.steps), pool, start, _configured(parsed, pool), _accounts(parsed))
    if problems := [*_names(found), *_times(found)]:
        raise InvalidFile(problems)
    return found


def _without_tag(violation: Violation) -> Violation:
    """steps[0].channel, where pydantic puts the kind of the step in between."""
    return Violation(TAGGED.sub(r"\1", violation.field), violation.description)


def _parsed(document: Mapping[str, Any]) -> TenantConfig:
    return config.parse(json.dumps(document), TENANT)


def _pool(scenario: steps.Scenario, parsed: TenantConfig) -> str:
    known = [pool.id for pool in parsed.pools]
    if scenario.pool and scenario.pool not in known:
        raise InvalidFile([Violation("pool", f"{scenario.pool} is not configured")])
    if not scenario.pool and len(known) > 1:
        raise InvalidFile([Violation("pool", f"name one of {', '.join(known)}")])
    return f"{TENANT}/{scenario.pool or known[0]}"


def _configured(parsed: Mapping[int, TenantConfig], pool: str) -> Mapping[int, PoolConfigured]:
    """Numbered as they come into force."""
    made = {i: wire_config.to_pool_configured(one, pool) for i, one in parsed.items()}
    return {i: replace(one, version=number) for number, (i, one) in enumerate(made.items(), 1)}


def _accounts(parsed: Mapping[int, TenantConfig]) -> tuple[Account, ...]:
    return tuple(Account(a.id, a.channel) for one in parsed.values() for a in one.accounts)


# -- time


def _start(found: Sequence[steps.AnyStep]) -> datetime:
    """So that the first instant named is reached; a Monday morning where none is."""
    passed = timedelta()
    for step in found:
        if step.at is not None:
            return step.at - passed if step.at - FIRST >= passed else step.at
        passed += _passes(step)
    return MONDAY


def _times(found: Checked) -> Iterator[Violation]:
    now = found.start
    if not FIRST <= now <= LAST:
        yield Violation("start", f"is {_shown(now)}; {OUTSIDE}")
        return
    for i, step in enumerate(found.steps):
        if step.at is not None and step.at < now:
            yield Violation(f"steps[{i}].at", f"is before {_shown(now)}, the time by then")
        if max(now, step.at or now) > LAST - _passes(step):
            yield Violation(f"steps[{i}]", f"ends too late; {OUTSIDE}")
            return
        now = max(now, step.at or now) + _passes(step)


def _passes(step: steps.AnyStep) -> timedelta:
    return timedelta(seconds=step.seconds if isinstance(step, steps.Advance) else 0)


def _shown(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


# -- names


def _names(found: Checked) -> Iterator[Violation]:
    """What no step before has made; a step that expects to be refused may name anything."""
    teams = {t.id for c in found.configurations.values() for t in c.teams}
    agents = {a.id for c in found.configurations.values() for a in c.agents}
    accounts = {a.id for a in found.accounts}
    conversations = set[str]()
    for i, step in enumerate(found.steps):
        match step:
            case steps.Agent(id=name):
                agents.add(name)
            case steps.Message(conversation=name) | steps.Start(conversation=name):
                conversations.add(name)
            case steps.Split(new=name):
                conversations.add(name)
        if step.expect is not None and step.expect.model_fields_set & {"refused", "rejected"}:
            continue
        known = {"agent": agents, "team": teams, "account": accounts, "conversation": conversations}
        named = [(field, name) for field, kind, name in _named(step) if name and name not in known[kind]]
        yield from (Violation(f"steps[{i}].{field}", f"{name} is not known here") for field, name in named)


def _named(step: steps.AnyStep) -> Iterator[tuple[str, str, str]]:
    """The fields of a step that name something, as (field, of what, name)."""
    yield "conversation", "conversation", step.conversation
    for kind in ("agent", "team", "account"):
        yield kind, kind, getattr(step, kind, "")
    match step:
        case steps.Agent(teams=named):
            yield from ((f"teams[{i}]", "team", name) for i, name in enumerate(named or ()))
        case steps.Assign(to=name):
            yield "to", "agent", name
        case steps.Transfer(to=target):
            yield "to.team", "team", target.team
            yield "to.agent", "agent", target.agent
        case steps.Merge(into=name):
            yield "into", "conversation", name
