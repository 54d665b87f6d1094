"""Child processes: known for sure, ended for sure, and heard to the end."""

import asyncio
import json
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deploy.local import launch
from deploy.local.console import Console
from deploy.local.down import down
from deploy.local.ports import free_port
from deploy.local.process import Process, ProcessDied, recall, remember, together, until

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]
TIDY = [
    sys.executable,
    "-c",
    "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(7)); print('up', flush=True); time.sleep(600)",
]
PARENT = """
import sys, time
from pathlib import Path
from deploy.local.process import Process
sleep = "import time; print('up', flush=True); time.sleep(600)"
child = Process("child", Path(sys.argv[1]), [sys.executable, "-c", sleep])
child.start()
while "up" not in child.tail():
    time.sleep(0.01)
print(child.pid, flush=True)
time.sleep(600)
"""


def _python(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE)


async def _up(process: Process) -> Process:
    process.start()
    assert await until(lambda: "up" in process.tail(), 10)
    return process


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    with _python(PARENT, str(tmp_path)) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert not _gone(child)
        parent.kill()
    assert await until(lambda: _gone(child), 5)


async def test_a_child_ends_with_its_parent_where_the_kernel_does_not_help() -> None:
    with _python("import time; time.sleep(600)") as parent, _python(_WATCHED, str(parent.pid)) as child:
        assert child.stdout
        assert child.stdout.readline() == b"watched\n"
        parent.kill()
        parent.wait()
        assert await asyncio.to_thread(child.wait, 10) == -signal.SIGKILL


_WATCHED = f"""
import importlib.util, os, sys, time
spec = importlib.util.spec_from_file_location("launch", {launch.__file__!r})
launch = importlib.util.module_from_spec(spec)
spec.loader.exec_module(launch)
launch.watch_from_aside(int(sys.argv[1]), os.getpid())
print("watched", flush=True)
time.sleep(600)
"""


async def test_what_does_not_listen_to_sigterm_is_killed_after_the_budget(tmp_path: Path) -> None:
    process = await _up(Process("deaf", tmp_path, DEAF))
    await process.stop(0.2)
    assert process.returncode == -signal.SIGKILL


async def test_a_stopped_process_is_continued_to_be_ended(tmp_path: Path) -> None:
    process = await _up(Process("paused", tmp_path, TIDY))
    process.send(signal.SIGSTOP)
    await process.stop(2)
    assert process.returncode == 7


async def test_the_last_lines_of_the_dead_are_shown(tmp_path: Path) -> None:
    process = Process("sick", tmp_path, [sys.executable, "-c", "print('fever'); raise SystemExit(3)"])
    with pytest.raises(ProcessDied, match=r"(?s)sick ended with exit code 3.*fever"):
        await process.run(10)


async def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProcessDied, match=r"/no/such/program: No such file"):
        await Process("missing", tmp_path, ["/no/such/program"]).run(10)


async def test_every_line_is_echoed_and_logged(tmp_path: Path) -> None:
    heard: list[str] = []
    await Process("loud", tmp_path, [sys.executable, "-c", "print('a'); print('b', end='')"], echo=heard.append).run(10)
    assert heard == ["a", "b"]
    assert (tmp_path / "logs" / "loud.log").read_text() == "a\nb"


async def test_down_stops_what_is_remembered(tmp_path: Path) -> None:
    process = await _up(Process("left", tmp_path, SLEEP))
    assert down(tmp_path) == []
    assert await until(lambda: not process.running, 5)
    assert not list((tmp_path / "pids").glob("*.json"))


async def test_down_leaves_a_stranger_with_the_same_pid_alone(tmp_path: Path) -> None:
    process = await _up(Process("stranger", tmp_path, SLEEP))
    entry = json.loads(process.pid_file.read_text())
    process.pid_file.write_text(json.dumps({**entry, "started": entry["started"] - 100}))
    assert down(tmp_path) == []
    assert process.running
    await process.stop(10)


def test_the_dead_are_not_recalled(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as short:
        remember(tmp_path / "p.json", short.pid)
    assert recall(tmp_path / "p.json") is None
    assert recall(tmp_path / "never.json") is None


async def test_the_first_error_of_many_is_raised_as_itself() -> None:
    async def fails() -> None:
        raise ProcessDied("x", 1, "")

    with pytest.raises(ProcessDied):
        await together(fails(), asyncio.sleep(60))


def test_ports_are_below_the_systems_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRUNKLINE_PORTS")
    assert all(15_000 <= free_port() < 32_000 for _ in range(50))


def test_two_stacks_side_by_side_can_have_ports_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_PORTS", "20000-21000")
    assert all(20_000 <= free_port() < 21_000 for _ in range(50))


def test_a_port_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = free_port()
    monkeypatch.setattr(random, "sample", lambda *_: [first, *range(first + 1, first + 100)])
    assert free_port() > first


def test_a_port_in_use_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        used = server.getsockname()[1]
        monkeypatch.setattr(random, "sample", lambda *_: [used])
        with pytest.raises(OSError, match="no free port"):
            free_port()


def test_lines_carry_the_name_and_no_colour_outside_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Console().line_of("router")("hello")
    assert capsys.readouterr().out == "router     | hello\n"
