"""What routing policies must not say (routing 3.1, 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from trunkline_common.errors import Violation

from trunkline_router.config_models import PolicyModel
from trunkline_router.config_parts import Parts

#: Whom a step may prefer besides agents by their id.
PREFERRED = ("previous", "manager")


def required_skills(policy: PolicyModel) -> Sequence[Mapping[str, int]]:
    """What each step asks for: its own skills, or those of the step before, less what that one drops."""
    found: list[Mapping[str, int]] = []
    left: Mapping[str, int] = {}
    for step in policy.steps:
        found.append(left if step.skills is None else step.skills)
        left = {name: level for name, level in found[-1].items() if name not in step.drop}
    return found


def check_policies(parts: Parts) -> Iterator[Violation]:
    """Every error of the policies beyond references to nothing."""
    hard = {skill.id for _, skill in parts.items["skills"] if skill.hard}
    for path, policy in parts.items["policies"]:
        yield from _one_pool(parts, path, policy)
        yield from _waits(path, policy)
        yield from _drops(path, policy, hard)
        yield from _leaves_out(path, policy, hard)
    yield from _overflows(parts)
    if parts.whole("policies"):
        yield from _matches(parts)


def _one_pool(parts: Parts, path: str, policy: PolicyModel) -> Iterator[Violation]:
    """One engine decides about a conversation: a policy cannot lead out of its pool."""
    pool = parts.pools.get(policy.steps[0].team)
    if pool is None:
        return
    teams_of = {agent.id: agent.teams for _, agent in parts.items["agents"]}
    named = [(f"steps[{i}].team", [step.team]) for i, step in enumerate(policy.steps)]
    for i, step in enumerate(policy.steps):
        named += [(f"steps[{i}].preferred[{j}]", teams_of.get(name, [])) for j, name in enumerate(step.preferred)]
    if policy.on_exhausted is not None:
        named.append(("on_exhausted.team", [policy.on_exhausted.team]))
        named.append(("on_exhausted.agent", teams_of.get(policy.on_exhausted.agent, [])))
    for field, teams in named:
        if parts.pools_of(teams) - {pool}:
            yield Violation(f"{path}.{field}", f"is of another pool than the first step, {pool}")


def _waits(path: str, policy: PolicyModel) -> Iterator[Violation]:
    """A step that lasts for ever has none after it, and no overflow."""
    last = len(policy.steps) - 1
    for i, step in enumerate(policy.steps):
        if step.wait_s == 0 and (i < last or policy.on_exhausted is not None):
            what = "the next step" if i < last else "the overflow"
            yield Violation(f"{path}.steps[{i}].wait_s", f"must be more than 0, or {what} never comes")


def _drops(path: str, policy: PolicyModel, hard: set[str]) -> Iterator[Violation]:
    for i, (step, skills) in enumerate(zip(policy.steps, required_skills(policy), strict=True)):
        for j, name in enumerate(step.drop):
            if name not in skills:
                yield Violation(f"{path}.steps[{i}].drop[{j}]", f"the step does not ask for {name}")
            elif name in hard:
                yield Violation(f"{path}.steps[{i}].drop[{j}]", f"{name} is hard: it is never dropped")


def _leaves_out(path: str, policy: PolicyModel, hard: set[str]) -> Iterator[Violation]:
    """A hard skill that a step asked for stays, unless `drop` names it, which has an error of its own."""
    asked: set[str] = set()
    for i, (step, skills) in enumerate(zip(policy.steps, required_skills(policy), strict=True)):
        if missing := sorted(asked - skills.keys()) if step.skills is not None else []:
            yield Violation(f"{path}.steps[{i}].skills", f"leave out what is hard: {', '.join(missing)}")
        asked |= hard & skills.keys()


def _overflows(parts: Parts) -> Iterator[Violation]:
    """What overflows into a team stays there: none of the policies that lead to the team overflows in turn."""
    overflowing = {
        step.team: policy.id
        for _, policy in parts.items["policies"]
        if policy.on_exhausted is not None
        for step in policy.steps
    }
    for path, policy in parts.items["policies"]:
        team = policy.on_exhausted.team if policy.on_exhausted is not None else ""
        if team in overflowing:
            problem = f"{team} has an overflow of its own, of policy {overflowing[team]}"
            yield Violation(f"{path}.on_exhausted.team", problem)


def _matches(parts: Parts) -> Iterator[Violation]:
    """In every pool that has policies one always holds: the last, and no other."""
    by_pool: dict[str, list[tuple[str, PolicyModel]]] = {}
    for path, policy in parts.items["policies"]:
        if pool := parts.pools.get(policy.steps[0].team):
            by_pool.setdefault(pool, []).append((path, policy))
    for pool, policies in by_pool.items():
        for path, policy in policies[:-1]:
            if not policy.when:
                yield Violation(f"{path}.when", f"holds for all: the policies of pool {pool} after it never apply")
        path, last = policies[-1]
        if last.when:
            yield Violation(f"{path}.when", f"must be absent: the last policy of pool {pool} holds for all")
