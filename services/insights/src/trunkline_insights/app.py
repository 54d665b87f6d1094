"""The Faust application: agents, timers, and the gRPC server beside them. The only module that imports faust."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Iterable, MutableMapping
from contextlib import AsyncExitStack
from typing import Any, NoReturn

import faust
import structlog
from faust.app.base import BootStrategy
from faust.exceptions import FaustError
from faust.types import TP, EventT, StreamT
from mode import Service
from trunkline_common import cloudevents, faultpoints, rpc, telemetry, topics
from trunkline_common.auth import Authenticator
from trunkline_common.clock import utc_now
from trunkline_common.deadletters import Rejected, dead_letter
from trunkline_common.errors import InvalidMessage
from trunkline_common.kafka import KafkaError, Outgoing, Record
from trunkline_common.run import say_ready
from trunkline_common.settings import load
from trunkline_common.tail import CompactedTable

from trunkline_insights import logs, server, wire
from trunkline_insights.partitions import GROUP, Boards, Shards, Share
from trunkline_insights.queues import HEARTBEAT
from trunkline_insights.replay import Replay
from trunkline_insights.settings import Settings
from trunkline_insights.view import View

log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0
SEND_SECONDS = 30.0
#: How a send fails, by Faust's producer or by the one within.
OUTAGES = (FaustError, KafkaError, OSError, TimeoutError)


async def vital(work: Awaitable[None]) -> None:
    """Faust acknowledges an event whose agent raised. So whatever fails ends the process before it can."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - the process ends; the next one begins at the last acknowledged event
        log.critical("insights failed; the process ends", **logs.describe(error))
        os._exit(1)


def _give_up() -> None:
    log.error("the drain budget is used up; the process ends")
    os._exit(1)


class _NoWeb(BootStrategy):
    enable_web = False


class App(faust.App):
    """Without a web server, and without a data folder: nothing is kept on disk."""

    BootStrategy = _NoWeb
    bootstrap = ""
    drain_seconds = 0.0

    async def on_first_start(self) -> None:
        try:
            await topics.verify(self.bootstrap)
        except topics.TopicDrift as drift:
            log.critical("the topics are not the declared ones", problems=drift.problems)
            raise

    async def on_shutdown(self) -> None:
        telemetry.shutdown()


class Worker(faust.Worker):
    """Standard output belongs to the log: no spinner, no greeting, nothing redirected."""

    def __init__(self, app: App, *services: Any, **options: Any) -> None:
        super().__init__(app, *services, **options | {"quiet": True, "redirect_stdouts": False})
        self._drain_seconds = app.drain_seconds
        self.spinner = None

    def _on_sigterm(self) -> None:
        """Faust waits for Kafka without end where it does not answer; the figures are in the log, not in here."""
        self.loop.call_later(self._drain_seconds, _give_up)
        super()._on_sigterm()


class Monitor(faust.Monitor):
    """Hears of every commit."""

    def on_tp_commit(self, tp_offsets: MutableMapping[TP, int]) -> None:
        super().on_tp_commit(tp_offsets)
        if any(tp.topic == wire.LOG for tp in tp_offsets):
            faultpoints.crash_point("offset.after_commit")


class Pipeline:
    """Log -> shares per partition -> partials -> snapshots. Each arrow is a topic or a timer."""

    def __init__(self, app: App, bootstrap: str) -> None:
        self.shards = Shards(Replay(bootstrap, wire.LOG))
        self.boards = Boards(Replay(bootstrap, wire.PARTIALS))
        names = (wire.LOG, wire.PARTIALS, wire.SNAPSHOTS, wire.DEAD_LETTERS)
        self._topics = {name: _raw_topic(app, name) for name in names}
        self._assigning: asyncio.Task[None] | None = None
        app.on_partitions_assigned.connect(self._assigned)  # type: ignore[arg-type] # called as the signal documents
        app.agent(self._topics[wire.LOG], name="shards")(self._read_log)
        app.agent(self._topics[wire.PARTIALS], name="boards")(self._read_partials)
        app.timer(TICK_SECONDS)(self._publish_partials)
        app.timer(TICK_SECONDS)(self._publish_snapshots)
        app.timer(HEARTBEAT.total_seconds())(self._sweep)

    async def _assigned(self, _app: Any, assigned: set[TP], **_: Any) -> None:
        """Not awaited by the rebalance: Faust delivers meanwhile, the agents wait until the state is complete."""
        for share in (self.shards, self.boards):
            share.ready.clear()
        if self._assigning is not None:
            self._assigning.cancel()
        self._assigning = asyncio.create_task(vital(self._assign(assigned)))

    async def _assign(self, assigned: set[TP]) -> None:
        await self.boards.assign(tp.partition for tp in assigned if tp.topic == wire.PARTIALS)
        await self.shards.assign(tp.partition for tp in assigned if tp.topic == wire.LOG)
        log.info("partitions complete", count=len(assigned))

    async def _read_log(self, stream: StreamT[bytes]) -> None:
        async for event in stream.events():
            await vital(self._take(event, self.shards))
            faultpoints.crash_point("offset.before_commit")

    async def _read_partials(self, stream: StreamT[bytes]) -> None:
        async for event in stream.events():
            await vital(self._take(event, self.boards))

    async def _take(self, event: EventT[bytes], share: Share) -> None:
        record = _to_record(event)
        span = telemetry.process_span(record, GROUP, cloudevents.text(record.headers, cloudevents.TRACEPARENT))
        with telemetry.handling([span] if span else []):
            try:
                await share.take(record)
            except InvalidMessage as error:
                await self._refuse(Rejected(record, error.reason, error.detail))

    async def _refuse(self, rejected: Rejected) -> None:
        await self._send([dead_letter(rejected, wire.DEAD_LETTERS, GROUP)])
        telemetry.count("trunkline.dlq.messages", 1, group=GROUP)
        where = {"topic": rejected.record.topic, "partition": rejected.record.partition}
        log.warning("a record was refused", reason=rejected.reason, offset=rejected.record.offset, **where)

    async def _publish_partials(self) -> None:
        await vital(self._publish(map(wire.partial_to_record, self.shards.partials(utc_now()))))

    async def _publish_snapshots(self) -> None:
        if snapshots := self.boards.snapshots(utc_now()):
            faultpoints.crash_point("snapshot.before_send")
            await vital(self._publish(map(wire.snapshot_to_record, snapshots)))
            faultpoints.crash_point("snapshot.after_send")

    async def _sweep(self) -> None:
        await vital(self.shards.sweep())

    async def _publish(self, messages: Iterable[Outgoing]) -> None:
        """What an outage or the end of the process keeps from being sent is sent with the next heartbeat."""
        try:
            await self._send(messages)
        except OUTAGES as error:
            log.warning("kafka does not take figures; the next heartbeat repeats them", error=type(error).__name__)

    async def _send(self, messages: Iterable[Outgoing]) -> None:
        """Returns when every in-sync replica has them."""
        sent = [await self._topics[m.topic].send(key=m.key, value=m.value, headers=dict(m.headers)) for m in messages]
        async with asyncio.timeout(SEND_SECONDS):
            await asyncio.gather(*sent)


class Front(Service):
    """The gRPC server, in Faust's loop. It answers from the compacted topic, not from this worker's partitions."""

    def __init__(self, pipeline: Pipeline, settings: Settings, **options: Any) -> None:
        super().__init__(**options)
        self._pipeline, self._settings = pipeline, settings
        self._view, self._open = View(), AsyncExitStack()
        self._table = CompactedTable(settings.kafka, wire.SNAPSHOTS, self._view.take)

    async def on_start(self) -> None:
        given = self._settings
        auth = Authenticator(given.jwks, given.jwt_issuer, given.jwt_audience)
        running = rpc.serve(given.grpc_listen, auth, [server.service(self._view)])
        self._server = await self._open.enter_async_context(running)
        log.info("grpc", address=self._server.address)

    async def on_stop(self) -> None:
        self._view.close()
        await self._open.aclose()

    @Service.task
    async def _follow(self) -> None:
        await vital(self._table.run())

    @Service.task
    async def _say_ready(self) -> None:
        for waited in (self._table.loaded, self._pipeline.boards.ready, self._pipeline.shards.ready):
            await waited.wait()
        await self._server.set(serving=True)
        say_ready(self._settings.ready_file)


def build(settings: Settings) -> App:
    """The application as `faust worker` runs it."""
    session = settings.session_timeout_ms / 1000
    app = App(
        GROUP,
        broker=[f"kafka://{address.strip()}" for address in settings.kafka.split(",")],
        processing_guarantee="at_least_once",
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=f"{GROUP}-{settings.instance}" if settings.instance else None,
        broker_commit_interval=1.0,
        broker_session_timeout=session,
        broker_request_timeout=max(session, 40.0),
        producer_linger=0.005,
        web_enabled=False,
        Worker=Worker,
        Monitor=Monitor,
        logging_config=logs.config(),
    )
    app.bootstrap, app.drain_seconds = settings.kafka, settings.drain_seconds
    app.service(Front(Pipeline(app, settings.kafka), settings))  # type: ignore[arg-type] # an instance will do
    return app


def from_environment() -> App:
    """The application of this process; ends it where a variable is missing."""
    faultpoints.refuse_outside_tests()
    settings = load(Settings)
    telemetry.setup("insights", endpoint=settings.otlp_endpoint, level=settings.log_level, ratio=settings.sample_ratio)
    return build(settings)


def run() -> NoReturn:
    """What `faust -A trunkline_insights worker` does, without its banner."""
    from_environment().Worker().execute_from_commandline()


def _raw_topic(app: App, name: str) -> Any:
    """Bytes in and out: wire.py is the only codec, and pickle is none."""
    return app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


def _to_record(event: EventT[bytes]) -> Record:
    m = event.message
    headers = {name: value or b"" for name, value in dict(m.headers or ()).items()}
    return Record(m.topic, m.partition, m.offset, m.key, m.value, headers, round(m.timestamp * 1000))
