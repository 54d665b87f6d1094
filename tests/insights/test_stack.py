"""The real worker on real Kafka: started, asked, killed, stopped."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TypeVar

import grpc
import pytest
from trunkline.conversations.v1.conversation_event_pb2 import (
    ConversationAssigned,
    ConversationResolved,
    ConversationStarted,
)
from trunkline.insights.v1.insights_service_pb2 import GetQueueRequest, WatchQueueRequest, WatchQueueResponse
from trunkline.insights.v1.insights_service_pb2_grpc import InsightsServiceStub
from trunkline.insights.v1.queue_pb2 import QueueSnapshot
from trunkline_common import kafka, rpc
from trunkline_common.faultpoints import CrashPoint
from trunkline_common.kafka import Outgoing, Record, partition_for
from trunkline_insights.replay import Replay
from trunkline_insights.wire import DEAD_LETTERS, LOG

from deploy.local.keys import Role
from deploy.local.services import Services
from deploy.local.stack import Stack
from tests.faults.builds import PATIENCE_S, Build, FaultFile, sabotage
from tests.insights.events import Payload, event, queued

pytestmark = pytest.mark.stack

FAST = {"TRUNKLINE_SESSION_TIMEOUT_MS": "6000"}


class Desk:
    """A tenant of its own, its log, and its questions."""

    def __init__(self, services: Services, producer: kafka.Producer, name: str = "insights") -> None:
        self.services, self.producer, self.name = services, producer, name
        self.tenant = f"t{uuid.uuid4().hex[:8]}"
        self.since = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
        self._seq: dict[str, int] = {}

    async def write(self, conversation: str, *payloads: Payload) -> None:
        for payload in payloads:
            seq = self._seq[conversation] = self._seq.get(conversation, 0) + 1
            value = event(f"{self.tenant}-{conversation}", seq, payload, time=self.since, tenant=self.tenant)
            await self.put(conversation, value)

    async def put(self, conversation: str, value: bytes | None) -> None:
        key = f"{self.tenant}-{conversation}".encode()
        await self.producer.send(Outgoing(LOG, key, value), timeout=10)

    async def wait_in(self, team: str, conversation: str, minutes: int) -> None:
        since = self.since + timedelta(minutes=minutes)
        await self.write(conversation, ConversationStarted(), queued(team, since))

    def as_role(self, role: Role = "supervisor") -> list[tuple[str, str]]:
        token = self.services.keys.mint(role, self.tenant, "somebody", timedelta(minutes=5))
        return [("authorization", f"Bearer {token}")]

    async def ask(self, team: str) -> QueueSnapshot | None:
        async with rpc.plain_channel(self.services.address(self.name)) as channel:
            try:
                request = GetQueueRequest(queue=team)
                answer = await InsightsServiceStub(channel).GetQueue(request, metadata=self.as_role(), timeout=5)
            except grpc.aio.AioRpcError as error:
                if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE):
                    return None
                raise
        return answer.queue

    async def shows(self, team: str, depth: int, assigned: int, oldest: int | None) -> QueueSnapshot:
        """Wait until the queue has these figures."""
        since = None if oldest is None else self.since + timedelta(minutes=oldest)

        async def asked() -> QueueSnapshot | None:
            found = await self.ask(team)
            return found if found is not None and figures(found) == (depth, assigned, since) else None

        return await until(asked)


T = TypeVar("T")


def figures(queue: QueueSnapshot) -> tuple[int, int, datetime | None]:
    since = queue.oldest_entered_at.ToDatetime(tzinfo=UTC) if queue.HasField("oldest_entered_at") else None
    return queue.depth, queue.assigned, since


async def until(asked: Callable[[], Awaitable[T | None]], seconds: float = PATIENCE_S) -> T:
    deadline = time.monotonic() + seconds
    while (found := await asked()) is None:
        assert time.monotonic() < deadline, "not within its time"
        await asyncio.sleep(0.1)
    return found


@pytest.fixture
async def desk(stack: Stack) -> AsyncIterator[Desk]:
    async with Services(stack, env=FAST) as services, kafka.Producer(stack.bootstrap, "test") as producer:
        await services.start("insights")
        yield Desk(services, producer)


async def test_a_queue_is_counted_watched_and_the_same_after_a_kill(desk: Desk) -> None:
    """Two teams; an assignment moves the figures; SIGKILL and a new start bring them back."""
    for minute, conversation in enumerate("abc"):
        await desk.wait_in("billing", conversation, minute)
    await desk.wait_in("sales", "d", 3)
    seen = await desk.shows("billing", 3, 0, 0)
    assert (seen.valid_until.ToDatetime() - seen.computed_at.ToDatetime()) == timedelta(seconds=30)
    await desk.shows("sales", 1, 0, 3)

    async with rpc.plain_channel(desk.services.address("insights")) as channel:
        request = WatchQueueRequest(queue="billing")
        call = InsightsServiceStub(channel).WatchQueue(request, metadata=desk.as_role("agent"), timeout=30)
        watch = aiter(call)
        first: WatchQueueResponse = await anext(watch)
        assert first.queue.depth == 3
        await desk.write("a", ConversationAssigned(team="billing"))
        change: WatchQueueResponse = await anext(watch)
        assert figures(change.queue) == (2, 1, desk.since + timedelta(minutes=1))

    await desk.services.kill("insights")
    await desk.wait_in("sales", "e", 4)
    await desk.services.start("insights")
    await desk.shows("billing", 2, 1, 1)
    await desk.shows("sales", 2, 0, 3)


async def test_poison_goes_to_the_dead_letters_and_its_neighbours_count(desk: Desk, stack: Stack) -> None:
    await desk.wait_in("billing", "a", 0)
    await desk.put("a", b"\xff\xff not protobuf")
    await desk.put("a", None)
    await desk.write("a", ConversationAssigned(team="billing"))
    await desk.shows("billing", 0, 1, None)
    key = f"{desk.tenant}-a".encode()

    async def refused() -> list[Record] | None:
        found: list[Record] = []
        await Replay(stack.bootstrap, DEAD_LETTERS).tail(set(range(24)), 1000, found.append)
        mine = [record for record in found if record.key == key]
        return mine if len(mine) >= 2 else None

    letters = await until(refused)
    assert [r.headers["dlq.reason"] for r in letters] == [b"CANNOT_DECODE", b"FIELD_MISSING"]
    assert [r.value for r in letters] == [b"\xff\xff not protobuf", None]
    assert {r.headers["dlq.group"] for r in letters} == {b"insights"}


async def test_a_second_worker_takes_partitions_and_both_answer_for_every_queue(desk: Desk) -> None:
    other = Desk(desk.services, desk.producer, "second")
    other.tenant, other.since = desk.tenant, desk.since
    for minute in range(8):
        await desk.wait_in("billing", f"c{minute}", minute)
    await desk.shows("billing", 8, 0, 0)
    await desk.services.start("insights", instance="second")
    await desk.write("c0", ConversationAssigned(team="billing"))
    await desk.shows("billing", 7, 1, 1)
    await other.shows("billing", 7, 1, 1)
    await desk.services.stop("insights")
    await desk.write("c1", ConversationAssigned(team="billing"))
    await other.shows("billing", 6, 2, 2)


async def test_who_may_not_ask_is_refused_and_what_was_never_seen_is_not_found(desk: Desk) -> None:
    async with rpc.plain_channel(desk.services.address("insights")) as channel:
        stub = InsightsServiceStub(channel)
        refusals: list[tuple[Role, str, grpc.StatusCode]] = [
            ("integrator", "billing", grpc.StatusCode.PERMISSION_DENIED),
            ("admin", "", grpc.StatusCode.INVALID_ARGUMENT),
            ("service", "nothing", grpc.StatusCode.NOT_FOUND),
        ]
        for role, team, code in refusals:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.GetQueue(GetQueueRequest(queue=team), metadata=desk.as_role(role), timeout=5)
            assert refused.value.code() is code
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await anext(aiter(stub.WatchQueue(WatchQueueRequest(queue="nothing"), metadata=desk.as_role(), timeout=5)))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_stopped_worker_ends_in_seconds_though_somebody_watches_and_its_log_is_json(desk: Desk) -> None:
    await desk.wait_in("billing", "a", 0)
    await desk.shows("billing", 1, 0, 0)
    async with rpc.plain_channel(desk.services.address("insights")) as channel:
        request = WatchQueueRequest(queue="billing")
        watch = aiter(InsightsServiceStub(channel).WatchQueue(request, metadata=desk.as_role(), timeout=30))
        await anext(watch)
        began = time.monotonic()
        await desk.services.stop("insights")
        assert time.monotonic() - began < 8
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await anext(watch)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    process = desk.services.process("insights")
    assert process.returncode == 0
    lines = [line for line in process.log.read_text().splitlines() if line.startswith("{")]
    assert {"grpc", "ready"} <= {json.loads(line)["event"] for line in lines}
    assert desk.tenant not in process.log.read_text()


class Traffic:
    """Conversations moving at random between two teams, some records written again later, as a stale relay would."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.random = desk, Random(7)  # noqa: S311 - traffic, not secrets
        self.seqs: dict[str, int] = {}
        self.stands: dict[str, tuple[str, str]] = {}
        self.written: list[Outgoing] = []

    def step(self) -> Outgoing:
        name, team = f"c{self.random.randrange(300)}", self.random.choice(["billing", "sales"])
        kind = self.random.choice(["waits", "assigned", "resolved"])
        self.stands[name] = (kind, team)
        self.seqs[name] = self.seqs.get(name, 0) + 1
        payloads: dict[str, Payload] = {
            "waits": queued(team, self.desk.since),
            "assigned": ConversationAssigned(team=team),
            "resolved": ConversationResolved(team=team),
        }
        key = f"{self.desk.tenant}-{name}"
        value = event(key, self.seqs[name], payloads[kind], time=self.desk.since, tenant=self.desk.tenant)
        return Outgoing(LOG, key.encode(), value)

    async def write(self, count: int) -> None:
        batch = [self.step() for _ in range(count)]
        self.written += batch
        batch += self.random.choices(self.written, k=count // 20)
        while batch:
            batch = batch[await self.desk.producer.send_all(batch) :]

    def count(self, kind: str, team: str) -> int:
        return sum(1 for stand in self.stands.values() if stand == (kind, team))

    async def shows(self) -> None:
        for team in ("billing", "sales"):
            waits, assigned = self.count("waits", team), self.count("assigned", team)
            await self.desk.shows(team, waits, assigned, 0 if waits else None)


@pytest.mark.faults
async def test_after_kills_in_full_traffic_the_figures_equal_a_naive_recount(stack: Stack) -> None:
    """Two workers with stable names; one or the other is killed and started anew while the log grows."""
    async with Services(stack, env=FAST) as services, kafka.Producer(stack.bootstrap, "test") as producer:
        names = ("w1", "w2")
        for name in names:
            await services.start("insights", instance=name, env={"TRUNKLINE_INSTANCE": name})
        traffic = Traffic(Desk(services, producer, "w1"))
        for victim in ("w1", "w2", "w2", "w1", "w1"):
            await traffic.write(1000)
            await services.kill(victim)
            await traffic.write(1000)
            await services.start("insights", instance=victim, env={"TRUNKLINE_INSTANCE": victim}, wait=False)
            await traffic.write(1000)
        for name in names:
            await services.wait_ready(name)
        await traffic.shows()


@asynccontextmanager
async def one_worker(stack: Stack, build: Build = "") -> AsyncIterator[tuple[Desk, FaultFile]]:
    """A worker with a stable name, and its fault."""
    fault = FaultFile(stack.folder / "faults" / "insights")
    env = {**FAST, **fault.env, **sabotage(build), "TRUNKLINE_INSTANCE": "w1"}
    async with Services(stack, env=env) as services, kafka.Producer(stack.bootstrap, "test") as producer:
        await services.start("insights")
        yield Desk(services, producer), fault


@pytest.mark.faults
async def test_a_kill_at_any_point_changes_no_figure(stack: Stack) -> None:
    """Before and after the offset of a record is committed, before and after a snapshot is published."""
    points: list[CrashPoint] = [
        "offset.before_commit",
        "offset.after_commit",
        "snapshot.before_send",
        "snapshot.after_send",
    ]
    async with one_worker(stack) as (desk, fault):
        await desk.wait_in("billing", "0", 0)
        await desk.shows("billing", 1, 0, 0)
        for n, point in enumerate(points, start=1):
            fault.arm("CRASH_AT", point)
            await desk.wait_in("billing", str(n), n)
            await fault.bites(desk.services.process("insights"))
            await desk.write(str(n - 1), ConversationAssigned(team="billing"))
            await desk.services.start("insights")
            await desk.shows("billing", 1, n, n)


async def copies_counted(desk: Desk) -> QueueSnapshot:
    """What the queue shows after a resolved conversation's records came again, and another one began to wait.

    The other one follows in the same partition and has waited longest, so that it tells when the copies are counted.
    """
    since, place = desk.since + timedelta(minutes=5), partition_for(f"{desk.tenant}-gone".encode(), 24)
    payloads: list[Payload] = [ConversationStarted(), queued("billing", since), ConversationResolved(team="billing")]
    await desk.write("gone", *payloads)
    for seq, payload in enumerate(payloads[:2], start=1):
        await desk.put("gone", event(f"{desk.tenant}-gone", seq, payload, time=desk.since, tenant=desk.tenant))
    other = next(n for n in map(str, range(1000)) if partition_for(f"{desk.tenant}-{n}".encode(), 24) == place)
    await desk.wait_in("billing", other, 0)

    async def counted() -> QueueSnapshot | None:
        found = await desk.ask("billing")
        return found if found is not None and figures(found)[2] == desk.since else None

    return await until(counted)


def check_copies(desk: Desk, queue: QueueSnapshot) -> None:
    """Only the other one waits."""
    assert figures(queue) == (1, 0, desk.since), "copies were counted"


@pytest.mark.faults
async def test_what_a_killed_relay_writes_again_is_not_counted_again(stack: Stack) -> None:
    async with one_worker(stack) as (desk, _):
        check_copies(desk, await copies_counted(desk))


@pytest.mark.faults
async def test_a_worker_that_forgets_seqs_counts_copies(stack: Stack) -> None:
    async with one_worker(stack, "no_dedupe") as (desk, _):
        found = await copies_counted(desk)
        with pytest.raises(AssertionError, match="copies were counted"):
            check_copies(desk, found)
