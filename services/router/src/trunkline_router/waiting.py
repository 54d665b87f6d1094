"""The waiting conversations of each team in order, for people who look at a queue. Derived, never stored."""

from __future__ import annotations

from bisect import bisect_left, insort

Place = tuple[int, int, int, int, str]


class Waiting:
    """A sorted list a team."""

    def __init__(self) -> None:
        self._teams: dict[str, list[Place]] = {}
        self._places: dict[str, tuple[str, Place]] = {}

    def add(self, team: str, place: Place) -> None:
        """It waits; the place ends in its id."""
        self._places[place[-1]] = team, place
        places = self._teams.setdefault(team, [])
        if places and place < places[-1]:
            insort(places, place)
        else:
            places.append(place)

    def remove(self, conversation_id: str) -> None:
        """It waits no longer."""
        if conversation_id not in self._places:
            return
        team, place = self._places.pop(conversation_id)
        places = self._teams[team]
        del places[bisect_left(places, place)]

    def of(self, team: str) -> list[Place]:
        """The team's waiting conversations, first to be served first."""
        return self._teams.get(team, [])

    def position(self, conversation_id: str) -> int | None:
        """How many of its team are served before it; None where it does not wait."""
        found = self._places.get(conversation_id)
        return bisect_left(self._teams[found[0]], found[1]) if found else None
