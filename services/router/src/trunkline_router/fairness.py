"""Whether work was shared out fairly, among agents and among those who waited (routing 5.8)."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Served:
    """One that waited: when it entered, what its priority was worth in seconds, when it was assigned (inf: not yet)."""

    entered_at: float
    boost_s: float
    assigned_at: float

    @property
    def key(self) -> float:
        """Its place in the order of waiting work (routing 3.4)."""
        return self.entered_at - self.boost_s


def jain(shares: Collection[float]) -> float:
    """Jain's index: 1 where all shares are equal, 1/n where one has all; 1 where there is nothing to share."""
    squares = len(shares) * math.fsum(share * share for share in shares)
    return math.fsum(shares) ** 2 / squares if squares else 1.0


def percentile(values: Collection[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed (nearest rank). NaN: there are none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def per_online_hour(units: Mapping[str, float], online_s: Mapping[str, float]) -> dict[str, float]:
    """Units assigned per hour online, of every agent who was online, whether or not anything was assigned."""
    return {agent: units.get(agent, 0.0) * 3600 / online for agent, online in online_s.items() if online > 0}


def utilisation(busy_s: Mapping[str, float], online_s: Mapping[str, float]) -> dict[str, float]:
    """Share of the time online that an agent was busy, of every agent who was online. Above 1: busy while not online,
    or with several conversations whose seconds were added up."""
    return {agent: busy_s.get(agent, 0.0) / online for agent, online in online_s.items() if online > 0}


def overtakes(served: Iterable[Served]) -> int:
    """Pairs in which one was assigned while another waited that was before it in the order (routing 3.4).

    That is: it was younger by more than its priority is worth over the other's. Give work of the same requirements
    only; others may pass each other. What happens at the same instant overtakes nothing.
    """
    everything = list(served)
    entering = sorted((s for s in everything if s.entered_at < s.assigned_at), key=lambda s: -s.entered_at)
    waiting: list[float] = []
    found = 0
    assigned = sorted((s for s in everything if s.assigned_at < math.inf), key=lambda s: s.assigned_at)
    for at, group in groupby(assigned, key=lambda s: s.assigned_at):
        together = list(group)
        while entering and entering[-1].entered_at < at:
            insort(waiting, entering.pop().key)
        for one in together:
            if one.entered_at < at:
                del waiting[bisect_left(waiting, one.key)]
        found += sum(bisect_left(waiting, one.key) for one in together)
    return found
