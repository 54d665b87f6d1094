"""Stops what an interrupted run left behind, known by pid and start time. Exit 0, or 1 when something does not end."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from deploy.local.process import recall
from deploy.local.stack import DEFAULT_FOLDER

ASK_S = 40.0  # for the run itself, which stops its services first
KILL_S = 5.0


def down(folder: Path) -> list[psutil.Process]:
    """The run itself first, since it stops its children in order; then each child still there. Returns survivors."""
    pids = folder / "pids"
    _stop([process for process in [recall(pids / "up.json")] if process])
    left = [process for file in sorted(pids.glob("*.json")) if (process := recall(file))]
    survivors = _stop(left)
    if not survivors:
        for file in pids.glob("*.json"):
            file.unlink(missing_ok=True)
        (folder / "env").unlink(missing_ok=True)
    return survivors


def _stop(processes: list[psutil.Process]) -> list[psutil.Process]:
    for process in processes:
        print(f"stopping {process.pid}: {' '.join(process.cmdline()[:6])}")
        process.resume()
        process.terminate()
    _, deaf = psutil.wait_procs(processes, timeout=ASK_S)
    for process in deaf:
        process.kill()
    return psutil.wait_procs(deaf, timeout=KILL_S)[1]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.down", description=__doc__)
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="the run's folder (default .run)")
    survivors = down(parser.parse_args(arguments).folder.absolute())
    for process in survivors:
        print(f"{process.pid} does not end", file=sys.stderr)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
