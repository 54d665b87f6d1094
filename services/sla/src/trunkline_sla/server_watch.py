"""SlaService: what is published, as a stream."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from trunkline.sla.v1 import sla_service_pb2 as pb
from trunkline_common.auth import caller
from trunkline_common.errors import unavailable
from trunkline_common.kafka import KafkaError

from trunkline_sla import wire_api
from trunkline_sla.server_calls import Calls, Sources, bound
from trunkline_sla.watch import Read, Seats, Wanted, watch

#: The topic from a place on; None: from its end.
Follow = Callable[[Sequence[int] | None], AsyncGenerator[Read, None]]


class WatchCalls(Calls):
    """Handlers."""

    def __init__(self, sources: Sources, follow: Follow, seats: Seats) -> None:
        super().__init__(sources)
        self._follow, self._seats = follow, seats

    async def WatchSla(self, request: pb.WatchSlaRequest, context: object) -> AsyncGenerator[pb.WatchSlaResponse, None]:  # noqa: ARG002, N802
        """Everything published from now on, or from a token on."""
        wire_api.metric_name(request.metric)
        mine = bound("WatchSla", request)
        start = self._from.tokens.open(request.resume_token, *mine, field="resume_token")
        wanted = Wanted(caller().tenant, request.team, request.metric)
        with self._seats.one():
            try:
                async with aclosing(self._follow(start)) as reads:
                    async for event, place in watch(reads, wanted, time.monotonic):
                        token = self._from.tokens.seal(list(place), *mine)
                        yield pb.WatchSlaResponse(event=event, resume_token=token)
            except KafkaError as error:
                raise unavailable("kafka") from error
