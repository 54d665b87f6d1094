"""Real Kafka and PostgreSQL: they keep what they were given, and leave nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local.process import ProcessDied, until
from deploy.local.stack import AlreadyRunning, Stack

pytestmark = pytest.mark.stack
HOLD = """
import asyncio, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started us with it ignored
from pathlib import Path
from deploy.local.stack import Stack
async def hold():
    async with Stack(Path(sys.argv[1]), topics=False):
        print("up", flush=True)
        await asyncio.sleep(600)
asyncio.run(hold())
"""


def _python(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _below(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def _ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def _all_end(processes: list[psutil.Process], seconds: float = 10) -> bool:
    return await until(lambda: all(map(_ended, processes)), seconds)


async def _send(bootstrap: str, topic: str, *values: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def _receive(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        return [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(count)]
    finally:
        await consumer.stop()


async def _create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


async def test_a_stack_leaves_no_process(tmp_path: Path) -> None:
    before = {process.pid for process in _below(os.getpid())}
    async with Stack(tmp_path, topics=False):
        started = [process for process in _below(os.getpid()) if process.pid not in before]
        assert {"java", "postgres"} <= {process.name() for process in started}
    assert await _all_end(started, 2)
    assert not list((tmp_path / "pids").glob("*"))


async def test_topics_are_there(tmp_path: Path) -> None:
    async with Stack(tmp_path) as stack:
        await _send(stack.bootstrap, "trunkline.inbound.v1", b"x")


async def test_kafka_keeps_data_and_port_when_killed_and_restarted(stack: Stack) -> None:
    bootstrap = stack.bootstrap
    await _create(bootstrap, "t")
    await _send(bootstrap, "t", b"1")
    await stack.kafka.kill()
    await stack.kafka.start()
    await _send(bootstrap, "t", b"2")
    await stack.kafka.restart()
    assert await _receive(bootstrap, "t", 2) == [b"1", b"2"]


async def test_a_paused_kafka_answers_nothing_until_resumed(stack: Stack) -> None:
    await _create(stack.bootstrap, "t")
    stack.kafka.pause()
    sending = asyncio.ensure_future(_send(stack.bootstrap, "t", b"late"))
    done, _ = await asyncio.wait({sending}, timeout=0.5)
    assert not done
    stack.kafka.resume()
    await asyncio.wait_for(sending, 20)


async def test_a_paused_kafka_can_be_stopped(stack: Stack) -> None:
    stack.kafka.pause()
    await stack.kafka.stop()
    assert stack.kafka.process.returncode == 128 + signal.SIGTERM  # the JVM's answer to it: nobody had to kill


async def test_postgres_keeps_data_and_url_when_killed_and_restarted(stack: Stack) -> None:
    url = stack.database_url
    await _execute(url, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (1)")
    await stack.postgres.kill()
    await stack.postgres.start()
    await _execute(url, "INSERT INTO t VALUES (2)")
    await stack.postgres.restart()
    assert await _query(url, "SELECT n FROM t ORDER BY n") == [1, 2]


async def test_postgres_asks_for_the_password(stack: Stack) -> None:
    stranger = stack.database_url.replace(stack.database_url.split(":")[2].split("@")[0], "guess")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await _query(stranger, "SELECT 1")


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def _query(url: str, statement: str) -> list[object]:
    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(statement)]
    finally:
        await connection.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_nothing_outlives_the_process_that_started_it(tmp_path: Path, number: signal.Signals) -> None:
    with _python(HOLD, str(tmp_path)) as holder:
        assert holder.stdout
        assert await asyncio.to_thread(holder.stdout.readline) == b"up\n"
        started = _below(holder.pid)
        assert len(started) > 2
        holder.send_signal(number)
        assert await _all_end(started)


async def test_another_run_in_the_same_folder_is_refused(stack: Stack) -> None:
    with pytest.raises(AlreadyRunning):
        await Stack(stack.folder, topics=False).__aenter__()


async def test_a_stack_that_is_named_by_the_environment_is_used_and_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka.example:9092")
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example/x")
    before = len(_below(os.getpid()))
    async with Stack(tmp_path, topics=False) as stack:
        assert (stack.bootstrap, stack.database_url) == ("kafka.example:9092", "postgresql://db.example/x")
        assert len(_below(os.getpid())) == before
        with pytest.raises(RuntimeError, match="KAFKA_BOOTSTRAP_SERVERS"):
            _ = stack.kafka


async def test_a_broker_that_cannot_start_shows_its_last_lines(tmp_path: Path) -> None:
    stack = Stack(tmp_path, topics=False)
    data = tmp_path / "kafka" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=1\ncluster.id=x\nnode.id=7\n")
    with pytest.raises(ProcessDied, match=r"node.id"):
        await stack.__aenter__()
    assert not stack.postgres.process.running
