"""Kafka and PostgreSQL for this machine, real ones, with our topics in them."""

import fcntl
import os
import sys
from pathlib import Path
from typing import IO, Self

from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.process import Process, together

DEFAULT_FOLDER = Path(".run")
TOPICS_S = 60.0


class AlreadyRunning(Exception):
    def __init__(self, folder: Path) -> None:
        super().__init__(f"another process uses {folder}; stop it first (make down)")


class Stack:
    """Starts what the environment does not already name, and stops what it started.

    KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL name a Kafka and a PostgreSQL to be used instead of our own.
    """

    def __init__(self, folder: Path = DEFAULT_FOLDER, *, topics: bool = True) -> None:
        self.folder = folder.absolute()
        self._topics = topics
        self._bootstrap = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        self._database_url = os.environ.get("DATABASE_URL")
        self._kafka = None if self._bootstrap else Kafka(self.folder)
        self._postgres = None if self._database_url else Postgres(self.folder)
        self._lock: IO[str] | None = None

    @property
    def bootstrap(self) -> str:
        return self._bootstrap or self.kafka.bootstrap

    @property
    def database_url(self) -> str:
        return self._database_url or self.postgres.url

    @property
    def kafka(self) -> Kafka:
        if self._kafka is None:
            raise RuntimeError("Kafka is the one of KAFKA_BOOTSTRAP_SERVERS, not ours")
        return self._kafka

    @property
    def postgres(self) -> Postgres:
        if self._postgres is None:
            raise RuntimeError("PostgreSQL is the one of DATABASE_URL, not ours")
        return self._postgres

    async def __aenter__(self) -> Self:
        self._take_folder()
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _start(self) -> None:
        parts = [part for part in (self._kafka, self._postgres) if part]
        await together(*(part.start() for part in parts))
        if self._topics:
            await self._apply_topics()

    async def _stop(self) -> None:
        parts = [part for part in (self._kafka, self._postgres) if part]
        await together(*(part.stop() for part in parts))
        if self._lock:
            self._lock.close()

    def _take_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise AlreadyRunning(self.folder) from None

    async def _apply_topics(self) -> None:
        command = [sys.executable, "-m", "trunkline_common.topics", "apply"]
        env = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap}
        await Process("topics", self.folder, command, env).run(TOPICS_S)
