"""A well-formed document as the contract has it, by way of what the engine uses: nothing is left to be inherited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from pydantic import BaseModel
from trunkline.config.v1.config_pb2 import SlaPolicy, SlaRule, SlaStates, TenantConfig
from trunkline_common.calendar_rules import canonical, to_dict

from trunkline_router import config_models as models
from trunkline_router.config_policies import required_skills
from trunkline_router.protomap import fill
from trunkline_router.routing import (
    AgentConfig,
    AutoText,
    ChannelClass,
    Limits,
    Mode,
    Order,
    PolicyConfig,
    StepConfig,
    Strategy,
    TeamConfig,
    TextKind,
)

T = TypeVar("T")


def to_proto(document: models.Document, tenant: str) -> TenantConfig:
    """The configuration, without its version."""
    config = TenantConfig(tenant=tenant, priorities=document.priorities, calendar=document.calendar)
    for name in ("pools", "accounts", "skills", "sources"):
        for item in getattr(document, name) or ():
            getattr(config, name).add(**item.model_dump())
    for team in document.teams:
        fill(config.teams.add(pool=team.pool), to_team(team))
    for name, domain in DOMAIN.items():
        for item in getattr(document, name):
            fill(getattr(config, name).add(), domain(item))
    config.sla_policies.extend(map(to_sla_policy, document.sla_policies))
    for calendar in document.calendars:
        config.calendars.add(id=calendar.id, document=canonical(to_dict(calendar.rules())))
    config.limits.SetInParent()
    fill(config.limits, _made(Limits, document.limits))
    return config


def to_team(team: models.TeamModel) -> TeamConfig:
    """A team as the engine uses it."""
    return _made(
        TeamConfig,
        team,
        strategy=Strategy(team.strategy.upper()),
        order=Order(team.order.upper()),
        rate_max=team.rate_limit.max,
        rate_window_s=team.rate_limit.window_s,
    )


def to_agent(agent: models.AgentModel) -> AgentConfig:
    """An agent as the engine uses it."""
    return _made(
        AgentConfig,
        agent,
        teams=tuple(agent.teams),
        skills=_pairs(agent.skills),
        caps=_pairs(agent.caps),
        bot=agent.kind == "bot",
    )


def to_channel_class(of: models.ChannelClassModel) -> ChannelClass:
    """A channel class as the engine uses it."""
    return _made(
        ChannelClass,
        of,
        channels=tuple(of.channels),
        interruptible=of.kind == "interruptible",
        mode=Mode(of.mode.upper()),
        requeue_when_lost=of.when_agent_lost == "requeue",
        snoozed_counts="snoozed" in of.counts_as_load,
    )


def to_policy(policy: models.PolicyModel) -> PolicyConfig:
    """A policy as the engine uses it: each step with all the skills that it asks for."""
    steps = (_step(step, skills) for step, skills in zip(policy.steps, required_skills(policy), strict=True))
    overflow = policy.on_exhausted
    return _made(
        PolicyConfig,
        policy,
        steps=tuple(steps),
        overflow_team=overflow.team if overflow else "",
        overflow_agent=overflow.agent if overflow else "",
    )


def _step(step: models.StepModel, skills: Mapping[str, int]) -> StepConfig:
    return _made(
        StepConfig,
        step,
        skills=_pairs(skills),
        drop=tuple(step.drop),
        preferred=tuple(step.preferred),
        strategy=Strategy(step.order_by.upper()) if step.order_by else None,
    )


def to_text(text: models.TextModel) -> AutoText:
    """An automatic text as the engine uses it."""
    return AutoText(TextKind(text.kind.upper()), text.text, text.channel or "", text.language or "")


def to_sla_policy(policy: models.SlaPolicyModel) -> SlaPolicy:
    """A promise as the contract has it: the engine keeps a part of it, the SLA service the rest."""
    plain = policy.model_dump(exclude={"metrics", "warnings_percent", "warnings_remaining_s"})
    return SlaPolicy(
        **plain,
        rules=[_rule(metric, rule) for metric, rule in policy.metrics.items()],
        warnings_percent=sorted(set(policy.warnings_percent)),
        no_warnings=not policy.warnings_percent,
        warnings_remaining_s=sorted(set(policy.warnings_remaining_s), reverse=True),
    )


def _rule(metric: str, rule: models.SlaRuleModel) -> SlaRule:
    return SlaRule(
        metric=metric,
        target_s=rule.target_s,
        pause_on=None if rule.pause_on is None else SlaStates(names=rule.pause_on),
        stop_on=None if rule.stop_on is None else SlaStates(names=rule.stop_on),
        reopen=rule.reopen or "",
        counts_first_message=rule.counts_first_message,
        always=rule.calendar == "always",
    )


DOMAIN: Mapping[str, Callable[[Any], object]] = {
    "agents": to_agent,
    "channel_classes": to_channel_class,
    "policies": to_policy,
    "texts": to_text,
}


def _pairs(values: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(values.items()))


def _made(cls: Callable[..., T], model: BaseModel, **changed: Any) -> T:
    """The dataclass with the model's fields of the same names, and with those that are named otherwise."""
    names = {f.name for f in fields(cls)} & type(model).model_fields.keys() - changed.keys()  # type: ignore[arg-type] # a dataclass
    return cls(**{name: getattr(model, name) for name in names}, **changed)
