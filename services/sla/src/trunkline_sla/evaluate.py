"""python -m trunkline_sla.evaluate FILE: what an SLA policy does, tried in a scenario file (JSON or YAML; - for stdin).

Exit 0; 1 when an `expect` is not met, each miss on stderr; 2 when the file is not valid, every error on stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from trunkline_common.calendar import Calendar
from trunkline_common.errors import Violation
from trunkline_common.files import InvalidFile, load

from trunkline_sla.calendar import Instant
from trunkline_sla.evaluate_document import Expect, Scenario, check
from trunkline_sla.evaluate_events import PolicyChanged
from trunkline_sla.evaluation import evaluate
from trunkline_sla.evaluation_answers import Answer, Cycle, Evaluation
from trunkline_sla.evaluation_events import Event
from trunkline_sla.evaluation_facts import Fact
from trunkline_sla.evaluation_model import Interval, Metric, Policy

Result = dict[str, Any]


# -- running


@dataclass(frozen=True, slots=True)
class Trial:
    """A scenario with what the engine needs of it."""

    scenario: Scenario
    policy: Policy | None
    calendar: Calendar
    events: tuple[Event, ...]

    def at(self, now: datetime) -> Evaluation:
        """What the engine says."""
        return evaluate(self.policy, self.calendar, self.events, now)

    @property
    def last(self) -> datetime:
        """When to look if nobody says."""
        return max(e.at for e in (*self.scenario.expect, *self.events))

    @property
    def metrics(self) -> list[Metric]:
        """Those that any policy of the file names."""
        changed = (e.policy for e in self.scenario.events if isinstance(e, PolicyChanged))
        named = {m for policy in (self.scenario.policy, *changed) if policy for m in policy.metrics}
        return [metric for metric in Metric if metric in named]


def prepare(scenario: Scenario) -> Trial:
    """Its calendars, built."""
    policy = scenario.policy.policy() if scenario.policy else None
    calendar = Calendar(scenario.calendar.rules(), scenario.first)
    return Trial(scenario, policy, calendar, scenario.log())


def run(scenario: Scenario, at: datetime | None, *, explain: bool) -> tuple[list[Result], list[str]]:
    """What is printed, and what was missed."""
    trial = prepare(scenario)
    found = [trial.at(expect.at) for expect in scenario.expect]
    results = [_at(e.at, now.metrics[e.metric]) for e, now in zip(scenario.expect, found, strict=True)]
    if at is not None or explain or not scenario.expect:
        whole = trial.at(at or trial.last)
        results += [_at(whole.at, whole.metrics[m], explain=explain) for m in trial.metrics]
        results += [{"at": whole.at, "events": [_fact(f) for f in whole.facts]}] if explain else []
    return results, list(misses(scenario, found))


def misses(scenario: Scenario, found: Sequence[Evaluation]) -> Iterator[str]:
    """Every expectation that was not met: path, expected, got."""
    for i, (expect, now) in enumerate(zip(scenario.expect, found, strict=True)):
        for name, expected in sorted(expect.named()):
            got = _got(now, expect, name)
            if expected != got:
                yield f"expect[{i}].{name}: expected {_json(expected)}, got {_json(got)}"


def _got(now: Evaluation, expect: Expect, name: str) -> object:
    if name == "events":
        return [fact.kind for fact in now.facts if fact.metric is expect.metric]
    return getattr(now.metrics[expect.metric], name)


# -- what is printed


def _at(now: datetime, answer: Answer, *, explain: bool = False) -> Result:
    plain = {f.name: getattr(answer, f.name) for f in fields(answer) if f.name != "cycles"}
    cycles = {"cycles": [_cycle(cycle) for cycle in answer.cycles]} if explain else {}
    return {"at": now, **plain, **cycles}


def _cycle(cycle: Cycle) -> Result:
    plain = {f.name: getattr(cycle, f.name) for f in fields(cycle) if f.name != "intervals"}
    return {**plain, "intervals": [_interval(part) for part in cycle.intervals]}


def _interval(part: Interval) -> Result:
    return {"from": part.start, "to": part.end, "counted": part.counted, "business_s": part.seconds, "why": part.why}


def _fact(fact: Fact) -> Result:
    """Without what its kind has not, and what a file has not."""
    left_out = ("kind", "at", "retracted", "version")
    said = {f.name: getattr(fact, f.name) for f in fields(fact) if f.name not in left_out}
    return {"t": fact.at, "type": fact.kind, **{name: value for name, value in said.items() if value not in (None, "")}}


def _json(value: object) -> str:
    return json.dumps(value, default=lambda at: at.isoformat().replace("+00:00", "Z"))


def _printed(results: Sequence[Mapping[str, Any]], *, ndjson: bool) -> str:
    lines = [_json(result) for result in results]
    return "".join(f"{line}\n" for line in lines) if ndjson else "[" + ",\n ".join(lines) + "]\n"


# -- the command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trunkline_sla.evaluate", description="Try an SLA policy.")
    parser.add_argument("file", help="scenario file, JSON or YAML; - reads stdin")
    parser.add_argument("--at", help="the whole state at this instant; else at the last event")
    parser.add_argument("--explain", action="store_true", help="every interval and why, and the events of production")
    parser.add_argument("--ndjson", action="store_true", help="one result per line")
    return parser


def _when(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return TypeAdapter(Instant).validate_python(text)
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InvalidFile([Violation("--at", said)]) from error


def _read(name: str) -> str:
    return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")


def _refuse(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one file; the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        at = _when(chosen.at)
        scenario = check(load(_read(chosen.file)), at)
    except OSError as error:
        return _refuse(f"{chosen.file}: {error.strerror}")
    except (InvalidFile, UnicodeDecodeError) as error:
        return _refuse(str(error))
    results, missed = run(scenario, at, explain=chosen.explain)
    sys.stdout.write(_printed(results, ndjson=chosen.ndjson))
    sys.stderr.write("".join(f"{line}\n" for line in missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
