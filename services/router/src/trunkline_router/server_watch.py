"""RouterService: streams that begin with a snapshot, or with what was missed since a token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from trunkline.router.v1 import router_requests_pb2 as asks
from trunkline.router.v1 import router_service_pb2 as api
from trunkline_common import rpc
from trunkline_common.auth import caller
from trunkline_common.errors import Refused, Violation

from trunkline_router.gap import Gap, expired
from trunkline_router.requests import Watch
from trunkline_router.server_calls import Calls
from trunkline_router.state import Engine
from trunkline_router.subjects import Change, Subject, WatchedAgent, WatchedQueue, WatchedTeam
from trunkline_router.watch import Watcher, Watchers


class WatchCalls(Calls):
    """Handlers."""

    async def WatchAgent(  # noqa: N802
        self, request: api.WatchAgentRequest, context: rpc.Context
    ) -> AsyncIterator[api.WatchAgentResponse]:
        pool = await self._pool(context, self._directory.of_agent, request.agent_id)
        async for response in self._stream(request, context, pool, WatchedAgent(request.agent_id)):
            yield response

    async def WatchQueue(  # noqa: N802
        self, request: asks.WatchQueueRequest, context: rpc.Context
    ) -> AsyncIterator[api.WatchQueueResponse]:
        pool = await self._pool(context, self._directory.of_team, request.team)
        async for response in self._stream(request, context, pool, WatchedQueue(request.team)):
            yield response

    async def WatchTeam(  # noqa: N802
        self, request: asks.WatchTeamRequest, context: rpc.Context
    ) -> AsyncIterator[api.WatchTeamResponse]:
        pool = await self._pool(context, self._directory.of_team, request.team)
        async for response in self._stream(request, context, pool, WatchedTeam(request.team)):
            yield response

    async def _stream(self, request: Any, context: rpc.Context, pool: str, subject: Subject) -> AsyncIterator[Any]:
        if not self._gate.owns(pool):
            async for response in self._gate.stream(pool, context, subject.method, request):
                yield response
            return
        gap = await self._gap(request.resume_token, pool, subject)
        watcher = Watcher(pool, subject)
        try:  # who goes away while asking may be added all the same: the transaction goes on
            for change in await self._ask(request, context, pool, _watch(watcher, gap), subject.method):
                yield self._stamped(change, pool, subject)
            while True:
                yield self._stamped(await watcher.next(), pool, subject)
        finally:
            watcher.leave()

    async def _gap(self, token: str, pool: str, subject: Subject) -> Gap | None:
        """Most of what was missed is read before the pool's owner is asked, so that it has little to read."""
        try:
            found = self._tokens.open(token, *_bound(subject))
        except Refused as refused:
            problem = Violation("resume_token", "is not of this watch; begin again without it")
            raise Refused(
                refused.code,
                "INVALID_PAGE_TOKEN",
                f"resume_token: {problem.description}",
                metadata={"field": "resume_token"},
                violations=[problem],
            ) from refused
        if found is None:
            return None
        if found[0] != pool:
            raise expired(found[1])
        gap = Gap(pool, found[1])
        await gap.read_on(self._log)
        return gap

    def _stamped(self, change: Change | Refused, pool: str, subject: Subject) -> Change:
        """The change with a token that continues after it, but for a part of a snapshot: the rest would be missed."""
        if isinstance(change, Refused):
            raise change
        made = type(change)()
        made.CopyFrom(change)  # type: ignore[arg-type] # of its own type; others are told the same change
        if not isinstance(made, api.WatchTeamResponse) or not made.continues:
            made.resume_token = self._tokens.seal([pool, change.pool_seq], *_bound(subject))
        return made


def _bound(subject: Subject) -> tuple[str, str, str]:
    return caller().tenant, subject.method, subject.name


def _watch(watcher: Watcher, gap: Gap | None) -> Watch:
    subject = watcher.subject

    def subscribe(engine: Engine, watchers: Watchers) -> list[Change | Refused]:
        if watcher.gone:
            return []
        missed = subject.snapshot(engine) if gap is None else gap.changes(engine, subject)
        watchers.add(watcher, engine)
        return [*missed]

    return Watch(watcher.pool, subscribe, gap)
