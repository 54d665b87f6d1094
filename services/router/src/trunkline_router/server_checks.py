"""What a request must keep to before anything is asked of the pool's owner."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import ValidationError
from trunkline.common.v1.common_pb2 import Attachment
from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common.auth import Caller, caller
from trunkline_common.errors import Violation, invalid_request

from trunkline_router.config_models import AgentModel
from trunkline_router.config_parts import read_violations
from trunkline_router.config_policies import PREFERRED
from trunkline_router.facts import Actor, ActorType, Content, Presence
from trunkline_router.protomap import enum_name, from_timestamp, read
from trunkline_router.routing import AgentConfig

IDS = UUID("3e1b0b7e-5d8e-5a57-8a53-4a3f6b7b9c21")
MAX_COMMAND_BYTES = 256 * 1024  # as much as a customer may write
MAX_TEXT = 25_000  # characters, the most any channel takes (features: limits); also keeps events below a record's size
MAX_ATTACHMENTS = 50  # as many as a customer may send
MAX_NAME, MAX_VALUE, MAX_NAMES = 100, 1_000, 100  # of attributes and tags: they are in every event that changes one
#: Seconds of a priority that is a number: thirty years, and a field of 32 bits holds it with a step's.
MAX_BOOST_S = 1_000_000_000
WHOLE_NUMBER = re.compile(r"-?[0-9]+")
ACTORS = {"agent": ActorType.AGENT, "service": ActorType.SERVICE}


def actor_of(who: Caller) -> Actor:
    """Who acts: agents and supervisors are people at the desk."""
    return Actor(ACTORS.get(who.role, ActorType.AGENT), who.subject)


def must_name_itself(request: Any) -> None:
    """An agent says who it is; others act for nobody where they name none."""
    if caller().role == "agent" and not request.agent_id:
        raise invalid_request(Violation("agent_id", "is required: your own"))


def must_fit(request: Message) -> None:
    """What is decided is published: a record that the broker refuses would hold up everything after it."""
    if (size := request.ByteSize()) > MAX_COMMAND_BYTES:
        limit = f"has {size} bytes; send at most {MAX_COMMAND_BYTES}, and files as references"
        raise invalid_request(Violation("request", limit))


def derived_id(request: Any) -> str:
    """The id of what a command makes: the same for the same request_id."""
    return str(uuid5(IDS, f"{caller().tenant}/{request.request_id}"))


def limited(field: str, text: str, most: int = MAX_TEXT) -> str:
    """The text, if it is not too long."""
    if len(text) > most:
        raise invalid_request(Violation(field, f"must have at most {most} characters"))
    return text


def content_of(request: Any, field: str = "content") -> Content:
    """What is to be said; it must not be empty."""
    content = getattr(request, field)
    limited(f"{field}.text", content.text)
    limited(f"{field}.subject", content.subject)
    if not content.text.strip() and not content.attachments:
        raise invalid_request(Violation(f"{field}.text", "must not be empty without attachments"))
    if wrong := list(_attachments(f"{field}.attachments", content.attachments)):
        raise invalid_request(*wrong)
    return read(Content, content)


def _attachments(field: str, found: Sequence[Attachment]) -> Iterator[Violation]:
    if len(found) > MAX_ATTACHMENTS:
        yield Violation(field, f"must be at most {MAX_ATTACHMENTS}")
    for i, one in enumerate(found):
        if not one.ref.strip():
            yield Violation(f"{field}[{i}].ref", "must say where the file is")
        if one.size_bytes < 0:
            yield Violation(f"{field}[{i}].size_bytes", "must not be negative")


def instant(field: str, at: Timestamp) -> datetime:
    """An instant that a calendar has."""
    try:
        return from_timestamp(at)
    except (ValueError, OverflowError) as error:
        raise invalid_request(Violation(field, "is not between the years 1 and 9999")) from error


def later(field: str, at: datetime, by: timedelta) -> datetime:
    """An instant that long after another one."""
    try:
        return at + by
    except OverflowError as error:
        raise invalid_request(Violation(field, "is too near to the end of the year 9999")) from error


def presence(request: api.SetAgentPresenceRequest) -> Presence:
    """One that we know: proto3 lets any number through."""
    try:
        return Presence(enum_name(request, "presence"))
    except ValueError as error:
        known = ", ".join(f"PRESENCE_{one}" for one in Presence)
        raise invalid_request(Violation("presence", f"must be one of {known}")) from error


def names(field: str, found: Any) -> tuple[str, ...]:
    """Names of tags, attributes or agents: not empty, not too many, not too long."""
    if len(found) > MAX_NAMES or not all(found):
        raise invalid_request(Violation(field, f"must be at most {MAX_NAMES} names, none of them empty"))
    return tuple(limited(field, name, MAX_NAME) for name in found)


def must_be_priority(given: str, named: Collection[str]) -> None:
    """One of the configuration's, or by how many seconds it goes ahead of its age; behind, where they are negative."""
    if given in named:
        return
    if not WHOLE_NUMBER.fullmatch(given) or abs(int(given)) > MAX_BOOST_S:
        wanted = f"must be one of {', '.join(named)}, or whole seconds from -{MAX_BOOST_S} to {MAX_BOOST_S}"
        raise invalid_request(Violation("priority", wanted))


def agent_of(request: asks.PutAgentRequest) -> AgentConfig:
    """An agent as the document would have it: the same rules."""
    fields: dict[str, object] = {
        "id": request.agent_id,
        "name": request.name or request.agent_id,
        "teams": list(request.teams),
        "skills": dict(request.skills),
        "caps": dict(request.caps),
        "kind": "bot" if request.bot else "human",
    }
    if request.HasField("capacity"):
        fields["capacity"] = request.capacity
    try:
        model = AgentModel.model_validate(fields)
    except ValidationError as error:
        raise invalid_request(*map(_of_request, read_violations(error))) from error
    if model.id in PREFERRED:
        raise invalid_request(Violation("agent_id", f"{model.id} is what policies call somebody else"))
    return AgentConfig(
        id=model.id,
        name=limited("name", model.name, MAX_NAME),
        teams=tuple(model.teams),
        capacity=model.capacity,
        skills=tuple(sorted(model.skills.items())),
        caps=tuple(sorted(model.caps.items())),
        bot=request.bot,
        by_api=True,
    )


def _of_request(wrong: Violation) -> Violation:
    """What the request calls it."""
    return Violation("agent_id", wrong.description) if wrong.field == "id" else wrong
