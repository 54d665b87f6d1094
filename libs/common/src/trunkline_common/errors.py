"""What can go wrong with a record or a request. Three outcomes for a record: invalid, busy, or a crash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class InvalidMessage(Exception):
    """The record can never be processed: it goes to the dead-letter topic with this reason and is not retried."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Busy(Exception):
    """The record cannot be processed now: the partition keeps its batch, waits and offers it again."""

    def __init__(self, waiting_for: str) -> None:
        super().__init__(f"waiting for {waiting_for}")
        self.waiting_for = waiting_for


class Fenced(Exception):
    """Another process owns the partition now: nothing of this batch was written."""

    def __init__(self, topic: str, partition: int, epoch: int) -> None:
        super().__init__(f"{topic}[{partition}] is no longer owned at epoch {epoch}")
        self.topic, self.partition, self.epoch = topic, partition, epoch


class PoisonFlood(Exception):
    """More records of a partition are invalid than single defects explain: it stops and somebody is paged."""

    def __init__(self, topic: str, partition: int, invalid: int, seen: int) -> None:
        super().__init__(f"{topic}[{partition}]: {invalid} of {seen} records invalid, partition stopped")
        self.topic, self.partition = topic, partition


@dataclass(frozen=True, slots=True)
class Violation:
    """One wrong field of a request: its path and what to do about it."""

    field: str
    description: str


class Refused(Exception):
    """A request that gets an error as its answer.

    `code` is the name of a gRPC status code, `reason` an ErrorReason without its prefix (AIP-193), `metadata` holds
    every dynamic part of the message, `retry_after` (seconds) asks for a retry with the same request_id.
    """

    def __init__(
        self,
        code: str,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after = retry_after


def invalid_request(*violations: Violation) -> Refused:
    """The answer to a request with wrong fields."""
    message = "; ".join(f"{v.field}: {v.description}" for v in violations)
    return Refused("INVALID_ARGUMENT", "INVALID_REQUEST", message, violations=violations)


def internal_error() -> Refused:
    """The answer to a request that met a defect; callers are told nothing but that there is one."""
    return Refused("INTERNAL", "INTERNAL", "an internal error; the trace holds the details")


def unavailable(dependency: str, *, retry_after: float = 1.0) -> Refused:
    """The answer while something the request needs does not answer."""
    return Refused(
        "UNAVAILABLE",
        "DEPENDENCY_UNAVAILABLE",
        f"{dependency} does not answer; retry with the same request_id",
        metadata={"dependency": dependency},
        retry_after=retry_after,
    )
