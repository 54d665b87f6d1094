"""The supervisor: every process is told where the others are, is ready when it says so, and is missed when it dies."""

import asyncio
import json
import signal
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local.process import NotReady, Process, ProcessDied, until
from deploy.local.services import KINDS, Services
from deploy.local.stack import Stack

FAKE = (sys.executable, str(Path(__file__).with_name("fake_service.py")))
KINDS_FAKED = {name: replace(kind, command=FAKE) for name, kind in KINDS.items()}


@pytest.fixture
async def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Services]:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka.example:9092")
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example/x")
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    async with (
        Stack(tmp_path, topics=False) as stack,
        Services(stack, kinds=KINDS_FAKED, env={"ALL": "1"}, env_of={"delivery": {"RELAY": "r"}}, drain_s=5) as running,
    ):
        yield running


def _told(process: Process) -> dict[str, str]:
    lines = [line for line in process.tail(200).splitlines() if line.startswith("{")]
    told: dict[str, str] = json.loads(lines[-1])
    return told


def _files_are_there(told: dict[str, str]) -> None:
    assert Path(told["TRUNKLINE_JWKS"]).exists()
    assert len(Path(told["TRUNKLINE_PAGE_KEY_FILE"]).read_bytes()) == 32
    assert stat.S_IMODE(Path(told["TRUNKLINE_SERVICE_TOKEN_FILE"]).stat().st_mode) == 0o600
    assert Path(told["TRUNKLINE_SECRETS_DIR"]).is_dir()


async def test_a_router_is_told_everything_it_needs(services: Services) -> None:
    told = _told(await services.start("router"))
    assert told["KAFKA_BOOTSTRAP_SERVERS"] == "kafka.example:9092"
    assert told["DATABASE_URL"] == "postgresql://db.example/x"
    assert told["TRUNKLINE_GRPC_LISTEN"] == told["TRUNKLINE_ADVERTISE"] == services.address("router")
    assert told["TRUNKLINE_TIMELINE_TARGET"] == services.address("timeline")
    assert told["TRUNKLINE_SLA_TARGET"] == services.address("sla")
    assert (told["TRUNKLINE_JWT_ISSUER"], told["TRUNKLINE_JWT_AUDIENCE"]) == ("trunkline-local", "trunkline")
    _files_are_there(told)
    assert told["ALL"] == "1"
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in told


async def test_all_kinds_start_and_each_has_its_own_environment(services: Services) -> None:
    await services.start_all(["ingest", "intake", "delivery", "timeline"])
    assert _told(services.process("ingest"))["TRUNKLINE_HTTP_LISTEN"] == services.address("ingest", "http")
    assert _told(services.process("ingest"))["TRUNKLINE_SMTP_LISTEN"] == services.address("ingest", "smtp")
    assert _told(services.process("timeline"))["TRUNKLINE_SLA_TARGET"] == services.address("sla")
    assert _told(services.process("delivery"))["RELAY"] == "r"
    assert "RELAY" not in _told(services.process("intake"))


async def test_two_of_a_kind_differ_in_their_ports_only(services: Services) -> None:
    one, two = (
        await services.start("router"),
        await services.start("router", instance="router-2", env={"CRASH_AT": "x"}),
    )
    differing = {name for name, value in _told(two).items() if _told(one).get(name) != value}
    assert differing == {"TRUNKLINE_GRPC_LISTEN", "TRUNKLINE_ADVERTISE", "TRUNKLINE_READY_FILE", "CRASH_AT"}


async def test_a_restart_keeps_ports_and_environment_unless_told_otherwise(services: Services) -> None:
    first = _told(await services.start("router", env={"CRASH_AT": "x"}))
    process = services.process("router")
    again = await services.restart("router")
    assert "drained" in process.tail()
    assert services.process("router") is again
    assert _told(again) == first
    without = await services.restart("router", env={})
    assert "CRASH_AT" not in _told(without)


async def test_a_death_is_noticed_and_shown(services: Services) -> None:
    process = await services.start("sla")
    watching = asyncio.ensure_future(services.watch())
    process.send(signal.SIGKILL)
    with pytest.raises(ProcessDied, match="sla ended with SIGKILL"):
        await asyncio.wait_for(watching, 5)


async def test_a_death_that_was_ordered_is_not_missed_and_the_next_one_is(services: Services) -> None:
    await services.start("sla")
    watching = asyncio.ensure_future(services.watch())
    await services.kill("sla")
    done, _ = await asyncio.wait({watching}, timeout=0.2)
    assert not done
    await services.restart("sla")
    services.process("sla").send(signal.SIGKILL)
    with pytest.raises(ProcessDied):
        await asyncio.wait_for(watching, 5)


async def test_one_that_cannot_start_is_named_with_its_last_lines(services: Services) -> None:
    with pytest.raises(ProcessDied, match=r"(?s)sla ended.*TRUNKLINE_FAKE is not set"):
        await services.start("sla", env={"FAKE": "refuse"})


async def test_one_that_never_serves_is_named_with_its_last_lines(services: Services) -> None:
    await services.start("sla", env={"FAKE": "never"}, wait=False)
    with pytest.raises(NotReady, match="sla was not ready within 1 s"):
        await services.wait_ready("sla", 1)


async def test_one_that_does_not_drain_is_killed_after_the_budget(tmp_path: Path, services: Services) -> None:
    await services.stop_all()
    async with Services(_NamedStack(tmp_path / "other"), kinds=KINDS_FAKED, drain_s=0.3) as others:
        process = await others.start("intake", env={"FAKE": "deaf"})
    assert await until(lambda: not process.running, 1)
    assert process.returncode == -signal.SIGKILL


class _NamedStack(Stack):
    """Not entered: the environment names everything it would start."""
