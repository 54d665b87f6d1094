"""Queueing formulas for staffing (routing 5.7): Poisson arrivals, exponential handling times, first come first served.

Erlang-C (nobody gives up) by the Erlang-B recursion. Erlang-A (patience is exponential) by the density of the wait that
somebody of endless patience would have, f(x) ~ exp(rate * (1 - e^(-x/patience)) * patience - positions * x / handling),
integrated numerically (Zeltyn and Mandelbaum, "Call centers with impatient customers", 2005): no sum over states, no
factorial, so 10,000 agents are no harder than 10.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

NORMAL = NormalDist()
STEPS = 1_000  # of Simpson's rule between two marks
NEGLIGIBLE = 40.0  # e^-40 of the peak
SHORT = 20.0  # times the patience: after so long somebody is still there with e^-20


@dataclass(frozen=True, slots=True)
class Demand:
    """What arrives: conversations per second, seconds each takes, and how long people wait before they give up."""

    per_second: float
    handling_s: float
    patience_s: float = math.inf

    @property
    def load(self) -> float:
        """Conversations handled at once on average (erlangs)."""
        return self.per_second * self.handling_s


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a number of positions gives in the long run. Without a balance (`stable` false) everybody waits for ever."""

    positions: int
    stable: bool
    waiting: float  # share of arrivals that wait at all
    within: float  # share of arrivals answered in time; who gave up was not
    average_wait_s: float  # of all arrivals, those who give up included
    abandoned: float  # share of arrivals that give up
    occupancy: float  # share of the time a position is busy


def erlang_b(positions: int, load: float) -> float:
    """Share of arrivals that find every position busy where nobody waits."""
    blocked = 1.0
    for k in range(1, positions + 1):
        blocked = load * blocked / (k + load * blocked)
    return blocked


def erlang_c(positions: int, load: float) -> float:
    """Share of arrivals that wait; 1 where the load is not below the positions."""
    if load >= positions:
        return 1.0
    blocked = erlang_b(positions, load)
    return positions * blocked / (positions - load * (1 - blocked))


def outcome(demand: Demand, positions: int, within_s: float) -> Outcome:
    """How `positions` conversations at once serve the demand."""
    solve = _patient if demand.patience_s == math.inf else _leaving
    return solve(demand, positions, within_s)


def _patient(demand: Demand, positions: int, within_s: float) -> Outcome:
    spare = positions - demand.load
    if spare <= 0:
        return Outcome(positions, False, 1.0, 0.0, math.inf, 0.0, 1.0)  # noqa: FBT003  in the order of the fields
    waiting = erlang_c(positions, demand.load)
    return Outcome(
        positions,
        stable=True,
        waiting=waiting,
        within=1 - waiting * math.exp(-spare * within_s / demand.handling_s),
        average_wait_s=waiting * demand.handling_s / spare,
        abandoned=0.0,
        occupancy=demand.load / positions,
    )


def _leaving(demand: Demand, positions: int, within_s: float) -> Outcome:
    """Erlang-A. Weights are relative to the peak of the density, which may be e^1000."""
    rate, patience = demand.per_second, demand.patience_s
    exponent = _exponent(demand, positions)
    start, peak, end = _support(demand, positions, exponent)
    top = exponent(peak)
    marks = sorted({start, min(end, start + SHORT * patience), end})

    def part(weight: Callable[[float], float], until: float) -> float:
        places = [*(m for m in marks if m < until), until]
        return rate * math.fsum(
            _simpson(lambda x: math.exp(exponent(x) - top) * weight(x), a, b) for a, b in pairwise(places)
        )

    blocked = erlang_b(positions - 1, demand.load)
    waits = part(lambda _: 1.0, end)
    share = blocked / (math.exp(-top) + waits * blocked)
    abandoned = part(lambda x: -math.expm1(-x / patience), end) * share
    in_time = part(lambda x: math.exp(-x / patience), min(within_s, end)) * share
    return Outcome(
        positions,
        stable=True,
        waiting=waits * share,
        within=min(1.0, max(0.0, 1 - waits * share) + in_time),
        average_wait_s=abandoned * patience,
        abandoned=abandoned,
        occupancy=min(1.0, demand.load * (1 - abandoned) / positions),
    )


def _exponent(demand: Demand, positions: int) -> Callable[[float], float]:
    """The logarithm of the density at a wait, but for a constant: concave, 0 at no wait."""
    arriving, leaving, patience = demand.per_second, positions / demand.handling_s, demand.patience_s
    return lambda x: -arriving * patience * math.expm1(-x / patience) - leaving * x


def _support(demand: Demand, positions: int, exponent: Callable[[float], float]) -> tuple[float, float, float]:
    """Where the density is not negligible, with its peak."""
    over = demand.load / positions
    peak = demand.patience_s * math.log(over) if over > 1 else 0.0
    floor = exponent(peak) - NEGLIGIBLE
    reach = demand.handling_s / positions
    while exponent(peak + reach) > floor:
        reach *= 2
    end = _crossing(exponent, peak, peak + reach, floor)
    start = 0.0 if exponent(0.0) >= floor else _crossing(exponent, peak, 0.0, floor)
    return start, peak, end


def _crossing(exponent: Callable[[float], float], inside: float, outside: float, floor: float) -> float:
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if exponent(middle) > floor else (inside, middle)
    return outside


def _simpson(function: Callable[[float], float], start: float, end: float) -> float:
    step = (end - start) / STEPS
    inner = math.fsum((4 if i % 2 else 2) * function(start + i * step) for i in range(1, STEPS))
    return (function(start) + inner + function(end)) * step / 3


def smallest(good: Callable[[int], bool], start: int, most: int) -> int | None:
    """The smallest number from `start` for which `good` holds; it must hold for all larger ones. None: up to `most`."""
    low, high = start - 1, start
    while not good(high):
        if high >= most:
            return None
        low, high = high, min(2 * high + 1, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if good(middle) else (middle, high)
    return high


def halfin_whitt(beta: float) -> float:
    """About the share that waits where positions = load + beta * sqrt(load), for large loads without giving up."""
    return 1 / (1 + beta * NORMAL.cdf(beta) / NORMAL.pdf(beta)) if beta > 0 else 1.0


def square_root_rule(load: float, waiting: float) -> int:
    """Positions at which about the share `waiting` (above 0, below 1) of arrivals waits: load + beta * sqrt(load)."""
    low, high = 0.0, 10.0
    for _ in range(60):
        beta = (low + high) / 2
        low, high = (beta, high) if halfin_whitt(beta) > waiting else (low, beta)
    return math.ceil(load + high * math.sqrt(load))
