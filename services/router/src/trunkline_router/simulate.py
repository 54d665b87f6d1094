"""python -m trunkline_router.simulate FILE: what a routing configuration does with a story (JSON or YAML; - for stdin).

The engine is production's; the only clock is the file's. An agent accepts an offer where a step says so. But a file
need not care whether its channels ask first: where a step expects `assigned: ana` and ana is asked, the offer is
accepted for her at once, or counts as it is if the next step about the conversation accepts or declines.

Exit 0; 1 when an `expect` is not met, each miss on stderr; 2 when the file is not valid, every error on stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trunkline_common.files import InvalidFile, load

from trunkline_router.simulate_check import check
from trunkline_router.simulate_judge import misses
from trunkline_router.simulate_run import Run, printed


def run(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The results of a file's steps, and what of them was not expected. Raises InvalidFile."""
    made, shown, missed = Run(check(load(text))), list[dict[str, Any]](), list[str]()
    for result in made.results():
        shown.append(printed(result, made.engine))
        missed += misses(made, result)
    return shown, missed


def _printed(results: Sequence[dict[str, Any]], *, ndjson: bool) -> str:
    lines = [json.dumps(result) for result in results]
    return "".join(f"{line}\n" for line in lines) if ndjson else "[" + ",\n ".join(lines) + "]\n"


def _refuse(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one file; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m trunkline_router.simulate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", help="scenario file, JSON or YAML; - reads stdin")
    parser.add_argument("--ndjson", action="store_true", help="one step's result per line")
    chosen = parser.parse_args(arguments)
    try:
        text = sys.stdin.read() if chosen.file == "-" else Path(chosen.file).read_text(encoding="utf-8")
        results, missed = run(text)
    except OSError as error:
        return _refuse(f"{chosen.file}: {error.strerror}")
    except (InvalidFile, UnicodeDecodeError) as error:
        return _refuse(str(error))
    sys.stdout.write(_printed(results, ndjson=chosen.ndjson))
    sys.stderr.write("".join(f"{line}\n" for line in missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
