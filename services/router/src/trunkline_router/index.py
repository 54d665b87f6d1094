"""Who serves what, kept so that a decision looks at few (routing 5.1): requirement classes, profiles, heaps.

Derived from a pool, never stored. Heap entries carry a stamp; one whose stamp is not the current one is passed over
when it comes up, and a heap with more such entries than living ones is made anew.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from trunkline_router.facts import Presence
from trunkline_router.pool import BEGINNING, Agent, Conversation
from trunkline_router.routing import Pairs, Strategy, TeamConfig

LEVELS = 5
Place = tuple[int, int, int, int, str]
Entry = tuple[Any, int]  # (key that ends in the id, stamp)
SLACK = 64  # entries a heap may have beyond the living ones before it is looked at


@dataclass(slots=True, eq=False)
class Heap:
    """Ids in order of a key, with lazy deletion."""

    entries: list[Entry] = field(default_factory=list)
    live: set[str] = field(default_factory=set)

    def push(self, key: tuple[Any, ...], stamp: int, valid: Callable[[str, int], bool]) -> None:
        """Add or move the id that ends the key."""
        self.live.add(key[-1])
        heapq.heappush(self.entries, (key, stamp))
        if len(self.entries) > 2 * len(self.live) + SLACK:  # here, as nobody may ever look for the first
            self.entries = [e for e in self.entries if valid(e[0][-1], e[1])]
            heapq.heapify(self.entries)

    def first(self, valid: Callable[[str, int], bool], accept: Callable[[str], bool]) -> tuple[Any, ...] | None:
        """The least key whose entry is current and whose id is accepted; what is not accepted stays."""
        passed: list[Entry] = []
        found = None
        while self.entries:
            entry = self.entries[0]
            if not valid(entry[0][-1], entry[1]):
                heapq.heappop(self.entries)
            elif accept(entry[0][-1]):
                found = entry[0]
                break
            else:
                passed.append(heapq.heappop(self.entries))
        for entry in passed:
            heapq.heappush(self.entries, entry)
        return found


@dataclass(slots=True, eq=False)
class RequirementClass:
    """Waiting work that asks for the same: a team, skills, a channel class, a choice of agent."""

    team: str
    skills: Pairs
    channel_class: str
    strategy: Strategy
    need: int
    waiting: Heap = field(default_factory=Heap)
    profiles: list[Profile] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Profile:
    """Agents who can do the same: teams, skills, kind."""

    teams: tuple[str, ...]
    skills: dict[str, int]
    bot: bool
    have: int
    heaps: dict[tuple[str, Strategy], Heap] = field(default_factory=dict)
    classes: list[RequirementClass] = field(default_factory=list)
    members: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Index:
    """Everything that matching looks up. `now` is the instant of the last event: rate limits are judged by it."""

    teams: dict[str, TeamConfig]
    agents: dict[str, Agent]
    now: datetime = BEGINNING
    classes: dict[tuple[str, Pairs, str, Strategy], RequirementClass] = field(default_factory=dict)
    profiles: dict[tuple[tuple[str, ...], Pairs, bool], Profile] = field(default_factory=dict)
    _bits: dict[str, int] = field(default_factory=dict)
    _stamps: dict[str, int] = field(default_factory=dict)
    _class_of: dict[str, RequirementClass] = field(default_factory=dict)
    _profile_of: dict[str, Profile] = field(default_factory=dict)

    # -- waiting work

    def wait(self, conversation: Conversation, channel_class: str, place: Place) -> None:
        """It waits there for whoever may take it."""
        team = self.teams[conversation.team]
        found = self._class(team, conversation.skills, channel_class, conversation.strategy or team.strategy)
        stamp = self._stamps[conversation.id] = self._stamps.get(conversation.id, 0) + 1
        self._class_of[conversation.id] = found
        found.waiting.push(place, stamp, self._valid_conversation)

    def leave(self, conversation_id: str) -> None:
        """It waits no longer."""
        found = self._class_of.pop(conversation_id, None)
        if found is not None:
            self._stamps[conversation_id] += 1
            found.waiting.live.discard(conversation_id)

    def class_of(self, conversation_id: str) -> RequirementClass | None:
        """What a waiting conversation asks for."""
        return self._class_of.get(conversation_id)

    def first_waiting(self, found: RequirementClass, accept: Callable[[str], bool]) -> Place | None:
        """The place of the first in a class that is accepted."""
        place: Place | None = found.waiting.first(self._valid_conversation, accept)
        return place

    def _valid_conversation(self, conversation_id: str, stamp: int) -> bool:
        return conversation_id in self._class_of and self._stamps[conversation_id] == stamp

    # -- agents

    def put(self, agent: Agent) -> None:
        """The agent as they are now: in the heaps of the teams they are available to, or in none."""
        profile = self._profile(agent)
        agent_id = agent.config.id
        stamp = self._stamps[agent_id] = self._stamps.get(agent_id, 0) + 1
        for (team, strategy), heap in profile.heaps.items():
            if agent.has_room and available(agent, self.teams[team], self.now):
                heap.push(choice_key(agent, team, strategy), stamp, self._valid_agent)
            else:
                heap.live.discard(agent_id)

    def drop(self, agent_id: str) -> None:
        """There is no such agent any more."""
        profile = self._profile_of.pop(agent_id, None)
        if profile is not None:
            self._stamps[agent_id] += 1
            profile.members.discard(agent_id)
            for heap in profile.heaps.values():
                heap.live.discard(agent_id)

    def profile_of(self, agent_id: str) -> Profile | None:
        """What an agent can do."""
        return self._profile_of.get(agent_id)

    def available_to(self, agent_id: str, found: RequirementClass) -> bool:
        """Whether the agent is in the heap of that class's team."""
        profile = self._profile_of.get(agent_id)
        heap = profile.heaps.get((found.team, found.strategy)) if profile else None
        return heap is not None and agent_id in heap.live

    def candidates(self, found: RequirementClass, accept: Callable[[str], bool]) -> Iterator[tuple[Any, ...]]:
        """For each profile that serves the class its first accepted agent: (rank..., id), the least is chosen."""
        for profile in found.profiles:
            key = profile.heaps[found.team, found.strategy].first(self._valid_agent, accept)
            if key is not None:
                yield (-_levels(profile.skills, found.skills), *key) if found.strategy is Strategy.BEST_SKILL else key

    def _valid_agent(self, agent_id: str, stamp: int) -> bool:
        return agent_id in self._profile_of and self._stamps[agent_id] == stamp

    # -- classes and profiles

    def _class(self, team: TeamConfig, skills: Pairs, channel_class: str, strategy: Strategy) -> RequirementClass:
        key = (team.id, skills, channel_class, strategy)
        found = self.classes.get(key)
        if found is None:
            need = sum(1 << (self._bit(skill) + level - 1) for skill, level in skills)
            found = self.classes[key] = RequirementClass(team.id, skills, channel_class, strategy, need)
            for profile in self.profiles.values():
                self._link(found, profile)
        return found

    def _profile(self, agent: Agent) -> Profile:
        config = agent.config
        teams = tuple(t for t in config.teams if t in self.teams)
        key = (teams, config.skills, config.bot)
        profile = self.profiles.get(key)
        if profile is None:
            have = sum(((1 << level) - 1) << self._bit(skill) for skill, level in config.skills)
            profile = self.profiles[key] = Profile(teams, dict(config.skills), config.bot, have)
            for found in self.classes.values():
                self._link(found, profile)
        if self._profile_of.get(config.id) is not profile:
            self.drop(config.id)
            self._profile_of[config.id] = profile
            profile.members.add(config.id)
        return profile

    def _link(self, found: RequirementClass, profile: Profile) -> None:
        team = self.teams[found.team]
        able = found.team in profile.teams and not found.need & ~profile.have
        if not able or found.strategy is Strategy.MANUAL or (profile.bot and not team.assign_bots):
            return
        found.profiles.append(profile)
        profile.classes.append(found)
        if (found.team, found.strategy) not in profile.heaps:
            profile.heaps[found.team, found.strategy] = self._filled(profile, team, found.strategy)

    def _filled(self, profile: Profile, team: TeamConfig, strategy: Strategy) -> Heap:
        heap = Heap()
        for agent_id in sorted(profile.members):
            agent = self.agents[agent_id]
            if agent.has_room and available(agent, team, self.now):
                heap.push(choice_key(agent, team.id, strategy), self._stamps[agent_id], self._valid_agent)
        return heap

    def _bit(self, skill: str) -> int:
        return self._bits.setdefault(skill, len(self._bits) * LEVELS)


def rank(agent: Agent, found: RequirementClass) -> tuple[Any, ...]:
    """Where an agent stands among all who may take work of the class; the least is chosen."""
    key = choice_key(agent, found.team, found.strategy)
    if found.strategy is Strategy.BEST_SKILL:
        return (-_levels(dict(agent.config.skills), found.skills), *key)
    return key


def _levels(held: Mapping[str, int], skills: Pairs) -> int:
    return sum(held.get(skill, 0) for skill, _ in skills)


def available(agent: Agent, team: TeamConfig, now: datetime) -> bool:
    """Whether the team may give the agent work now, room for it apart (routing 2.3)."""
    return present(agent, team) and within_rate(agent, team, now)


def present(agent: Agent, team: TeamConfig) -> bool:
    """Whether the agent is there for the team's work, whatever they have in hand or had lately."""
    if agent.not_responding or not agent.accepting or agent.presence is Presence.OFFLINE:
        return False
    return agent.presence is not Presence.AWAY or team.away_is_available


def within_rate(agent: Agent, team: TeamConfig, now: datetime) -> bool:
    """Whether a further assignment stays within the team's limit; a running offer counts as one (routing 4.5)."""
    if not team.rate_max:
        return True
    since = now - timedelta(seconds=team.rate_window_s)
    return sum(at > since for at in agent.recent) + agent.offered < team.rate_max


def choice_key(agent: Agent, team: str, strategy: Strategy) -> tuple[Any, ...]:
    """The order in which agents of one profile are chosen (routing 3.5); ends in the id."""
    match strategy:
        case Strategy.LEAST_LOADED:
            return agent.load / max(1, agent.config.capacity), agent.last_assigned_at, agent.config.id
        case Strategy.ROTATION:
            return agent.rotated.get(team, 0), agent.config.id
        case Strategy.LEAST_ASSIGNED:
            return agent.assigned, agent.config.id
        case _:
            return agent.last_assigned_at, agent.load, agent.config.id
