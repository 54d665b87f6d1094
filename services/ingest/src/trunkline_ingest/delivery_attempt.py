"""One attempt to hand a message to its provider, and the attempts of a partition that are under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta

import structlog
from opentelemetry.trace import SpanKind
from trunkline.config.v1.config_pb2 import ChannelAccount
from trunkline.outbound.v1.outbound_message_pb2 import OutboundMessage, TypingIndicator
from trunkline_common import telemetry
from trunkline_common.clock import Clock
from trunkline_common.tenants import Tenants

from trunkline_ingest.channels.adapter import Adapter
from trunkline_ingest.channels.sending import SendContext, SendFailed, SendRefused, Sent
from trunkline_ingest.delivery_policy import next_attempt
from trunkline_ingest.delivery_store import Finished, Outcome, Postponed, Waiting
from trunkline_ingest.delivery_typing import WORTH, Typing, count

log = structlog.get_logger(__name__)

LONGEST_SEND = 30.0


@dataclass(frozen=True, slots=True)
class Provider:
    """Sends over the channels' own `send`."""

    channels: Mapping[str, Adapter]
    tenants: Tenants
    context: SendContext
    clock: Clock

    async def attempt(self, waiting: Waiting) -> Outcome:
        """Send once; never raises, because a defect of one channel must not stop the others."""
        message, refused, retry_after = waiting.message, False, None
        span = telemetry.child(
            f"send {message.channel}",
            waiting.traceparent,
            SpanKind.CLIENT,
            {"messaging.message.id": message.message_id, "trunkline.channel": message.channel},
        )
        traceparent = telemetry.traceparent(span) if span else waiting.traceparent
        try:
            with telemetry.ended([span] if span else []):
                sent = await self._send(message)
        except SendRefused as error:
            reason, refused = error.reason, True
        except SendFailed as error:
            reason, retry_after = error.reason, error.retry_after
        except Exception as error:  # noqa: BLE001 - it counts as a failed attempt and ends as a FAILED receipt
            reason = type(error).__qualname__
        else:
            telemetry.count("trunkline.delivery.sent", 1, channel=message.channel)
            return Finished(message, waiting.attempts + 1, sent.provider_message_id, "", traceparent)
        return self._not_sent(waiting, reason, traceparent, refused=refused, retry_after=retry_after)

    async def _send(self, message: OutboundMessage) -> Sent:
        adapter = self.channels.get(message.channel)
        if adapter is None:
            raise SendRefused(f"channel {message.channel} cannot send")
        account = self._account(message)
        async with asyncio.timeout(LONGEST_SEND):
            return await adapter.send(message, account, self.context)

    def _account(self, message: OutboundMessage | TypingIndicator) -> ChannelAccount:
        config = self.tenants.get(message.tenant)
        wanted = (message.account, message.channel)
        account = next((a for a in config.accounts if (a.id, a.channel) == wanted), None) if config else None
        if account is None:
            raise SendFailed("the account is not in the tenant's configuration")
        return account

    async def show(self, typing: Typing) -> None:
        """Show that an agent types, if it is still worth it; never raises, and nobody is told."""
        try:
            outcome = await self._shown(typing.indicator)
        except Exception as error:  # noqa: BLE001 - an indicator that is not shown is no harm; it is counted
            outcome = "failed"
            log.info("typing not shown", channel=typing.indicator.channel, reason=type(error).__qualname__,
                     **telemetry.trace_fields(typing.traceparent))  # fmt: skip
        count(typing, outcome)

    async def _shown(self, indicator: TypingIndicator) -> str:
        adapter = self.channels.get(indicator.channel)
        if adapter is None or adapter.typing is None:
            return "ignored"
        left = WORTH - (self.clock() - indicator.created_at.ToDatetime(tzinfo=UTC))
        if left <= timedelta(0):
            return "old"
        async with asyncio.timeout(left.total_seconds()):
            shown = await adapter.typing(indicator, self._account(indicator), self.context)
        return "shown" if shown else "ignored"

    def _not_sent(
        self, waiting: Waiting, reason: str, traceparent: str, *, refused: bool, retry_after: float | None
    ) -> Outcome:
        attempts, now = waiting.attempts + 1, self.clock()
        due = None if refused else next_attempt(attempts, waiting.written_at, now, retry_after)
        log.warning("not sent", channel=waiting.message.channel, message_id=waiting.message.message_id,
                    reason=reason, attempts=attempts, given_up=due is None,
                    **telemetry.trace_fields(traceparent))  # fmt: skip
        telemetry.count("trunkline.delivery.failures", 1, channel=waiting.message.channel)
        if due is None:
            return Finished(waiting.message, attempts, "", reason or "refused", traceparent)
        return Postponed(waiting.message.message_id, attempts, due)


class Attempts:
    """The attempts of one partition that are under way or not yet written down.

    They outlive the partition's state: after a hiccup of the database a message that was sent is not sent again.
    """

    def __init__(self, attempt: Callable[[Waiting], Awaitable[Outcome]]) -> None:
        self._attempt = attempt
        self._tasks: dict[tuple[str, int], asyncio.Task[Outcome]] = {}

    async def outcome(self, waiting: Waiting) -> Outcome:
        """Attempt, or wait for the attempt that is under way already."""
        key = (waiting.message.message_id, waiting.attempts)
        if key not in self._tasks:
            self._tasks[key] = asyncio.ensure_future(self._attempt(waiting))
        return await asyncio.shield(self._tasks[key])

    def forget(self, waiting: Waiting) -> None:
        """The outcome is durable."""
        self._tasks.pop((waiting.message.message_id, waiting.attempts), None)

    async def settle(self, seconds: float) -> list[Outcome]:
        """Wait a bounded time; returns the outcomes that nobody has written down yet."""
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=seconds)
        return [task.result() for task in self._tasks.values() if task.done() and not task.cancelled()]

    def drop_done(self) -> None:
        """Forget the outcomes of `settle`."""
        self._tasks = {key: task for key, task in self._tasks.items() if not task.done()}

    def cancel(self) -> None:
        """The process ends."""
        for task in self._tasks.values():
            task.cancel()
