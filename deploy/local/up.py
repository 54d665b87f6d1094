"""Runs Kafka, PostgreSQL and every service in the foreground until Ctrl-C. Exit 0, or 1 when something failed."""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import yaml

from deploy.local import envfile, examples
from deploy.local.console import Console
from deploy.local.demo_config import DEMO_TENANT, TENANT, apply_demo_config, make_secrets
from deploy.local.process import NotReady, ProcessDied, remember
from deploy.local.services import KINDS, Services
from deploy.local.stack import DEFAULT_FOLDER, AlreadyRunning, Stack

# Nothing listens there: without an address of one's own, no message leaves this machine.
NOWHERE = {
    "TRUNKLINE_WHATSAPP_BASE_URL": "http://127.0.0.1:9",
    "TRUNKLINE_TWILIO_BASE_URL": "http://127.0.0.1:9",
    "TRUNKLINE_SMTP_RELAY": "127.0.0.1:9",
}
TOKEN_LIFETIME = timedelta(hours=12)


async def up(folder: Path, kinds: Sequence[str]) -> None:
    """Never returns: it is cancelled, or raises what went wrong; either way everything is stopped on the way out."""
    began = time.monotonic()
    print("starting Kafka and PostgreSQL", flush=True)
    env_of = {"delivery": {name: os.environ.get(name, value) for name, value in NOWHERE.items()}}
    async with (
        Stack(folder) as stack,
        _findable(folder),
        Services(stack, env_of=env_of, console=Console()) as services,
    ):
        print(f"starting {', '.join(kinds)}", flush=True)
        await services.start_all(kinds)
        env = envfile.addresses(stack, services)
        if "router" in kinds and DEMO_TENANT.exists():
            await apply_demo_config(env, folder)
        envfile.write(env, folder)
        print(_welcome(env, services, folder, time.monotonic() - began), flush=True)
        await services.watch()


@asynccontextmanager
async def _findable(folder: Path) -> AsyncIterator[None]:
    """For `make down` and for those who read `.run/env`."""
    pid_file = folder / "pids" / "up.json"
    remember(pid_file, os.getpid())
    try:
        yield
    finally:
        (folder / "env").unlink(missing_ok=True)
        pid_file.unlink(missing_ok=True)


def _welcome(env: Mapping[str, str], services: Services, folder: Path, seconds: float) -> str:
    python = os.path.relpath(sys.executable)
    lines = [f"{name}={value}" for name, value in env.items()]
    token = services.keys.mint("supervisor", TENANT, "sam", TOKEN_LIFETIME)
    document = yaml.safe_load(DEMO_TENANT.read_text()) if DEMO_TENANT.exists() else {}
    make_secrets(document, folder)
    curl = examples.whatsapp_curl(env, document, folder)
    parts = [
        f"ready after {seconds:.1f} s; Ctrl-C stops everything. Addresses, also in {folder / 'env'}:",
        *(f"  {line}" for line in lines),
        f"a token (supervisor of tenant {TENANT}, 12 h):\n  {token}",
        *([f"a customer writes on WhatsApp:\n  {curl}"] if curl else []),
        f"ask over gRPC:\n  {examples.grpcurl(env, python, folder)}",
        f"follow the log of conversations:\n  {examples.tail(python, folder)}",
    ]
    return "\n" + "\n".join(parts) + "\n"


async def _until_told(folder: Path, kinds: Sequence[str]) -> int:
    work = asyncio.ensure_future(up(folder, kinds))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, _stop, work)
    try:
        await work
    except asyncio.CancelledError:
        print("stopped", flush=True)
        return 0
    except (ProcessDied, NotReady, AlreadyRunning) as error:
        print(f"\n{error}", file=sys.stderr)
    except grpc.aio.AioRpcError as error:
        print(f"\n{DEMO_TENANT.name} was refused: {error.details()}", file=sys.stderr)
    return 1


def _stop(work: asyncio.Future[None]) -> None:
    """Told a second time, it leaves at once; the system then ends what is left of the children."""
    if work.cancelling() if isinstance(work, asyncio.Task) else False:
        os._exit(130)
    print("\nstopping", flush=True)
    work.cancel()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.up", description=__doc__)
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="data, keys, logs (default .run)")
    parser.add_argument("--only", action="append", choices=list(KINDS), help="start this service only (repeatable)")
    options = parser.parse_args(arguments)
    return asyncio.run(_until_told(options.folder.absolute(), options.only or list(KINDS)))


if __name__ == "__main__":
    sys.exit(main())
