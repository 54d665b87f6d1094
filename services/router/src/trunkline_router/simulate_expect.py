"""What a step of a scenario file expects."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field

from trunkline_router.config_models import Strict
from trunkline_router.events import ConversationPayload
from trunkline_router.explain_agents import Reason
from trunkline_router.facts import Presence
from trunkline_router.pool import Status
from trunkline_router.pool_events import PoolPayload

EVENTS = {cls.__name__ for cls in (*get_args(ConversationPayload), *get_args(PoolPayload))}


def _event(value: object) -> object:
    """A name, or a name with some of the fields."""
    name: object = value
    wanted: object = {}
    if isinstance(value, dict) and len(value) == 1:
        ((name, wanted),) = value.items()
    if name not in EVENTS or not isinstance(wanted, dict):
        raise ValueError(f"{value} is no event's name, and no mapping of one to some of its fields")
    return name, wanted


def upper(value: object) -> object:
    """A name of an enum as people write it."""
    return value.upper() if isinstance(value, str) else value


def _several(value: object) -> object:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def _by_team(value: object) -> object:
    """One list is that of all teams together."""
    return value if isinstance(value, dict) else {"": value}


Name = Annotated[str, Field(min_length=1)]
Names = tuple[Name, ...]
EventIs = Annotated[tuple[str, dict[str, Any]], BeforeValidator(_event)]
Why = Annotated[Reason, BeforeValidator(upper)]


class AgentIs(Strict):
    """What is expected of an agent; only what is named is compared."""

    load: int = 0
    assigned: Names = ()
    offered: Names = ()
    wrap_up: Names = ()
    presence: Annotated[Presence, BeforeValidator(upper)] = Presence.OFFLINE
    accepting: bool = True
    not_responding: bool = False


class ConversationIs(Strict):
    """What is expected of a conversation."""

    assigned: Name | None = None
    assigned_any: Names = ()
    offered: Annotated[Names, BeforeValidator(_several)] = ()
    queued: Name | None = None
    status: Annotated[Status, BeforeValidator(upper)] = Status.NEW
    policy: str = ""
    step: int = 0
    position: int | None = None
    unanswered: bool = False
    #: The reason of each agent in the last explanation: of the step's decision, or of why it still waits.
    why: dict[Name, Why] = Field(default_factory=dict)
    changes: tuple[str, ...] = ()


class Expect(ConversationIs):
    """What is expected after a step."""

    rejected: Name = ""
    refused: Name | None = None
    events: tuple[EventIs, ...] = ()
    all_events: tuple[EventIs, ...] = ()
    agents: dict[Name, AgentIs] = Field(default_factory=dict)
    conversations: dict[Name, ConversationIs] = Field(default_factory=dict)
    queue: Annotated[dict[str, Names], BeforeValidator(_by_team)] = Field(default_factory=dict)
