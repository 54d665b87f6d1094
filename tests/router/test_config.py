"""A tenant's document is taken whole or refused whole, with the path of every error."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from google.protobuf import json_format
from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline_common.calendar_rules import from_dict
from trunkline_common.errors import Refused
from trunkline_router import config, config_domain, wire_config
from trunkline_router import config_models as models
from trunkline_router.pool_events import PoolConfigured
from trunkline_router.routing import (
    PRIORITIES,
    AgentConfig,
    AutoText,
    ChannelClass,
    Limits,
    Mode,
    Order,
    PolicyConfig,
    Promise,
    PublicAddress,
    StepConfig,
    Strategy,
    TeamConfig,
    TextKind,
)

SMALLEST = "teams: [{id: support}]"
FULL = """
pools: [{id: default}, {id: sales}]
teams:
  - {id: support, pool: default, offer_timeout_s: 45}
  - {id: deals, pool: sales}
agents:
  - {id: ana, name: Ana, teams: [support], capacity: 4}
accounts:
  - id: shop-mail
    channel: email
    team: support
    secrets: {access_token: mail-token}
    options: {address: help@shop.example}
sla_policies:
  - id: standard
    team: support
    metrics: {first_response: {target_s: 300}, next_response: {target_s: 600}}
    warnings_percent: [50]
sources:
  - {source: "https://app.example/orders", accounts: [shop-mail]}
"""


ROUTED = """
pools: [{id: default}, {id: sales}]
priorities: {low: 60, normal: 600}
skills: [{id: de, hard: true}, {id: pt-BR}, {id: refunds}]
channel_classes:
  - {id: live, channels: [web, messenger], weight: 2, kind: interruptible, mode: auto_assign, broadcast: 3, wrap_s: 30,
     when_agent_lost: requeue, counts_as_load: [open, snoozed]}
  - {id: slow, channels: [email]}
teams:
  - id: support
    offer_timeout_s: 45
    strategy: best_skill
    order: edf
    max_missed: 2
    reoffer_after_s: 90
    assign_bots: true
    accept_without_agents: false
    away_is_available: true
    auto_assign: false
    never_auto_assign: "'vip' in tags"
    rate_limit: {max: 10, window_s: 600}
    reply_target_s: 900
    reopen_sticky_s: 7200
    calendar: office
  - {id: general}
  - {id: deals, pool: sales}
agents:
  - {id: ana, name: Ana, teams: [support, general], capacity: 6, skills: {refunds: 2, de: 3}, caps: {slow: 4, live: 2}}
  - {id: helper, teams: [support], kind: bot}
  - {id: sam, teams: [deals]}
accounts:
  - {id: shop-mail, channel: email, team: support}
  - {id: deal-mail, channel: email, team: deals}
policies:
  - id: german
    when: language == 'de'
    tier: 2
    invite_private: true
    steps:
      - {team: support, skills: {refunds: 2, de: 3, $language: 1}, drop: [refunds], preferred: [previous, ana],
         sticky_wait_s: 15, order_by: least_loaded, priority_boost_s: 600, wait_s: 60, skip_if: waiting_s > 30}
      - {team: support, drop: [$language], wait_s: 30}
      - {team: general, wait_s: 120}
      - {team: general, skills: {de: 1}, wait_s: 240}
    on_exhausted: {agent: helper}
  - {id: deals, steps: [{team: deals, preferred: [manager]}], on_exhausted: stay}
  - {id: urgent, when: priority == 'urgent', steps: [{team: support, wait_s: 60}], on_exhausted: {team: backup}}
  - {id: others, steps: [{team: backup}]}
calendars:
  - {id: office, tz: Europe/Vienna, weekly: {fri: [["09:00", "15:00"]], mon: [["09:00", "17:00"]]},
     holidays: [2026-12-25]}
  - {id: always, always_open: true}
calendar: always
sla_policies:
  - id: vip
    team: support
    channels: [email, web]
    priorities: [low, "900"]
    tags: [vip, gold]
    attributes: {plan: gold}
    calendar: office
    metrics:
      first_response: {target_s: 1800}
      next_response:
        {target_s: 3600, pause_on: [], stop_on: [resolved], reopen: restart, counts_first_message: true,
         calendar: always}
      resolution: {target_s: 86400, pause_on: [pending, on_hold]}
    last_word: false
    bot_reply_counts: true
    automation_counts: true
    warnings_percent: []
    warnings_remaining_s: [60, 900, 60]
    repeat_s: 600
    max_repeats: 3
  - {id: rest, metrics: {resolution: {target_s: 31622400}}, bot_reply_counts: true}
limits: {max_transfers: 4, escalation_team: general, agent_grace_s: 45, deflect_after_s: 300, reopen_within_s: 86400}
texts:
  - {kind: acknowledgement, text: "We have got your message."}
  - {kind: offline, channel: web, language: pt-BR, text: "Open at {{ opens_at }}."}
  - {kind: private, text: "Let us go on in private."}
""".replace("  - {id: general}\n", "  - {id: general}\n  - {id: backup}\n")


def paths(document: str, at: datetime | None = None) -> set[str]:
    """Where a document is wrong."""
    with pytest.raises(Refused) as refused:
        config.parse(document, "acme", at)
    assert (refused.value.code, refused.value.reason) == ("INVALID_ARGUMENT", "INVALID_CONFIG")
    return {violation.field for violation in refused.value.violations}


def pool(document: str, name: str) -> PoolConfigured:
    """What a pool's engine gets of a document that was stored."""
    stored = config.parse(document, "acme").SerializeToString()
    return wire_config.to_pool_configured(TenantConfig.FromString(stored), f"acme/{name}")


def test_the_smallest_document_has_the_engines_defaults() -> None:
    """One pool; all that is not written is what routing.py says."""
    assert wire_config.pools_of(config.parse(SMALLEST, "acme")) == ["acme/default"]
    assert pool(SMALLEST, "default") == PoolConfigured(0, (TeamConfig("support"),), (), ())


@pytest.mark.parametrize(
    ("model", "convert", "domain"),
    [
        (models.TeamModel, config_domain.to_team, TeamConfig("a")),
        (models.AgentModel, config_domain.to_agent, AgentConfig("a", "", ("t",), 3)),
        (models.ChannelClassModel, config_domain.to_channel_class, ChannelClass("a", ("web",))),
        (models.PolicyModel, config_domain.to_policy, PolicyConfig("a", steps=(StepConfig("t"),))),
        (models.TextModel, config_domain.to_text, AutoText(TextKind.OFFLINE, "x")),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_defaults_are_those_of_the_engine(model: Any, convert: Any, domain: Any) -> None:
    """They are written down twice, and mean the same."""
    written = {"id": "a", "teams": ["t"], "channels": ["web"], "steps": [{"team": "t"}], "kind": "offline", "text": "x"}
    required = {name: written[name] for name, field in model.model_fields.items() if field.is_required()}
    assert convert(model.model_validate(required)) == domain


def test_the_version_and_who_applied_it_are_not_the_authors_to_give() -> None:
    """They are the engine's; the rest of the document is there, what is not about routing too."""
    found = config.parse(FULL, "acme")
    assert (found.tenant, found.version, found.applied_by, found.HasField("applied_at")) == ("acme", 0, "", False)
    shown = json_format.MessageToDict(found)
    assert shown["accounts"] == [
        {
            "id": "shop-mail",
            "channel": "email",
            "team": "support",
            "secrets": {"access_token": "mail-token"},
            "options": {"address": "help@shop.example"},
        }
    ]
    assert shown["slaPolicies"] == [
        {
            "id": "standard",
            "team": "support",
            "rules": [
                {"metric": "first_response", "targetS": "300"},
                {"metric": "next_response", "targetS": "600"},
            ],
            "warningsPercent": [50],
            "lastWord": True,
            "maxRepeats": 8,
        }
    ]
    assert shown["sources"] == [{"source": "https://app.example/orders", "accounts": ["shop-mail"]}]


def test_a_full_document_arrives_at_the_engine_whole() -> None:
    """YAML, the stored version, what the pool is told: every field, none at its default."""
    found = pool(ROUTED, "default")
    assert found.teams == (
        TeamConfig(
            id="support",
            offer_timeout_s=45,
            strategy=Strategy.BEST_SKILL,
            order=Order.EDF,
            max_missed=2,
            reoffer_after_s=90,
            assign_bots=True,
            accept_without_agents=False,
            away_is_available=True,
            auto_assign=False,
            never_auto_assign="'vip' in tags",
            rate_max=10,
            rate_window_s=600,
            reply_target_s=900,
            reopen_sticky_s=7200,
            calendar="office",
        ),
        TeamConfig("general", calendar="always"),
        TeamConfig("backup", calendar="always"),
    )
    assert all(getattr(found.teams[0], f.name) != f.default for f in fields(TeamConfig))
    assert found.agents == (
        AgentConfig("ana", "Ana", ("support", "general"), 6, (("de", 3), ("refunds", 2)), (("live", 2), ("slow", 4))),
        AgentConfig("helper", "", ("support",), 3, bot=True),
    )
    assert found.channel_classes == (
        ChannelClass(
            id="live",
            channels=("web", "messenger"),
            weight=2,
            interruptible=True,
            mode=Mode.AUTO_ASSIGN,
            broadcast=3,
            wrap_s=30,
            requeue_when_lost=True,
            snoozed_counts=True,
        ),
        ChannelClass("slow", ("email",)),
    )
    assert found.priorities == (("low", 60), ("normal", 600))
    assert found.limits == Limits(4, "general", 45, 300, 86_400)
    assert found.texts == (
        AutoText(TextKind.ACKNOWLEDGEMENT, "We have got your message."),
        AutoText(TextKind.OFFLINE, "Open at {{ opens_at }}.", "web", "pt-BR"),
        AutoText(TextKind.PRIVATE, "Let us go on in private."),
    )


def test_every_step_has_all_the_skills_it_asks_for() -> None:
    """Inherited from the step before, less what that one drops, until they are named anew."""
    german, urgent, others = pool(ROUTED, "default").policies
    assert german == PolicyConfig(
        id="german",
        when="language == 'de'",
        steps=(
            StepConfig(
                team="support",
                skills=(("$language", 1), ("de", 3), ("refunds", 2)),
                drop=("refunds",),
                preferred=("previous", "ana"),
                sticky_wait_s=15,
                strategy=Strategy.LEAST_LOADED,
                priority_boost_s=600,
                wait_s=60,
                skip_if="waiting_s > 30",
            ),
            StepConfig("support", (("$language", 1), ("de", 3)), ("$language",), wait_s=30),
            StepConfig("general", (("de", 3),), wait_s=120),
            StepConfig("general", (("de", 1),), wait_s=240),
        ),
        tier=2,
        overflow_agent="helper",
        invite_private=True,
    )
    assert (urgent.overflow_team, urgent.steps) == ("backup", (StepConfig("support", wait_s=60),))
    assert others == PolicyConfig("others", steps=(StepConfig("backup"),))


def test_business_hours_are_stored_in_one_form() -> None:
    """So that calendars that say the same are the same; a pool gets those that its teams name."""
    _, (name, text) = pool(ROUTED, "default").calendars
    assert (name, text) == (
        "office",
        '{"holidays":["2026-12-25"],"tz":"Europe/Vienna",'
        '"weekly":{"fri":[["09:00","15:00"]],"mon":[["09:00","17:00"]]}}',
    )
    assert from_dict(json.loads(text))


def test_a_promise_is_stored_whole() -> None:
    """What is written, and what is meant where nothing is."""
    vip, rest = json_format.MessageToDict(config.parse(ROUTED, "acme"))["slaPolicies"]
    assert vip == {
        "id": "vip",
        "team": "support",
        "channels": ["email", "web"],
        "priorities": ["low", "900"],
        "tags": ["vip", "gold"],
        "attributes": {"plan": "gold"},
        "calendar": "office",
        "rules": [
            {"metric": "first_response", "targetS": "1800"},
            {
                "metric": "next_response",
                "targetS": "3600",
                "pauseOn": {},
                "stopOn": {"names": ["resolved"]},
                "reopen": "restart",
                "countsFirstMessage": True,
                "always": True,
            },
            {"metric": "resolution", "targetS": "86400", "pauseOn": {"names": ["pending", "on_hold"]}},
        ],
        "lastWord": False,
        "botReplyCounts": True,
        "automationCounts": True,
        "noWarnings": True,
        "warningsRemainingS": ["900", "60"],
        "repeatS": "600",
        "maxRepeats": 3,
    }
    assert rest == {
        "id": "rest",
        "rules": [{"metric": "resolution", "targetS": "31622400"}],
        "botReplyCounts": True,
        "warningsPercent": [75, 90],
        "lastWord": True,
        "maxRepeats": 8,
    }


def test_the_engine_is_told_whom_a_promise_is_for_and_whether_everybody_is_answered() -> None:
    """Only a promised reply gives the customer the last word."""
    vip = Promise("vip", "support", ("email", "web"), ("low", "900"), ("vip", "gold"), (("plan", "gold"),))
    rest = Promise("rest", bot_reply_counts=True)
    assert pool(ROUTED, "default").promises == (replace(vip, bot_reply_counts=True), rest)
    assert pool(ROUTED, "sales").promises == (rest,)
    on = pool(changed("sla_policies.0.last_word", True), "default").promises
    assert [p.last_word for p in on] == [True, False]


@pytest.mark.parametrize(("short", "last_word"), [({"next_response_s": 600}, True), ({}, False)])
def test_the_oldest_stored_promises_are_kept_too(short: dict[str, int], last_word: bool) -> None:
    """Versions from before there were rules have two targets instead."""
    stored = config.parse(SMALLEST, "acme")
    stored.sla_policies.add(id="old", **short)
    found = wire_config.to_pool_configured(stored, "acme/default").promises
    assert found == (Promise("old", last_word=last_word),)


def test_the_tenants_calendar_is_that_of_teams_without_one() -> None:
    """Where neither names one it is always open."""
    found = {team.id: team.calendar for team in pool(ROUTED, "default").teams}
    assert found == {"support": "office", "general": "always", "backup": "always"}
    assert dict(pool(ROUTED, "default").calendars).keys() == {"office", "always"}
    assert pool(changed("calendar", None), "default").teams[1].calendar == ""


def test_channels_and_priorities_may_be_any_where_the_document_says_nothing_of_them() -> None:
    """A document without accounts and channel classes knows no channel; a wrong list hides no other error."""
    policy = "sla_policies: [{id: a, channels: [web], priorities: [high], metrics: {resolution: {target_s: 1}}}]"
    assert config.parse(f"{SMALLEST}\n{policy}", "acme").sla_policies
    assert paths(f"{SMALLEST}\n{policy}\npriorities: {{high: -1}}") == {"priorities.high"}
    assert paths(f"{SMALLEST}\n{policy}\npriorities: {{low: 1}}") == {"sla_policies[0].priorities[0]"}


def test_a_pool_is_told_nothing_of_another() -> None:
    """Its teams, their agents, its policies, and where else a team is; an escalation to a team of another is none."""
    found = pool(ROUTED, "sales")
    assert found.elsewhere == tuple((t, "acme/default") for t in ("backup", "general", "support"))
    assert found.teams == (TeamConfig("deals", calendar="always"),)
    assert found.policies == (PolicyConfig("deals", steps=(StepConfig("deals", preferred=("manager",)),)),)
    assert [a.id for a in found.agents] == ["sam"]
    assert found.accounts == (("deal-mail", "deals"),)
    assert ([name for name, _ in found.calendars], found.limits.escalation_team) == (["always"], "")
    assert found.limits.max_transfers == 4


def test_without_policies_there_are_none() -> None:
    """The engine then uses the account's team."""
    found = pool(FULL, "default")
    assert (found.policies, found.priorities) == ((), PRIORITIES)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (models.StrategyName, Strategy),
        (models.OrderName, Order),
        (models.ModeName, Mode),
        (models.TextName, TextKind),
    ],
    ids=str,
)
def test_authors_may_name_all_that_there_is(names: Any, kind: Any) -> None:
    """The document's words are the engine's in small letters."""
    assert set(get_args(names)) == {value.lower() for value in kind}


def test_the_demo_documents_are_good() -> None:
    """What we ship passes."""
    assert config.parse(Path("deploy/local/demo_tenant.yaml").read_text(), "demo").teams


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ("", {"document"}),
        ("[1]", {"document"}),
        ("teams: [{id: support", {"yaml"}),
        ("teams: !!python/object/apply:os.system [ls]", {"yaml"}),
        ("teams: []", {"teams"}),
        ("agents: [{id: ana, teams: [support]}]", {"teams"}),
        (f"{SMALLEST}\nteam: []", {"team"}),
        ("teams: [{id: support, offer_timeout: 5}]", {"teams[0].offer_timeout"}),
        ("teams: [{id: Support Team}]", {"teams[0].id"}),
        ("teams: [{id: support, offer_timeout_s: 0}]", {"teams[0].offer_timeout_s"}),
        (f"{SMALLEST}\nagents: [{{id: ana, teams: [support], capacity: many}}]", {"agents[0].capacity"}),
        (f"{SMALLEST}\nagents: [{{id: ana, teams: []}}]", {"agents[0].teams"}),
        ("teams: [{id: a}, {id: a}]", {"teams[1].id"}),
        ("teams: [{id: a, pool: nowhere}]", {"teams[0].pool", "pools"}),
        (f"{SMALLEST}\nagents: [{{id: ana, teams: [support, sales]}}]", {"agents[0].teams[1]"}),
        (f"{SMALLEST}\naccounts: [{{id: a, channel: sms, team: sales}}]", {"accounts[0].team"}),
        (f"{SMALLEST}\ncalendar: office", {"calendar"}),
        (f"{SMALLEST}\ncalendar: office\ncalendars: 3", {"calendars"}),
        (f"{SMALLEST}\nsla_policies: [{{id: a}}]", {"sla_policies[0].metrics"}),
        (
            f"{SMALLEST}\nsla_policies: [{{id: a, first_response_s: 60}}]",
            {"sla_policies[0].metrics", "sla_policies[0].first_response_s"},
        ),
        (f"{SMALLEST}\nsources: [{{source: s, accounts: [a]}}]", {"sources[0].accounts[0]"}),
        (f"{SMALLEST}\npools: [{{id: default}}, {{id: empty}}]", {"pools"}),
        (FULL.replace("teams: [support], capacity", "teams: [support, deals], capacity"), {"agents[0].teams"}),
    ],
)
def test_what_is_wrong_is_named_by_its_path(document: str, where: set[str]) -> None:
    """A misspelt field, a wrong type, a reference to nothing."""
    assert paths(document) == where


def changed(path: str, value: object) -> str:
    """ROUTED with another value somewhere: teams.0.id, or without it where the value is None."""
    document = yaml.safe_load(ROUTED)
    place: Any = document
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        place = place[part]
    if value is None:
        del place[last]
    elif isinstance(place, list) and last == len(place):
        place.append(value)
    else:
        place[last] = value
    return yaml.safe_dump(document)


#: One for each rule: what is changed, to what, and where the error is; "" where it was changed.
BROKEN: list[tuple[str, object, str]] = [
    # types and bounds
    ("priorities", {}, ""),
    ("priorities", {"a b": 1}, "priorities.a b"),
    ("priorities.low", -1, ""),
    ("skills.0.hard", "maybe", ""),
    ("skills.1.id", "a b", ""),
    ("channel_classes.0.weight", 0, ""),
    ("channel_classes.0.kind", "urgent", ""),
    ("channel_classes.0.mode", "ask", ""),
    ("channel_classes.0.broadcast", 0, ""),
    ("channel_classes.0.broadcast", 51, ""),
    ("channel_classes.0.wrap_s", -1, ""),
    ("channel_classes.0.when_agent_lost", "drop", ""),
    ("channel_classes.0.counts_as_load", ["snoozed"], ""),
    ("channel_classes.0.channels", [], ""),
    ("teams.0.strategy", "random", ""),
    ("teams.0.order", "lifo", ""),
    ("teams.0.offer_timeout_s", 86_401, ""),
    ("teams.0.max_missed", 0, ""),
    ("teams.0.reoffer_after_s", 0, ""),
    ("teams.0.assign_bots", "sometimes", ""),
    ("teams.0.rate_limit.window_s", 0, ""),
    ("teams.0.rate_limit.per_day", 3, ""),
    ("teams.0.reply_target_s", 0, ""),
    ("teams.0.reopen_sticky_s", -1, ""),
    ("agents.0.skills.de", 0, ""),
    ("agents.0.skills.de", 6, ""),
    ("agents.0.caps.live", -1, ""),
    ("agents.0.kind", "robot", ""),
    ("policies.0.tier", 10, ""),
    ("policies.0.invite_private", "perhaps", ""),
    ("policies.0.steps", [], ""),
    ("policies.0.steps.0.skills.de", 6, ""),
    ("policies.0.steps.0.order_by", "random", ""),
    ("policies.0.steps.0.sticky_wait_s", -1, ""),
    ("policies.0.steps.0.priority_boost_s", -1, ""),
    ("policies.0.on_exhausted", "leave", ""),
    ("policies.0.on_exhausted", {}, ""),
    ("policies.0.on_exhausted", {"team": "backup", "agent": "ana"}, ""),
    ("limits.max_transfers", -1, ""),
    ("limits.agent_grace_s", -1, ""),
    ("limits.deflect_after_s", -1, ""),
    ("limits.reopen_within_s", -1, ""),
    ("limits.escalate", "general", ""),
    ("texts.0.kind", "greeting", ""),
    ("texts.1.language", "portuguese (Brazil)", ""),
    # duplicates
    ("skills.3", {"id": "de"}, "skills[3].id"),
    ("channel_classes.2", {"id": "live", "channels": ["sms"]}, "channel_classes[2].id"),
    ("policies.1.id", "german", ""),
    ("calendars.2", {"id": "office", "always_open": True}, "calendars[2].id"),
    ("sla_policies.1.id", "vip", ""),
    ("texts.3", {"kind": "offline", "channel": "web", "language": "pt-br", "text": "Closed."}, ""),
    ("channel_classes.1.channels.1", "web", ""),
    ("channel_classes.0.channels.2", "web", ""),
    # references
    ("teams.0.calendar", "weekend", ""),
    ("agents.0.skills.fr", 2, ""),
    ("agents.0.caps.phone", 2, ""),
    ("policies.0.steps.2.team", "nobody", ""),
    ("policies.0.steps.0.skills.fr", 2, ""),
    ("policies.0.steps.0.preferred.2", "zoe", ""),
    ("policies.0.on_exhausted", {"agent": "zoe"}, "policies[0].on_exhausted.agent"),
    ("policies.2.on_exhausted.team", "nobody", ""),
    ("limits.escalation_team", "nobody", ""),
    ("agents.3", {"id": "previous", "teams": ["support"]}, "agents[3].id"),
    ("calendar", "weekend", ""),
    ("sla_policies.0.team", "nobody", ""),
    ("sla_policies.0.calendar", "weekend", ""),
    ("sla_policies.0.channels.1", "telegram", ""),
    ("sla_policies.0.priorities.0", "lowest", ""),
    # promises
    ("sla_policies.0.metrics", {}, ""),
    ("sla_policies.0.metrics.first_reply", {"target_s": 60}, ""),
    ("sla_policies.0.metrics.first_response.target_s", 0, ""),
    ("sla_policies.0.metrics.first_response.target_s", 366 * 86_400 + 1, ""),
    ("sla_policies.0.metrics.first_response.target_s", "1 day", ""),
    ("sla_policies.0.metrics.first_response.target_s", "1800", ""),
    ("sla_policies.0.metrics.first_response.target_s", True, ""),
    ("sla_policies.0.metrics.first_response.target_s", 60.5, ""),
    ("sla_policies.0.metrics.first_response.target_h", 1, ""),
    ("sla_policies.0.metrics.first_response.counts_first_message", True, ""),
    ("sla_policies.0.metrics.resolution.reopen", "forget", ""),
    ("sla_policies.0.metrics.resolution.pause_on.0", "snoozed", ""),
    ("sla_policies.0.metrics.resolution.stop_on", ["done"], "sla_policies[0].metrics.resolution.stop_on[0]"),
    ("sla_policies.0.metrics.resolution.calendar", "office", ""),
    ("sla_policies.0.warnings_percent", [0], "sla_policies[0].warnings_percent[0]"),
    ("sla_policies.0.warnings_percent", [75, 100], "sla_policies[0].warnings_percent[1]"),
    ("sla_policies.0.warnings_remaining_s.1", 0, ""),
    ("sla_policies.0.warnings_remaining_s.1", 1800, ""),
    ("sla_policies.0.repeat_s", -1, ""),
    ("sla_policies.0.max_repeats", 0, ""),
    ("sla_policies.0.last_word", "sometimes", ""),
    # policies
    ("policies.3.when", "true", ""),
    ("policies.0.when", "", ""),
    ("policies.1.when", "channel == 'email'", ""),
    ("policies.0.steps.2.team", "deals", ""),
    ("policies.0.steps.0.preferred.2", "sam", ""),
    ("policies.0.on_exhausted", {"agent": "sam"}, "policies[0].on_exhausted.agent"),
    ("policies.2.on_exhausted.team", "deals", ""),
    ("policies.2.on_exhausted.team", "support", ""),
    ("policies.2.on_exhausted.team", "general", ""),
    ("policies.0.steps.1.wait_s", None, ""),
    ("policies.0.steps.3.wait_s", 0, ""),
    ("policies.0.steps.0.drop.1", "de", ""),
    ("policies.0.steps.0.drop.1", "pt-BR", ""),
    ("policies.0.steps.1.drop.1", "refunds", ""),
    ("policies.0.steps.3.skills", {"pt-BR": 1}, ""),
    ("policies.0.steps.3.skills", {}, ""),
    # conditions, texts, business hours
    ("teams.0.never_auto_assign", "colour == 'red'", ""),
    ("policies.0.when", "language = 'de'", ""),
    ("policies.0.steps.0.skip_if", "waiting_s", ""),
    ("texts.0.text", "Dear {{ customer.nickname }}", ""),
    ("texts.0.text", "", ""),
    ("texts.1.text", "{% if opens_at %}", ""),
    ("texts.0.text", "Or write to {{ alternative.address }}", ""),
    ("texts.1.text", "{{ channels }}", ""),
    ("accounts.0.options", {"public_address": " "}, "accounts[0].options.public_address"),
    ("accounts.0.options", {"public_address": "x" * 201}, "accounts[0].options.public_address"),
    ("accounts.0.options", {"public_address": "a\nb"}, "accounts[0].options.public_address"),
    ("channel_classes.0.typing", "perhaps", ""),
    ("texts.2.text", "Write to {{ customer.nickname }}", ""),
    ("texts.2.text", "Write to {{ alternative.address }}", ""),
    ("texts.2.kind", "closing", "policies[0].invite_private"),
    ("texts", [], "policies[0].invite_private"),
    ("texts.1", {"kind": "closing", "channel": "sms", "text": "x" * 321}, "texts[1].text"),
    ("calendars.0.tz", "Europe/Atlantis", ""),
    ("calendars.0.weekly.mon.0.1", "25:00", ""),
    ("calendars.0.weekly", None, "calendars[0]"),
]


@pytest.mark.parametrize(("path", "value", "where"), BROKEN)
def test_a_document_that_breaks_one_rule_is_refused_with_its_path(path: str, value: object, where: str) -> None:
    """The good one with one change."""
    first, *rest = path.split(".")
    place = first + "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in rest)
    assert paths(changed(path, value)) == {where or place}


def test_a_channel_in_two_classes_is_named_once() -> None:
    """Where it stands the second time."""
    assert paths(changed("channel_classes.1.channels.0", "messenger")) == {"channel_classes[1].channels[0]"}


def test_skills_are_free_where_none_are_listed() -> None:
    """Nothing is hard then, and a misspelt one cannot be found."""
    found = pool(changed("skills", None), "default")
    assert dict(found.agents[0].skills) == {"de": 3, "refunds": 2}


def test_a_calendar_that_stays_closed_is_refused_where_the_time_is_known() -> None:
    """Its only day is over."""
    closed = {"id": "office", "tz": "UTC", "overrides": [{"date": "2026-03-02", "hours": [["09:00", "17:00"]]}]}
    document = changed("calendars.0", closed)
    assert config.parse(document, "acme", datetime(2026, 3, 1, tzinfo=UTC))
    assert paths(document, datetime(2026, 3, 3, tzinfo=UTC)) == {"calendars[0]"}


def test_all_errors_are_told_at_once() -> None:
    """Nobody mends one to hear of the next."""
    bad = "teams: [{id: a}, {id: a}]\nagents: [{id: x, teams: [b]}]\naccounts: [{id: m, channel: sms, team: c}]"
    assert paths(bad) == {"teams[1].id", "agents[0].teams[0]", "accounts[0].team"}


def test_errors_of_every_kind_are_told_at_once() -> None:
    """A wrong type in one item hides nothing of the others."""
    bad = """
teams: [{id: a, max_missed: none, never_auto_assign: colour}, {id: b, never_auto_assign: colour, calendar: c}]
agents: [{id: x, teams: [a, d], capacity: many}, {id: y, teams: [a, d]}]
policies: [{id: p, when: "1", steps: [{team: a}, {team: d}]}]
calendars: [{id: c, tz: nowhere}]
texts: [{kind: offline, text: "{{ x }}"}]
limits: {escalation_team: d, max_transfers: none}
team: []
"""
    assert paths(bad) == {
        "teams[0].max_missed",
        "teams[1].never_auto_assign",
        "agents[0].capacity",
        "agents[1].teams[1]",
        "policies[0].when",
        "policies[0].steps[1].team",
        "policies[0].steps[0].wait_s",
        "calendars[0].tz",
        "texts[0].text",
        "limits.max_transfers",
        "team",
    }


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ("teams: 3\nagents: [{id: x, teams: [a]}, {id: x, teams: [a]}]", {"teams", "agents[1].id"}),
        (f"{SMALLEST}\npools: {{}}\nlimits: 3", {"pools", "limits"}),
        (f"{SMALLEST}\n1: 2", {"[1]"}),
        ("teams: [{id: [a]}, 3, {id: b, pool: 3}]", {"teams[0].id", "teams[1]", "teams[2].pool"}),
        (f"{SMALLEST}\nsla_policies: 2026-13-45", {"yaml"}),
        ('teams: [{id: support}]\nagents: [{id: a, teams: [support], name: "\\ud800"}]', {"yaml"}),
        (f"{SMALLEST}\ncalendars: [{'[' * 3000}", {"yaml"}),
        ("teams: &a [*a]", {"yaml"}),
    ],
)
def test_a_document_that_is_hardly_one_is_refused_too(document: str, where: set[str]) -> None:
    """Whatever stands where something else should."""
    assert paths(document) == where


def test_a_key_that_is_written_twice_is_refused() -> None:
    """Otherwise the last one would count and the first be forgotten in silence."""
    assert paths(f"{SMALLEST}\nteams: [{{id: billing}}]") == {"teams"}
    assert paths("teams: [{id: support, offer_timeout_s: 5, offer_timeout_s: 9}]") == {"offer_timeout_s"}


def test_a_text_may_name_an_address_of_another_channel_where_there_is_one() -> None:
    """Of a channel's own text that is another than its own; every pool is told of all addresses."""
    accounts = "\naccounts: [{id: a, channel: sms, team: support, options: {public_address: '+15550100'}}]"
    text = "\ntexts: [{kind: deflection, %s text: 'Or {{ alternative.channel }} {{ alternative.address }}'}]"
    taken = pool(f"{SMALLEST}{accounts}{text % ''}", "default")
    assert taken.addresses == (PublicAddress("sms", "+15550100"),)
    assert pool(f"{SMALLEST}{accounts}{text % 'channel: web,'}", "default").addresses
    assert paths(f"{SMALLEST}{accounts}{text % 'channel: sms,'}") == {"texts[0].text"}


def test_aliases_cannot_make_a_small_document_large() -> None:
    """Eight times eight times eight."""
    lines = ["a0: &a0 {always_open: true}"]
    lines += [f"a{i}: &a{i} {{all_of: [{', '.join([f'*a{i - 1}'] * 8)}]}}" for i in range(1, 12)]
    assert paths("\n".join([*lines, SMALLEST, "calendars: [{id: c, all_of: [*a11]}]"])) == {"yaml"}


def test_what_a_document_describes_has_a_limit() -> None:
    """Aliases and defaults are written out in the record."""
    agents = "".join(f"  - {{id: a{i}, teams: [support], name: *n}}\n" for i in range(60))
    long = f"  - {{id: a, teams: [support], name: &n {'x' * 10_000}}}"
    assert paths(f"{SMALLEST}\nagents:\n{long}\n{agents}") == {"yaml"}


def test_a_document_has_a_limit() -> None:
    """A version must fit one record."""
    assert paths(SMALLEST + "\n#" + "x" * config.MAX_BYTES) == {"yaml"}


def test_the_command_line_checks_and_prints_the_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 0 where the document is good, 1 where it is not."""
    document = tmp_path / "tenant.yaml"
    for text, code in ((FULL, 0), (ROUTED, 0), ("teams: []", 1)):
        document.write_text(text)
        monkeypatch.setattr("sys.argv", ["config", str(document)])
        assert config.main() == code
    assert "teams" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["config", "--schema"])
    assert config.main() == 0
    schema = json.loads(capsys.readouterr().out)
    assert (schema["required"], set(schema["properties"])) == (["teams"], set(models.Document.model_fields))
