"""What the gRPC server asks of the pool's owner, inside the owner's process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message
from trunkline.config.v1.config_pb2 import TenantConfig
from trunkline.inbound.v1.inbound_event_pb2 import InboundEvent
from trunkline_common.errors import Refused

from trunkline_router.gap import Gap
from trunkline_router.inputs import Body, Input, PutAgent
from trunkline_router.pool import Pool
from trunkline_router.state import Engine
from trunkline_router.typing_indicator import ShowTyping
from trunkline_router.watch import Watchers


def as_asked(_engine: Engine, asked: Input) -> Input:
    """An input that needs nothing from the state."""
    return asked


@dataclass(frozen=True, slots=True)
class RunCommand:
    """Decide a command once; `respond` makes the answer from the state after it.

    `complete` fills in what the caller left to the state before it, or refuses: that is checked once, too.
    """

    tenant: str
    pool: str
    request_id: str
    fingerprint: bytes
    asked: Input
    respond: Callable[[Engine], Message]
    response: type[Message]
    complete: Callable[[Engine, Input], Input] = as_asked


@dataclass(frozen=True, slots=True)
class Read:
    """Answer from the committed state."""

    pool: str
    respond: Callable[[Engine], object]


@dataclass(frozen=True, slots=True)
class Watch:
    """Answer from the committed state and subscribe in the same instant, so that no change falls in between.

    `gap` is read on to that instant first.
    """

    pool: str
    subscribe: Callable[[Engine, Watchers], object]
    gap: Gap | None = None


@dataclass(frozen=True, slots=True)
class ApplyDocument:
    """Put a tenant's document, already checked, in force under the next version."""

    tenant: str
    request_id: str
    fingerprint: bytes
    config: TenantConfig
    applied_by: str


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """A newer version of a tenant's configuration may exist: look."""

    tenant: str


Content = RunCommand | Read | Watch | ShowTyping | ApplyDocument | Reconfigured


def unknown_names(body: Body, pool: Pool) -> bool:
    """Whether it names agents or teams that the pool's configuration does not have (yet)."""
    agents = {getattr(body, field, "") for field in ("agent_id", "to_agent_id")} - {""}
    teams = {getattr(body, field, "") for field in ("team", "to_team")} - {""}
    if isinstance(body, PutAgent):
        teams |= set(body.agent.teams)
    return not (agents <= pool.agents.keys() and teams <= pool.teams.keys() | dict(pool.config.elsewhere).keys())


def unknown_places(event: InboundEvent, pool: Pool) -> bool:
    """Whether it comes for an account or a team that the pool's configuration does not have (yet).

    What another pool sends on is of an account of that one.
    """
    if event.HasField("hand_over"):
        return event.hand_over.team not in pool.teams
    return not event.from_pool and bool(event.account) and event.account not in pool.accounts


def reused(request_id: str) -> Refused:
    """The id was that of another command."""
    return Refused(
        "INVALID_ARGUMENT",
        "REQUEST_ID_REUSED",
        f"request_id {request_id} was used before with other content; make a new one",
        metadata={"request_id": request_id},
    )
