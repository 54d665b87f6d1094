"""Everything that can happen in a pool, made of its dataclasses: to the log and back nothing is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trunkline.common.v1 import common_pb2 as common
from trunkline.common.v1 import routing_pb2 as words
from trunkline.config.v1 import config_pb2 as config
from trunkline.conversations.v1 import conversation_event_pb2 as conversations
from trunkline.inbound.v1 import inbound_event_pb2 as inbound
from trunkline.router.v1 import pool_event_pb2 as pool
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_router import events, facts, pool_events, routing, wire
from trunkline_router.events import Event
from trunkline_router.protomap import enum_numbers, read

POOL = {
    "AgentConfig": "PoolAgent",
    "AutoText": "PoolText",
    "ChannelClass": "PoolChannelClass",
    "Limits": "PoolLimits",
    "PolicyConfig": "PoolPolicy",
    "StepConfig": "PoolStep",
    "TeamConfig": "PoolTeam",
}
CONFIG = {
    "AgentConfig": "Agent",
    "AutoText": "AutoText",
    "ChannelClass": "ChannelClass",
    "Limits": "Limits",
    "PolicyConfig": "Policy",
    "StepConfig": "Step",
    "TeamConfig": "Team",
}
PAYLOADS = [*get_args(events.ConversationPayload), *get_args(pool_events.PoolPayload)]
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
AGENT = facts.Actor(facts.ActorType.AGENT, "ana")
LEAVES: Mapping[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=8),
    int: st.integers(0, 2**31 - 1),
    bool: st.booleans(),
    datetime: st.datetimes(timezones=st.just(UTC)),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    if hint in LEAVES:
        return LEAVES[hint]
    args = get_args(hint)
    if get_origin(hint) is tuple:
        return pairs(*get_args(args[0])) if get_args(args[0]) else st.lists(values(args[0]), max_size=2).map(tuple)
    if args:
        return st.one_of([st.none() if a is type(None) else values(a) for a in args])
    return built(hint) if hasattr(hint, "__dataclass_fields__") else st.sampled_from(hint)


def pairs(name: Any, value: Any) -> st.SearchStrategy[Any]:
    """As the domain has them: sorted, one for a name."""
    return st.dictionaries(values(name), values(value), max_size=3).map(lambda d: tuple(sorted(d.items())))


def built(cls: Any) -> st.SearchStrategy[Any]:
    """The dataclass with every field given; an empty list is what an older writer wrote, and stands for the default."""
    hints = get_type_hints(cls)
    return st.builds(cls, **{f.name: values(hints[f.name]).filter(must_be_set(f.default)) for f in fields(cls)})


def must_be_set(default: Any) -> Any:
    """A filter for values that can be told from an absent one."""
    return bool if isinstance(default, tuple) and default else lambda _value: True


@pytest.mark.parametrize("cls", PAYLOADS, ids=lambda cls: cls.__name__)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_payload_survives_the_log(cls: Any, data: st.DataObject) -> None:
    """Whatever its fields are: one that the contract or the mapping forgets would come back as its default."""
    concerns = cls in get_args(events.ConversationPayload)
    event = Event(7, "c1" if concerns else "", 3 if concerns else 0, AT, "cause", AGENT, 2, data.draw(built(cls)))
    stored = wire.to_pool_event(event, "acme/default", epoch=4, recorded_at=AT)
    assert wire.from_pool_event(stored.SerializeToString()) == event


#: Fields that were there from the beginning and have a default for callers only.
ALWAYS_WRITTEN = {"offer_timeout_s"}


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (events.ConversationStarted, conversations.ConversationStarted()),
        (events.ConversationQueued, conversations.ConversationQueued(reason=conversations.QUEUE_REASON_NEW)),
        (events.ConversationAssigned, conversations.ConversationAssigned()),
        (events.ConversationTransferred, conversations.ConversationTransferred()),
        (events.ConversationResolved, conversations.ConversationResolved()),
        (events.MessageSent, conversations.MessageSent()),
        (facts.Attributes, conversations.Attributes()),
        (pool_events.PoolConfigured, pool.PoolConfigured()),
        *((getattr(routing, cls), getattr(pool, name)()) for cls, name in POOL.items() if cls != "AutoText"),
        *((getattr(routing, cls), getattr(config, name)()) for cls, name in CONFIG.items() if cls != "AutoText"),
    ],
    ids=lambda v: getattr(getattr(v, "DESCRIPTOR", None), "full_name", ""),
)
def test_what_an_older_writer_did_not_set_has_the_default(cls: Any, message: Any) -> None:
    """Logs and configurations written before a field existed are read as if nothing had been said of it."""
    made = read(cls, message)
    defaults = {f.name: f.default for f in fields(cls) if f.default is not MISSING and f.name not in ALWAYS_WRITTEN}
    assert {name: getattr(made, name) for name in defaults} == defaults


@pytest.mark.parametrize(("cls", "name"), CONFIG.items())
def test_a_configuration_says_all_that_an_engine_is_told(cls: str, name: str) -> None:
    """The two contracts have the same fields; beside them the configuration names the pool, the log who made it."""
    ours = {f.name for f in fields(getattr(routing, cls))}
    assert set(getattr(config, name).DESCRIPTOR.fields_by_name) - {"pool"} == ours - {"by_api"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (facts.ActorType, common.ActorType),
        (facts.DeliveryStatus, inbound.DeliveryStatus),
        (facts.Presence, api.Presence),
        (facts.QueueReason, conversations.QueueReason),
        (facts.ReopenReason, conversations.ReopenReason),
        (facts.RescindReason, conversations.RescindReason),
        (facts.WakeReason, conversations.WakeReason),
        (routing.Mode, words.OfferMode),
        (routing.Order, words.QueueOrder),
        (routing.Strategy, words.Strategy),
        (routing.TextKind, words.TextKind),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_enums_name_the_same_things(ours: Any, theirs: Any) -> None:
    """Every value but the unspecified one."""
    assert {*map(str, ours), "UNSPECIFIED"} == set(enum_numbers(theirs.DESCRIPTOR))
