"""The fields of a tenant's configuration document: their types, bounds and defaults (routing 2 to 4)."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from trunkline_common.calendar_document import CalendarModel

from trunkline_router.routing import PRIORITIES

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
#: Also a language, as a customer's is told: pt-BR.
SkillId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
#: What a step asks for; the customer's own language has no name yet.
Required = Annotated[str, StringConstraints(pattern=r"^(\$language|[A-Za-z0-9][A-Za-z0-9._-]{0,62})$")]
Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]
Seconds = Annotated[int, Field(ge=0, le=366 * 86_400)]
Level = Annotated[int, Field(ge=1, le=5)]
Units = Annotated[int, Field(ge=0, le=1000)]

StrategyName = Literal["longest_idle", "least_loaded", "best_skill", "rotation", "least_assigned", "manual"]
OrderName = Literal["boost", "strict", "edf"]
ModeName = Literal["offer", "auto_assign"]
TextName = Literal["acknowledgement", "offline", "deflection", "closing", "private"]
MetricName = Literal["first_response", "next_response", "periodic_update", "requester_wait", "agent_work", "resolution"]
#: Of a promise, in seconds: "1 day" would leave open whether of business hours.
Target = Annotated[int, Field(strict=True, ge=1, le=366 * 86_400)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
#: A conversation's state as promises see it: snoozed is pending; callback: to be called; on_hold and closed never are.
StateName = Literal["open", "pending", "on_hold", "callback", "rejected", "resolved", "closed"]


class Strict(BaseModel):
    """No field is ignored: a misspelt one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PoolModel(Strict):
    """Teams that share agents."""

    id: Id


class SkillModel(Strict):
    """Something agents can; a hard one is never given up while a conversation waits."""

    id: SkillId
    hard: bool = False


class ChannelClassModel(Strict):
    """Channels that weigh the same."""

    id: Id
    channels: list[Id] = Field(min_length=1)
    weight: int = Field(1, ge=1, le=1000)
    kind: Literal["primary", "interruptible"] = "primary"
    mode: ModeName = "offer"
    broadcast: int = Field(1, ge=1, le=50)
    wrap_s: Seconds = 0
    when_agent_lost: Literal["keep", "requeue"] = "keep"
    counts_as_load: tuple[Literal["open", "snoozed"], ...] = ("open",)
    typing: bool = False


class RateLimitModel(Strict):
    """Assignments an agent gets at most within a sliding window; 0: no limit."""

    max: Annotated[int, Field(ge=0, le=100_000)] = 0
    window_s: Annotated[int, Field(ge=1, le=86_400)] = 3600


class TeamModel(Strict):
    """A team, and how its work is given out."""

    id: Id
    pool: Id = "default"
    offer_timeout_s: int = Field(20, ge=1, le=86_400)
    strategy: StrategyName = "longest_idle"
    order: OrderName = "boost"
    max_missed: int = Field(3, ge=1, le=100)
    reoffer_after_s: int = Field(60, ge=1, le=86_400)
    assign_bots: bool = False
    accept_without_agents: bool = True
    away_is_available: bool = False
    auto_assign: bool = True
    never_auto_assign: str = ""
    rate_limit: RateLimitModel = RateLimitModel()
    reply_target_s: int = Field(3600, ge=1, le=366 * 86_400)
    reopen_sticky_s: Seconds = 86_400
    calendar: str = ""


class AgentModel(Strict):
    """An agent; capacity is units at once, caps are units by channel class."""

    id: Id
    name: str = ""
    teams: list[Id] = Field(min_length=1)
    capacity: Units = 3
    skills: dict[SkillId, Level] = Field(default_factory=dict)
    caps: dict[Id, Units] = Field(default_factory=dict)
    kind: Literal["human", "bot"] = "human"


class StepModel(Strict):
    """Whom a policy asks for, and how long. Without `skills` those of the step before, less what it drops."""

    team: Id
    skills: dict[Required, Level] | None = None
    drop: list[Required] = Field(default_factory=list)
    preferred: list[Id] = Field(default_factory=list)
    sticky_wait_s: Seconds = 0
    order_by: StrategyName | None = None
    priority_boost_s: Seconds = 0
    wait_s: Seconds = 0
    skip_if: str = ""


class OverflowModel(Strict):
    """A team or an agent."""

    team: Id = ""
    agent: Id = ""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.team) == bool(self.agent):
            raise ValueError("name a team or an agent, or write stay")
        return self


def _stays(value: object) -> object:
    return None if value == "stay" else value


Exhausted = Annotated[
    OverflowModel | None, BeforeValidator(_stays, json_schema_input_type=Literal["stay"] | OverflowModel)
]


class PolicyModel(Strict):
    """Steps for the conversations that a condition holds for; without one, for all. Tier 0 is for safety and law."""

    id: Id
    when: str = ""
    tier: int = Field(1, ge=0, le=9)
    invite_private: bool = False
    steps: list[StepModel] = Field(min_length=1)
    on_exhausted: Exhausted = Field(None, json_schema_extra={"default": "stay"})


class NamedCalendarModel(CalendarModel):
    """Business hours that teams name."""

    id: Id


class LimitsModel(Strict):
    """What holds for all pools. Where max_transfers is 0 there is no limit, where deflect_after_s is, no deflection."""

    max_transfers: Annotated[int, Field(ge=0, le=1000)] = 0
    escalation_team: str = ""
    agent_grace_s: Seconds = 30
    deflect_after_s: Seconds = 0
    reopen_within_s: Seconds = 0


class TextModel(Strict):
    """An automatic text in Liquid; without a channel or a language it is for any."""

    kind: TextName
    channel: Id | None = None
    language: Language | None = None
    text: str


class AccountModel(Strict):
    """A channel account; `secrets` are names of files in the tenant's own folder of secrets."""

    id: Id
    channel: Id
    team: Id
    secrets: dict[str, Id] = Field(default_factory=dict)
    options: dict[str, str] = Field(default_factory=dict)


class SlaRuleModel(Strict):
    """What is promised of one metric. What is left out is as usual for it (sla 7.2)."""

    target_s: Target
    pause_on: list[StateName] | None = None
    stop_on: list[StateName] | None = None
    reopen: Literal["resume", "restart", "continue"] | None = None
    counts_first_message: bool = False
    calendar: Literal["business", "always"] = "business"


class SlaPolicyModel(Strict):
    """What is promised to customers: in order, the first that fits applies."""

    id: Id
    team: str = ""
    channels: list[Id] = Field(default_factory=list)
    priorities: list[Id] = Field(default_factory=list)
    tags: list[Text] = Field(default_factory=list)
    attributes: dict[Text, str] = Field(default_factory=dict)
    calendar: str = ""
    metrics: dict[MetricName, SlaRuleModel] = Field(min_length=1)
    last_word: bool = True
    bot_reply_counts: bool = False
    automation_counts: bool = False
    warnings_percent: list[Annotated[int, Field(strict=True, ge=1, le=99)]] = Field([75, 90], max_length=20)
    warnings_remaining_s: list[Target] = Field(default_factory=list, max_length=20)
    repeat_s: Annotated[int, Field(strict=True, ge=0, le=366 * 86_400)] = 0
    max_repeats: Annotated[int, Field(strict=True, ge=1, le=20)] = 8


class SourceModel(Strict):
    """An integrator's CloudEvents source and the accounts it speaks for."""

    source: str = Field(min_length=1)
    accounts: list[Id] = Field(min_length=1)


class Document(Strict):
    """The whole document."""

    pools: list[PoolModel] = Field(default_factory=lambda: [PoolModel(id="default")], min_length=1)
    teams: list[TeamModel] = Field(min_length=1)
    agents: list[AgentModel] = Field(default_factory=list)
    accounts: list[AccountModel] = Field(default_factory=list)
    priorities: dict[Id, Seconds] = Field(default_factory=lambda: dict(PRIORITIES), min_length=1)
    skills: list[SkillModel] | None = None
    channel_classes: list[ChannelClassModel] = Field(default_factory=list)
    policies: list[PolicyModel] = Field(default_factory=list)
    calendars: list[NamedCalendarModel] = Field(default_factory=list)
    calendar: str = ""
    limits: LimitsModel = LimitsModel()
    texts: list[TextModel] = Field(default_factory=list)
    sla_policies: list[SlaPolicyModel] = Field(default_factory=list)
    sources: list[SourceModel] = Field(default_factory=list)
