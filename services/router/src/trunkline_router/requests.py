"""What the gRPC server asks of the pool's owner, inside the owner's process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message

from trunkline_router.fold import Engine
from trunkline_router.inputs import Input
from trunkline_router.watch import Watchers


@dataclass(frozen=True, slots=True)
class RunCommand:
    """Decide a command once; `respond` makes the answer from the state after it."""

    tenant: str
    pool: str
    request_id: str
    fingerprint: bytes
    asked: Input
    respond: Callable[[Engine], Message]
    response: type[Message]


@dataclass(frozen=True, slots=True)
class Read:
    """Answer from the committed state."""

    pool: str
    respond: Callable[[Engine], object]


@dataclass(frozen=True, slots=True)
class Watch:
    """Answer from the committed state and subscribe in the same instant, so that no change falls in between."""

    pool: str
    subscribe: Callable[[Engine, Watchers], object]


@dataclass(frozen=True, slots=True)
class ApplyDocument:
    """Put a tenant's document in force under the next version."""

    tenant: str
    request_id: str
    fingerprint: bytes
    yaml: str
    applied_by: str


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """A newer version of a tenant's configuration may exist: look."""

    tenant: str


Content = RunCommand | Read | Watch | ApplyDocument | Reconfigured
