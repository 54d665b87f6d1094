"""A tenant's configuration, and the part of it that a pool's engine gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trunkline.config.v1 import config_pb2 as stored
from trunkline_common import cloudevents
from trunkline_common.kafka import Outgoing

from trunkline_router.pool_events import PoolConfigured
from trunkline_router.protomap import from_timestamp, read
from trunkline_router.routing import (
    PRIORITIES,
    AgentConfig,
    AutoText,
    ChannelClass,
    Limits,
    PolicyConfig,
    Promise,
    PublicAddress,
    TeamConfig,
)

CONFIG = "trunkline.config.v1"
#: The option of an account that says what it is called in public.
PUBLIC = "public_address"
#: The metrics that end with a reply to a message of the customer.
REPLIES = {"first_response", "next_response"}
SHORT = ("first_response_s", "next_response_s")


def to_pool_configured(config: stored.TenantConfig, pool: str) -> PoolConfigured:
    """The part of a tenant's configuration that concerns one pool ("tenant/pool"), also one that it does not have."""
    name = pool.partition("/")[2]
    found = (read(TeamConfig, t) for t in config.teams if t.pool == name)
    teams = tuple(replace(t, calendar=t.calendar or config.calendar) for t in found)
    ids, hours = {t.id for t in teams}, {t.calendar for t in teams}
    limits = read(Limits, config.limits)
    return PoolConfigured(
        version=config.version,
        teams=teams,
        agents=tuple(read(AgentConfig, a) for a in config.agents if ids & set(a.teams)),
        accounts=tuple(sorted((a.id, a.team) for a in config.accounts if a.team in ids or not ids)),
        policies=tuple(read(PolicyConfig, p) for p in config.policies if ids.issuperset(s.team for s in p.steps)),
        channel_classes=tuple(read(ChannelClass, c) for c in config.channel_classes),
        priorities=tuple(sorted(config.priorities.items())) or PRIORITIES,
        texts=tuple(read(AutoText, t) for t in config.texts),
        calendars=tuple(sorted((c.id, c.document) for c in config.calendars if c.id in hours)),
        elsewhere=tuple(sorted((t.id, f"{config.tenant}/{t.pool}") for t in config.teams if t.pool != name)),
        limits=limits if limits.escalation_team in ids else replace(limits, escalation_team=""),
        addresses=tuple(PublicAddress(a.channel, a.options[PUBLIC]) for a in config.accounts if a.options.get(PUBLIC)),
        promises=tuple(_promise(p) for p in config.sla_policies if p.team in ids | {""}),
    )


def _promise(policy: stored.SlaPolicy) -> Promise:
    """A policy as the engine keeps it; without rules it is one of the oldest versions."""
    promised = {rule.metric for rule in policy.rules}
    if not promised:
        promised = {name.removesuffix("_s") for name in SHORT if getattr(policy, name) > 0}
    last_word = not policy.HasField("last_word") or policy.last_word
    return replace(read(Promise, policy), last_word=last_word and bool(promised & REPLIES))


def pools_of(config: stored.TenantConfig) -> Sequence[str]:
    """The pool ids of a tenant."""
    return [f"{config.tenant}/{pool.id}" for pool in config.pools]


def config_record(config: stored.TenantConfig, traceparent: str) -> Outgoing:
    """The record of a new version of a configuration."""
    headers = cloudevents.headers(
        event_id=f"{config.tenant}/{config.version}",
        message="trunkline.config.v1.TenantConfig",
        source="router",
        subject=config.tenant,
        time=from_timestamp(config.applied_at),
        tenant=config.tenant,
        traceparent=traceparent,
    )
    return Outgoing(CONFIG, f"{config.tenant}/{config.version}".encode(), config.SerializeToString(), headers)
