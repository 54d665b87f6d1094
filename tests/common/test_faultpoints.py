"""A production process that is asked to misbehave does not start."""

from __future__ import annotations

import os
import signal

import pytest
from trunkline_common import faultpoints

FAULTS = [
    ("TRUNKLINE_SABOTAGE", "no_fence"),
    ("CRASH_AT", "batch.after_commit:1"),
    ("FREEZE_AT", "batch.taken:1"),
]


@pytest.mark.parametrize(("name", "value"), FAULTS)
def test_a_fault_is_refused_outside_test_builds(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Whatever the fault."""
    monkeypatch.setenv(name, value)
    for build in ("", "0", "true"):
        monkeypatch.setenv("TRUNKLINE_TEST_BUILD", build)
        with pytest.raises(SystemExit, match=f"{name} is set outside a test build"):
            faultpoints.refuse_outside_tests()
    monkeypatch.setenv("TRUNKLINE_TEST_BUILD", "1")
    faultpoints.refuse_outside_tests()


@pytest.mark.parametrize(("name", "value"), [("TRUNKLINE_SABOTAGE", "no_fense"), ("CRASH_AT", "batch.sometime:1")])
def test_a_misspelt_fault_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A test that injects nothing would pass for the wrong reason."""
    monkeypatch.setenv("TRUNKLINE_TEST_BUILD", "1")
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="unknown"):
        faultpoints.refuse_outside_tests()


def test_without_faults_nothing_is_refused_and_nothing_happens() -> None:
    """The ordinary process."""
    faultpoints.refuse_outside_tests()
    faultpoints.crash_point("batch.after_commit")
    assert not faultpoints.sabotaged("no_fence")


def test_only_the_named_mechanism_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """One at a time."""
    monkeypatch.setenv("TRUNKLINE_SABOTAGE", "no_dedupe")
    assert faultpoints.sabotaged("no_dedupe")
    assert not faultpoints.sabotaged("no_fence")


@pytest.mark.parametrize(("variable", "number"), [("CRASH_AT", signal.SIGKILL), ("FREEZE_AT", signal.SIGSTOP)])
def test_a_point_stops_the_process_at_the_nth_pass(
    monkeypatch: pytest.MonkeyPatch, variable: str, number: signal.Signals
) -> None:
    """Only the named point counts, and only its n-th pass."""
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda _pid, sent: killed.append(sent))
    monkeypatch.setattr(faultpoints, "_passed", {})
    monkeypatch.setenv(variable, "relay.after_send:2")
    for point in ("batch.after_commit", "relay.after_send"):
        faultpoints.crash_point(point)
    assert killed == []
    faultpoints.crash_point("relay.after_send")
    faultpoints.crash_point("relay.after_send")
    assert killed == [number]
