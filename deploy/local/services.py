"""The service processes: how each is started, what it is told, and a supervisor over them."""

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self

from deploy.local import readiness
from deploy.local.console import Console
from deploy.local.keys import AUDIENCE, ISSUER, Keys, ensure_secret, write_secret
from deploy.local.ports import free_address
from deploy.local.process import NotReady, Process, together
from deploy.local.stack import Stack

READY_S = 60.0
DRAIN_S = 25.0  # more than the services' own budget, TRUNKLINE_DRAIN_SECONDS
ASK_EVERY_S = 0.05
TOKEN_LIFETIME = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Kind:
    """`listens` maps a variable to the purpose of a port; `targets` a variable to the kind whose gRPC port it names."""

    name: str
    command: tuple[str, ...]
    listens: Mapping[str, str]
    targets: Mapping[str, str]


def _kind(
    name: str,
    command: Iterable[str],
    listens: Mapping[str, str] | None = None,
    targets: Mapping[str, str] | None = None,
) -> Kind:
    return Kind(name, tuple(command), listens or {}, targets or {})


_PYTHON = (sys.executable, "-m")
_FAUST = (str(Path(sys.executable).with_name("faust")), "--quiet", "-A", "trunkline_insights")
_GRPC = {"TRUNKLINE_GRPC_LISTEN": "grpc"}
_INGEST = {**_GRPC, "TRUNKLINE_HTTP_LISTEN": "http", "TRUNKLINE_SMTP_LISTEN": "smtp"}
_ROUTER = {**_GRPC, "TRUNKLINE_ADVERTISE": "grpc"}
KINDS = {
    kind.name: kind
    for kind in (
        _kind("ingest", (*_PYTHON, "trunkline_ingest"), _INGEST),
        _kind("intake", (*_PYTHON, "trunkline_ingest.intake")),
        _kind("delivery", (*_PYTHON, "trunkline_ingest.delivery")),
        _kind(
            "router",
            (*_PYTHON, "trunkline_router"),
            _ROUTER,
            {"TRUNKLINE_TIMELINE_TARGET": "timeline", "TRUNKLINE_SLA_TARGET": "sla"},
        ),
        _kind("timeline", (*_PYTHON, "trunkline_timeline"), _GRPC, {"TRUNKLINE_SLA_TARGET": "sla"}),
        _kind("sla", (*_PYTHON, "trunkline_sla"), _GRPC),
        _kind("insights", (*_FAUST, "--datadir", "{data}", "worker", "--without-web"), _GRPC),
    )
}


@dataclass(slots=True)
class Running:
    kind: Kind
    process: Process
    env: Mapping[str, str]
    expected: bool = True


class Services:
    """Knows each process by its instance name, which is its kind's name unless another one is given.

    `env` goes to every process, `env_of[kind]` to that kind's. A killed or stopped process is not missed by `watch`.
    """

    def __init__(
        self,
        stack: Stack,
        *,
        env: Mapping[str, str] | None = None,
        env_of: Mapping[str, Mapping[str, str]] | None = None,
        console: Console | None = None,
        drain_s: float = DRAIN_S,
        kinds: Mapping[str, Kind] = KINDS,
    ) -> None:
        self._stack = stack
        self._folder = stack.folder
        self._env, self._env_of = env or {}, env_of or {}
        self._console, self._drain_s, self._kinds = console, drain_s, kinds
        self._running: dict[str, Running] = {}
        self._addresses: dict[tuple[str, str], str] = {}
        self.keys = Keys(self._folder)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop_all()

    def address(self, name: str, purpose: str = "grpc") -> str:
        """host:port of an instance, the same before, during and after its life; purposes are grpc, http, smtp."""
        if (name, purpose) not in self._addresses:
            self._addresses[name, purpose] = free_address()
        return self._addresses[name, purpose]

    def process(self, name: str) -> Process:
        return self._running[name].process

    async def start_all(self, kinds: Iterable[str] | None = None) -> None:
        """Returns when all are ready."""
        await together(*(self.start(kind) for kind in kinds or self._kinds))

    async def start(
        self, kind: str, *, instance: str | None = None, env: Mapping[str, str] | None = None, wait: bool = True
    ) -> Process:
        name = instance or kind
        extra = {**self._env, **self._env_of.get(kind, {}), **(env or {})}
        echo = self._console.line_of(name) if self._console else None
        command = [part.format(data=self._folder / "data" / name) for part in self._kinds[kind].command]
        process = Process(name, self._folder, command, self._environment(self._kinds[kind], name, extra), echo=echo)
        self._ready_file(name).unlink(missing_ok=True)
        self._running[name] = Running(KINDS[kind], process, env or {})
        process.start()
        if wait:
            await self.wait_ready(name)
        return process

    async def wait_ready(self, name: str, seconds: float = READY_S) -> None:
        process = self.process(name)
        deadline = time.monotonic() + seconds
        while not await self._ready(name):
            process.check()
            if time.monotonic() > deadline:
                raise NotReady(name, seconds, process.tail())
            await asyncio.sleep(ASK_EVERY_S)

    async def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Sends the signal; one that ends the process is waited for."""
        running = self._running[name]
        lasting = number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGUSR1, signal.SIGUSR2)
        running.expected = running.expected and lasting
        running.process.send(number)
        if not lasting:
            await running.process.wait(self._drain_s)

    async def stop(self, name: str) -> None:
        self._running[name].expected = False
        await self.process(name).stop(self._drain_s)

    async def restart(self, name: str, *, env: Mapping[str, str] | None = None, wait: bool = True) -> Process:
        """On the same ports; with the environment it had, unless another one is given."""
        running = self._running[name]
        await self.stop(name)
        return await self.start(running.kind.name, instance=name, env=running.env if env is None else env, wait=wait)

    async def stop_all(self) -> None:
        await together(*(self.stop(name) for name in self._running))

    async def watch(self) -> None:
        """Raises ProcessDied when a process ends that nobody here ended; otherwise never returns."""
        while True:
            for running in list(self._running.values()):
                if running.expected:
                    running.process.check()
            await asyncio.sleep(ASK_EVERY_S)

    async def _ready(self, name: str) -> bool:
        listens = self._running[name].kind.listens
        if not listens:
            return await readiness.says_ready(self._ready_file(name))
        if "TRUNKLINE_HTTP_LISTEN" in listens and not await readiness.serves_http(self.address(name, "http")):
            return False
        return await readiness.serves_grpc(self.address(name))

    def _ready_file(self, name: str) -> Path:
        return self._folder / "ready" / name

    def _environment(self, kind: Kind, name: str, extra: Mapping[str, str]) -> dict[str, str]:
        (self._folder / "ready").mkdir(parents=True, exist_ok=True)
        return {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "TRUNKLINE_READY_FILE": str(self._ready_file(name)),
            **self._common(kind.name),
            **{variable: self.address(name, purpose) for variable, purpose in kind.listens.items()},
            **{variable: self.address(target) for variable, target in kind.targets.items()},
            **extra,
        }

    def _common(self, kind: str) -> dict[str, str]:
        keys = self._folder / "keys"
        token = keys / f"{kind}.token"
        write_secret(token, self.keys.mint("service", "*", kind, TOKEN_LIFETIME).encode())
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self._stack.bootstrap,
            "DATABASE_URL": self._stack.database_url,
            "TRUNKLINE_LOG_LEVEL": os.environ.get("TRUNKLINE_LOG_LEVEL", "INFO"),
            "TRUNKLINE_JWKS": str(self.keys.jwks),
            "TRUNKLINE_JWT_ISSUER": ISSUER,
            "TRUNKLINE_JWT_AUDIENCE": AUDIENCE,
            "TRUNKLINE_SERVICE_TOKEN_FILE": str(token),
            "TRUNKLINE_PAGE_KEY_FILE": str(ensure_secret(keys / "page.key", secrets.token_bytes(32))),
            "TRUNKLINE_SECRETS_DIR": str(secrets_folder(self._folder)),
        }


def secrets_folder(folder: Path, tenant: str = "") -> Path:
    """Where a tenant's secrets are; without one, the folder of all tenants' folders."""
    made = folder / "secrets"
    for part in ("", tenant):
        made /= part
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
    return made
