"""A fault that is armed while the process runs bites at the next pass of its point, and only in test builds."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from trunkline_common import faultpoints
from trunkline_common.kafka import Outgoing

from tests.faults.builds import FaultFile


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the process would have sent to itself."""
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _pid, number: sent.append(number))
    monkeypatch.setattr(faultpoints, "_passed", {})
    return sent


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FaultFile:
    """The file of this process."""
    made = FaultFile(tmp_path / "faults" / "one")
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    return made


def test_a_process_lives_until_its_fault_is_armed(signals: list[int], fault: FaultFile) -> None:
    """Passes before that do not count; the n-th afterwards does, of the named point alone."""
    faultpoints.crash_point("batch.taken")
    fault.arm("CRASH_AT", "batch.taken", nth=2)
    faultpoints.crash_point("batch.after_commit")
    faultpoints.crash_point("batch.taken")
    assert signals == []
    faultpoints.crash_point("batch.taken")
    assert signals == [signal.SIGKILL]


def test_a_fault_waits_for_what_the_process_shall_have_in_hand(signals: list[int], fault: FaultFile) -> None:
    """A pass with other things, or with nothing, does not count."""
    fault.arm("CRASH_AT", "batch.taken", holding="t-mine")
    faultpoints.crash_point("batch.taken")
    faultpoints.crash_point("batch.taken", [Outgoing("topic", b"t-other/default", b"")])
    assert signals == []
    faultpoints.crash_point(
        "batch.taken", [Outgoing("topic", b"t-other", b""), Outgoing("topic", b"t-mine/default", b"")]
    )
    assert signals == [signal.SIGKILL]


def test_a_fault_that_was_disarmed_does_not_bite(signals: list[int], fault: FaultFile) -> None:
    """Whoever starts next lives."""
    fault.arm("FREEZE_AT", "batch.taken")
    fault.disarm()
    faultpoints.crash_point("batch.taken")
    assert signals == []
    fault.arm("FREEZE_AT", "batch.taken")
    faultpoints.crash_point("batch.taken")
    assert signals == [signal.SIGSTOP]


@pytest.mark.usefixtures("fault")
def test_a_fault_file_is_refused_outside_test_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    """As every fault is."""
    faultpoints.refuse_outside_tests()
    monkeypatch.delenv("TRUNKLINE_TEST_BUILD")
    with pytest.raises(SystemExit, match="TRUNKLINE_FAULT_FILE is set outside a test build"):
        faultpoints.refuse_outside_tests()
