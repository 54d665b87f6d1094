"""Defects on demand, so that every promise has a test that was seen to fail. Only in test builds.

TRUNKLINE_SABOTAGE=no_fence|commit_first|no_dedupe|relay_id_gt|no_outbox takes one mechanism out; CRASH_AT=<point>:<n>
ends the process with SIGKILL the n-th time it passes a named point, FREEZE_AT=<point>:<n> stops it there with SIGSTOP.
With a third part, <point>:<n>:<text>, only those passes count that have the text in hand: a pool, mostly.
TRUNKLINE_FAULT_FILE=<path> names a file that may come to hold one of the latter two while the process runs, so that a
test decides what the process has in hand. All are refused unless TRUNKLINE_TEST_BUILD=1.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

Sabotage = Literal["no_fence", "commit_first", "no_dedupe", "relay_id_gt", "no_outbox"]
CrashPoint = Literal[
    "batch.taken",
    "batch.before_commit",
    "batch.after_commit",
    "relay.after_send",
    # insights, whose offsets are committed by Faust and whose results are snapshots
    "offset.before_commit",
    "offset.after_commit",
    "snapshot.before_send",
    "snapshot.after_send",
]

_passed: dict[str, int] = {}


def sabotaged(mechanism: Sabotage) -> bool:
    """Whether this build runs without the mechanism."""
    return os.environ.get("TRUNKLINE_SABOTAGE") == mechanism


def crash_point(name: CrashPoint, in_hand: object = None) -> None:
    """End or freeze the process here if CRASH_AT or FREEZE_AT names this point and this is the n-th pass."""
    for variable, number in (("CRASH_AT", signal.SIGKILL), ("FREEZE_AT", signal.SIGSTOP)):
        point, count, text, *_ = *_asked(variable).split(":", 2), "", ""
        if point == name and (not text or text in repr(in_hand)):
            _passed[name] = _passed.get(name, 0) + 1
            if _passed[name] == int(count or 1):
                os.kill(os.getpid(), number)


def _asked(variable: str) -> str:
    """What the environment says, or else the file."""
    found, file = os.environ.get(variable, ""), os.environ.get("TRUNKLINE_FAULT_FILE")
    if file and not found:
        with suppress(FileNotFoundError):
            name, _, asked = Path(file).read_text().strip().partition("=")
            return asked if name == variable else ""
    return found


def refuse_outside_tests() -> None:
    """Stop the start of a production process that was asked to misbehave, or a test that misspelt the fault."""
    names = ("TRUNKLINE_SABOTAGE", "CRASH_AT", "FREEZE_AT", "TRUNKLINE_FAULT_FILE")
    asked = [name for name in names if os.environ.get(name)]
    if asked and os.environ.get("TRUNKLINE_TEST_BUILD") != "1":
        raise SystemExit(f"{asked[0]} is set outside a test build; unset it")
    known = {
        "TRUNKLINE_SABOTAGE": get_args(Sabotage),
        "CRASH_AT": get_args(CrashPoint),
        "FREEZE_AT": get_args(CrashPoint),
    }
    for name in asked:
        if name in known and os.environ[name].partition(":")[0] not in known[name]:
            raise SystemExit(f"{name}={os.environ[name]} is unknown; use one of {', '.join(known[name])}")
