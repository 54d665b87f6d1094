"""The steps of a scenario file."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from trunkline_router.config_models import Strict
from trunkline_router.facts import Presence
from trunkline_router.simulate_expect import Expect, Name, Names, upper

INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _instant(value: object) -> datetime:
    if not isinstance(value, str) or not INSTANT.fullmatch(value):
        raise ValueError(f'{value} is not an instant with its offset, like "2026-11-20T15:30:00Z"')
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{value} is not between the years 1 and 9999 in UTC") from error


Instant = Annotated[datetime, BeforeValidator(_instant)]
Seconds = Annotated[float, Field(ge=0, le=10 * 366 * 86_400)]


class Step(Strict):
    """What every step may have. `at` moves the clock first.

    `expect` is about the step's conversation; where a step names none, about the last that one did.
    """

    at: Instant | None = None
    conversation: str = ""
    expect: Expect | None = None


class Agent(Step):
    """Sets what is named. An agent that is new here is in the teams named, or in all."""

    do: Literal["agent"]
    id: Name
    presence: Annotated[Presence | None, BeforeValidator(upper)] = None
    accepting: bool | None = None
    responding: Literal[True] | None = None
    name: str | None = None
    teams: Names | None = None
    capacity: Annotated[int, Field(ge=0, le=1000)] | None = None
    skills: dict[Name, Annotated[int, Field(ge=1, le=5)]] | None = None
    caps: dict[Name, Annotated[int, Field(ge=0, le=1000)]] | None = None
    kind: Literal["human", "bot"] | None = None
    remove: Literal[True] | None = None


class Customer(Strict):
    """What the timeline would say of the customer."""

    id: str = ""
    last_agent: str = ""
    conversations: int = 0


class Message(Step):
    """The customer writes: `arrive` for the first time, `message` again; to the engine both are the same."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    do: Literal["arrive", "message"]
    conversation: Name
    channel: str = "web"
    account: str = ""
    attributes: dict[str, str] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    priority: str = ""
    language: str = ""
    text: str = "hello"
    automatic: bool = False
    customer: Customer = Customer()
    #: In how many seconds an answer would be due, by team: what the SLA service would say.
    due: dict[Name, Seconds] = Field(default_factory=dict)


class OnConversation(Step):
    """By an agent. Without one: whoever has it or is asked, else a supervisor."""

    conversation: Name
    agent: str = ""
    supervisor: bool = False


class Plain(OnConversation):
    """Needs nothing else."""

    do: Literal["accept", "decline", "reopen", "wake", "release", "pull", "reply", "note"]
    reason: str = ""
    text: str = "text"
    answers_through_seq: int = 0


class Resolve(OnConversation):
    """With a last word, the tenant's closing text as one, or a reason for there being none."""

    do: Literal["resolve"]
    closing: str | None = None
    closing_text: bool = False
    waive_reason: str = ""


class Snooze(OnConversation):
    """For some time, an hour where none is named."""

    do: Literal["snooze"]
    seconds: Seconds = 3600
    until: Instant | None = None


class Target(Strict):
    """A team, or an agent of it."""

    team: str = ""
    agent: str = ""


class Transfer(OnConversation):
    """To a team's queue or an agent; without a team, the one where it is."""

    do: Literal["transfer"]
    to: Target
    reason: str = ""


class Assign(OnConversation):
    """A supervisor gives it to an agent."""

    do: Literal["assign"]
    to: Name


class Attributes(OnConversation):
    """Changes what is known; a value of null removes the name."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    do: Literal["attributes"]
    set: dict[str, str | None] = Field(default_factory=dict)
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    priority: str | None = None
    language: str | None = None
    allowed_agents: tuple[str, ...] | None = None


class Merge(OnConversation):
    """The conversation ends in another."""

    do: Literal["merge"]
    into: Name


class Split(OnConversation):
    """A part becomes a conversation of its own."""

    do: Literal["split"]
    new: Name
    team: Name
    with_unanswered: bool = False


class Callback(OnConversation):
    """To be called in a window, in seconds from now."""

    do: Literal["callback"]
    begins: Seconds
    ends: Seconds
    team: str = ""


class Start(Step):
    """We write first."""

    do: Literal["start"]
    conversation: Name
    agent: str = ""
    channel: str = "web"
    account: str = ""
    text: str = "hello"


class EndWrapUp(Step):
    """Of one conversation, or of all."""

    do: Literal["end_wrap_up"]
    agent: Name


class Configure(Step):
    """Another document comes into force."""

    do: Literal["configure"]
    config: dict[str, Any]


class Advance(Step):
    """Time passes; what is due happens when it is due."""

    do: Literal["advance"]
    seconds: Seconds


class State(Step):
    """Shows the pool."""

    do: Literal["state"]


Command = Plain | Resolve | Snooze | Transfer | Assign | Attributes | Merge | Split | Callback
AnyStep = Agent | Message | Command | Start | EndWrapUp | Configure | Advance | State


class Scenario(Strict):
    """A configuration and what happens. `pool` where the document has several."""

    config: dict[str, Any]
    steps: list[Annotated[AnyStep, Field(discriminator="do")]]
    start: Instant | None = None
    pool: str = ""
