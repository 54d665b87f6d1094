"""Prints a token for a local Trunkline. Exit 0, or 2 on bad use."""

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from deploy.local.keys import ROLES, Keys

DEFAULT_FOLDER = Path(".run")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    token = Keys(options.folder).mint(
        options.role, options.tenant, options.subject or options.role, timedelta(hours=options.hours)
    )
    print(token)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.token", description=__doc__)
    parser.add_argument("--role", choices=ROLES, default="agent", help="what the caller may do (default agent)")
    parser.add_argument("--tenant", default="demo", help="whose data the caller sees (default demo)")
    parser.add_argument("--subject", help="who the caller is, for an agent its id (default: the role)")
    parser.add_argument("--hours", type=_positive, default=12.0, help="lifetime (default 12)")
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="where the keys are (default .run)")
    return parser


def _positive(text: str) -> float:
    hours = float(text)
    if hours <= 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return hours


if __name__ == "__main__":
    sys.exit(main())
