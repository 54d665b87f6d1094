"""How many agents a demand needs, or what a number of agents gives: Erlang-C, and Erlang-A where customers give up.

python -m trunkline_router.staffing --arrivals-per-hour 200 --aht-seconds 180 --target-percent 80 --within-seconds 20
Exit 0, 2 bad use.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trunkline_router import erlang
from trunkline_router.erlang import Demand, Outcome

MOST = 1_000_000  # conversations at once
RULE_WAITING = 0.2  # the square-root rule's figure is for this share of arrivals waiting


@dataclass(frozen=True, slots=True)
class Staffing:
    """An answer: agents with `slots` conversations each, and what they give."""

    agents: int
    slots: int
    within_s: float
    demand: Demand
    outcome: Outcome


def given(demand: Demand, agents: int, slots: int, within_s: float) -> Staffing:
    """What a number of agents gives."""
    return Staffing(agents, slots, within_s, demand, erlang.outcome(demand, agents * slots, within_s))


def needed(demand: Demand, slots: int, target: float, within_s: float) -> Staffing | None:
    """The fewest agents that answer the share `target` of arrivals in time; None: more than MOST positions."""

    def good(agents: int) -> bool:
        return erlang.outcome(demand, agents * slots, within_s).within >= target

    agents = erlang.smallest(good, 1, max(1, MOST // slots))
    return None if agents is None else given(demand, agents, slots, within_s)


def as_json(staffing: Staffing) -> dict[str, Any]:
    """Figures with their names; a wait without end is null."""
    found = asdict(staffing.outcome)
    wait = found.pop("average_wait_s")
    return {
        "agents": staffing.agents,
        "slots": staffing.slots,
        "load": staffing.demand.load,
        "square_root_rule_agents": _rule(staffing),
        "within_seconds": staffing.within_s,
        **found,
        "average_wait_s": None if math.isinf(wait) else wait,
    }


def as_text(staffing: Staffing) -> str:
    """The same for people."""
    outcome, demand = staffing.outcome, staffing.demand
    each = f" with {staffing.slots} conversations each" if staffing.slots > 1 else ""
    lines = [
        f"agents               {staffing.agents}{each}",
        f"load                 {demand.load:.2f} conversations at once",
        f"square-root rule     {_rule(staffing)} agents for {RULE_WAITING:.0%} waiting, if nobody gives up",
    ]
    if not outcome.stable:
        lines.append(f"the load is not below {outcome.positions}: the queue grows without end and so does the wait;")
        return "\n".join([*lines, "more agents, or --patience-seconds if customers give up"])
    lines += [
        f"waiting at all       {outcome.waiting:.1%}",
        f"answered in {f'{staffing.within_s:g} s':<9}{outcome.within:.1%}",
        f"average wait         {outcome.average_wait_s:.1f} s",
        f"occupancy            {outcome.occupancy:.1%}",
    ]
    if demand.patience_s < math.inf:
        lines.append(f"giving up            {outcome.abandoned:.1%}")
    return "\n".join(lines)


def _rule(staffing: Staffing) -> int:
    return math.ceil(erlang.square_root_rule(staffing.demand.load, RULE_WAITING) / staffing.slots)


def _number(
    kind: type[float] | type[int], least: float, most: float, *, open_least: bool = False
) -> Callable[[str], Any]:
    """An argparse type: a finite number in a range."""
    span = f"{'above' if open_least else 'from'} {least:,.10g} to {most:,.10g}"

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a {'whole ' * (kind is int)}number") from None
        if not (least < value if open_least else least <= value) or not value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not {span}")
        return value

    return parse


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trunkline_router.staffing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    positive = _number(float, 0, 1e7, open_least=True)
    parser.add_argument("--arrivals-per-hour", type=positive, required=True, metavar="X", help="conversations an hour")
    parser.add_argument("--aht-seconds", type=positive, required=True, metavar="Y", help="average handling time")
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--agents", type=_number(int, 1, MOST), metavar="N", help="say what N agents give")
    percent = _number(float, 0, 99.999, open_least=True)
    choice.add_argument("--target-percent", type=percent, metavar="P", help="say how many agents answer P %% in time")
    seconds = _number(float, 0, 1e7)
    parser.add_argument("--within-seconds", type=seconds, default=20.0, metavar="S", help="what in time means (20)")
    slots = "conversations an agent has at once (1); --aht-seconds is then measured at that many"
    parser.add_argument("--slots", type=_number(int, 1, 1000), default=1, metavar="K", help=slots)
    parser.add_argument("--patience-seconds", type=positive, default=math.inf, metavar="P", help="average time until a "
                        "waiting customer gives up (never)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="figures for programs; a wait without end is null")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = _parser()
    args = parser.parse_args(arguments)
    demand = Demand(args.arrivals_per_hour / 3600, args.aht_seconds, args.patience_seconds)
    if demand.load > MOST:
        parser.error(f"--arrivals-per-hour times --aht-seconds is {demand.load:.0f} at once, more than {MOST}")
    if args.agents and args.agents * args.slots > MOST:
        parser.error(f"--agents times --slots is more than {MOST}")
    if args.agents:
        found: Staffing | None = given(demand, args.agents, args.slots, args.within_seconds)
    else:
        found = needed(demand, args.slots, args.target_percent / 100, args.within_seconds)
    if found is None:
        parser.error(f"--target-percent {args.target_percent:g} needs more than {MOST} conversations at once")
    sys.stdout.write((json.dumps(as_json(found), indent=2) if args.json else as_text(found)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
