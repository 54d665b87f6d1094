"""Defects on demand, so that every promise has a test that was seen to fail. Only in test builds.

TRUNKLINE_SABOTAGE=no_fence|commit_first|no_dedupe|relay_id_gt takes one mechanism out; CRASH_AT=<point>:<n> ends the
process with SIGKILL the n-th time it passes a named point, FREEZE_AT=<point>:<n> stops it there with SIGSTOP.
All are refused unless TRUNKLINE_TEST_BUILD=1.
"""

from __future__ import annotations

import os
import signal
from typing import Literal, get_args

Sabotage = Literal["no_fence", "commit_first", "no_dedupe", "relay_id_gt"]
CrashPoint = Literal["batch.taken", "batch.before_commit", "batch.after_commit", "relay.after_send"]

_passed: dict[str, int] = {}


def sabotaged(mechanism: Sabotage) -> bool:
    """Whether this build runs without the mechanism."""
    return os.environ.get("TRUNKLINE_SABOTAGE") == mechanism


def crash_point(name: CrashPoint) -> None:
    """End or freeze the process here if CRASH_AT or FREEZE_AT names this point and this is the n-th pass."""
    for variable, number in (("CRASH_AT", signal.SIGKILL), ("FREEZE_AT", signal.SIGSTOP)):
        point, _, count = os.environ.get(variable, "").partition(":")
        if point == name:
            _passed[name] = _passed.get(name, 0) + 1
            if _passed[name] == int(count or 1):
                os.kill(os.getpid(), number)


def refuse_outside_tests() -> None:
    """Stop the start of a production process that was asked to misbehave, or a test that misspelt the fault."""
    asked = [name for name in ("TRUNKLINE_SABOTAGE", "CRASH_AT", "FREEZE_AT") if os.environ.get(name)]
    if asked and os.environ.get("TRUNKLINE_TEST_BUILD") != "1":
        raise SystemExit(f"{asked[0]} is set outside a test build; unset it")
    known = {
        "TRUNKLINE_SABOTAGE": get_args(Sabotage),
        "CRASH_AT": get_args(CrashPoint),
        "FREEZE_AT": get_args(CrashPoint),
    }
    for name in asked:
        if os.environ[name].partition(":")[0] not in known[name]:
            raise SystemExit(f"{name}={os.environ[name]} is unknown; use one of {', '.join(known[name])}")
