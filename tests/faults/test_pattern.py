"""The consumer pattern under SIGKILL, SIGSTOP and duplicates, and each mechanism taken out once.

P1 nothing accepted is lost, P2 each event counts once, P3 order per key holds, P7 a stale owner cannot write.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from trunkline_common import kafka, outbox, postgres
from trunkline_common.kafka import Outgoing, Producer

from deploy.local.process import Process
from deploy.local.stack import Stack
from tests import kit
from tests.faults.builds import PATIENCE_S, stopped

pytestmark = [
    pytest.mark.stack,
    pytest.mark.faults,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="session"),
]
PARTITIONS, KEYS = 4, 8


@dataclass(slots=True)
class Bench:
    """A ledger service of its own: topics, schema, processes."""

    stack: Stack
    name: str
    producer: Producer
    pool: postgres.Pool
    folder: Path
    sent: list[tuple[str, str]]

    def process(self, instance: str, env: dict[str, str] | None = None, *, member: str = "") -> Process:
        """One process of the service, started."""
        ready = self.folder / f"{instance}.ready"
        ready.unlink(missing_ok=True)
        environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": self.stack.bootstrap,
            "DATABASE_URL": self.stack.database_url,
            "TRUNKLINE_SESSION_TIMEOUT_MS": "6000",
            "TRUNKLINE_TEST_BUILD": "1",
            "TRUNKLINE_INSTANCE": member,
            "TRUNKLINE_READY_FILE": str(ready),
            "LEDGER_NAME": self.name,
            **(env or {}),
        }
        process = Process(instance, self.folder, [sys.executable, "-m", "tests.faults.ledger"], environment)
        process.start()
        return process

    async def send(self, count: int, *, twice: bool = False) -> None:
        """Produce events to all keys in turn; `twice` delivers each a second time."""
        events = [(f"k{i % KEYS}", f"e-{kit.new_id()}") for i in range(count)]
        self.sent += events
        copies = [Outgoing(f"{self.name}.in", k.encode(), e.encode()) for k, e in events for _ in range(1 + twice)]
        await asyncio.gather(*(self.producer.send(m, timeout=20) for m in copies))

    async def consumed(self) -> bool:
        """Whether everything produced is consumed and published."""
        total = sum(1 for _ in await kit.read_topic(self.stack.bootstrap, f"{self.name}.in"))
        done = await self.pool.fetchval("select sum(next_offset) from consumer_partition")
        left = await self.pool.fetchval("select count(*) from outbox")
        return done is not None and int(done) >= total and int(left) == 0

    async def check(self) -> None:
        """The promises, from what PostgreSQL and Kafka hold."""
        expected = {key: sum(1 for k, _ in self.sent if k == key) for key, _ in self.sent}
        counted = {r["key"]: r["n"] for r in await self.pool.fetch("select key, n from effect")}
        assert counted == expected, "effects lost or counted twice"
        published: dict[str, dict[str, int]] = {}
        for record in await kit.read_topic(self.stack.bootstrap, f"{self.name}.out"):
            event_id = dict(record.headers)["ce_id"].decode()
            published.setdefault(record.key.decode(), {}).setdefault(event_id, int(record.value))
        for key, count in expected.items():
            assert list(published.get(key, {}).values()) == list(range(1, count + 1)), f"{key} published out of order"


@pytest_asyncio.fixture(loop_scope="session")
async def bench(stack: Stack, tmp_path: Path) -> AsyncIterator[Bench]:
    """Fresh topics and a fresh schema."""
    name = f"ledger-{kit.new_id()[:8]}"
    async with kafka.admin(stack.bootstrap) as client:
        await kafka.create_topics(client, [(f"{name}.{t}", PARTITIONS, 1, {}) for t in ("in", "out", "dlq")])
    async with postgres.connect(stack.database_url, name) as pool, Producer(stack.bootstrap, name) as producer:
        made = Bench(stack, name, producer, pool, tmp_path, [])
        yield made


async def crash_and_recover(bench: Bench, env: dict[str, str], *, twice: bool = False) -> None:
    """Run until the process kills itself, then run a healthy one of the same build until all is consumed."""
    await bench.send(40, twice=twice)
    first = bench.process("first", env, member="only")
    await bench.send(40, twice=twice)
    assert await first.wait(PATIENCE_S) == -signal.SIGKILL, "the fault did not bite"
    await recover(bench, {k: v for k, v in env.items() if k != "CRASH_AT"})


async def recover(bench: Bench, env: dict[str, str]) -> None:
    """A process that runs until all is consumed, then ends by SIGTERM."""
    second = bench.process("second", env, member="only")
    try:
        await kit.eventually(bench.consumed, seconds=PATIENCE_S, what="everything consumed")
    finally:
        await second.stop(20)


@pytest.mark.parametrize("point", ["batch.taken", "batch.before_commit", "batch.after_commit", "relay.after_send"])
async def test_a_kill_at_any_point_loses_and_doubles_nothing(bench: Bench, point: str) -> None:
    """P1, P2, P3 for SIGKILL before the transaction, before COMMIT, after COMMIT and after the relay's send."""
    await crash_and_recover(bench, {"CRASH_AT": f"{point}:2"})
    await bench.check()


async def test_committing_the_offset_first_loses_effects(bench: Bench) -> None:
    """Without 'offset in the transaction' a kill before COMMIT loses events, and the check sees it (P1)."""
    await crash_and_recover(bench, {"CRASH_AT": "batch.before_commit:2", "TRUNKLINE_SABOTAGE": "commit_first"})
    with pytest.raises(AssertionError, match="lost"):
        await bench.check()


async def test_a_duplicate_record_counts_once(bench: Bench) -> None:
    """P2 for the same event delivered twice, across a kill."""
    await crash_and_recover(bench, {"CRASH_AT": "batch.after_commit:2", "LEDGER_INBOX": "1"}, twice=True)
    await bench.check()


async def test_without_the_inbox_a_duplicate_record_counts_twice(bench: Bench) -> None:
    """The check sees what the inbox prevents."""
    env = {"CRASH_AT": "batch.after_commit:2", "LEDGER_INBOX": "1", "TRUNKLINE_SABOTAGE": "no_dedupe"}
    await crash_and_recover(bench, env, twice=True)
    with pytest.raises(AssertionError, match="counted twice"):
        await bench.check()


async def left_after_late_commit(bench: Bench) -> int:
    """Rows unpublished when a transaction with lower ids commits after one with higher ids was relayed."""
    await postgres.migrate(bench.pool, bench.name, "trunkline_common")
    relays = [outbox.Relay(bench.pool, bench.producer, bench.name, partition) for partition in (0, 1)]
    message = [Outgoing(f"{bench.name}.out", b"k", b"1", {"ce_id": b"e"})]
    async with postgres.transaction(bench.pool) as late:
        await outbox.write(late, bench.name, 0, message)
        async with postgres.transaction(bench.pool) as early:
            await outbox.write(early, bench.name, 1, message)
        await relays[1].drain()
    await relays[0].drain()
    return int(await bench.pool.fetchval("select count(*) from outbox"))


async def test_a_transaction_that_commits_late_is_still_published(bench: Bench) -> None:
    """The relay deletes what it sent, by id list: lower ids that appear later are found (P1)."""
    assert await left_after_late_commit(bench) == 0


async def test_a_relay_that_reads_beyond_its_last_id_skips_rows(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """`id > last` never finds them."""
    monkeypatch.setenv("TRUNKLINE_SABOTAGE", "relay_id_gt")
    monkeypatch.setattr(outbox.Relay, "_sabotage_last", 0)
    assert await left_after_late_commit(bench) == 1


async def overlap(bench: Bench, env: dict[str, str]) -> str:
    """Freeze an owner with a batch in its hands, let another take over and finish, then wake the first; its log."""
    frozen = bench.process("frozen", {**env, "FREEZE_AT": "batch.taken:3"})

    async def froze() -> bool:
        await bench.send(KEYS)
        return stopped(frozen)

    await kit.eventually(froze, seconds=PATIENCE_S, what="the owner frozen with a batch in hand")
    await bench.send(40)
    taker = bench.process("taker", env)
    try:
        await kit.eventually(bench.consumed, seconds=PATIENCE_S, what="the new owner has consumed everything")
        frozen.send(signal.SIGCONT)
        await kit.eventually(lambda: tried(bench, frozen), seconds=PATIENCE_S, what="the stale owner tried to write")
    finally:
        await asyncio.gather(frozen.stop(20), taker.stop(20))
    return frozen.log.read_text()


async def tried(bench: Bench, process: Process) -> bool:
    """Whether the awakened owner was refused, or its write can be seen."""
    total = int(await bench.pool.fetchval("select coalesce(sum(n), 0) from effect"))
    return "fenced" in process.log.read_text() or total > len(bench.sent)


async def test_a_frozen_owner_that_wakes_up_cannot_write(bench: Bench) -> None:
    """P7: SIGSTOP, rebalance, SIGCONT: the stale batch is refused by the fence."""
    log = await overlap(bench, {})
    assert "fenced" in log
    await bench.check()


async def test_without_the_fence_a_stale_owner_writes_twice(bench: Bench) -> None:
    """The check sees what the fence prevents."""
    await overlap(bench, {"TRUNKLINE_SABOTAGE": "no_fence"})
    with pytest.raises(AssertionError, match="counted twice"):
        await bench.check()
