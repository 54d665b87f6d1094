"""python -m trunkline_sla.evaluate: what it prints, and how it ends."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from trunkline_sla import evaluate

Capture = pytest.CaptureFixture[str]
HEAD = """calendar: {always_open: true}
policy: {metrics: {first_response: {target_s: 3600}, resolution: {target_s: 7200}}, warnings_percent: [50]}
events:
  - {t: "2026-11-16T10:00:00Z", type: conversation_created}
  - {t: "2026-11-16T10:00:00Z", type: customer_message}
  - {t: "2026-11-16T10:20:00Z", type: agent_message, message_id: a1}
  - {t: "2026-11-16T10:40:00Z", type: state_changed, to: pending}
"""


@pytest.fixture
def ask(tmp_path: Path, capsys: Capture) -> Any:
    """Runs a text as a file: exit code, stdout, lines of stderr."""

    def run(text: str, *flags: str) -> tuple[int, str, list[str]]:
        file = tmp_path / "scenario.yaml"
        file.write_text(text)
        code = evaluate.main([str(file), *flags])
        said = capsys.readouterr()
        return code, said.out, said.err.splitlines()

    return run


def test_without_an_expectation_every_metric_is_shown_at_the_last_event(ask: Any) -> None:
    """Those that the policy names; one object per line if wanted."""
    code, out, err = ask(HEAD)
    shown = json.loads(out)
    assert (code, err) == (0, [])
    assert shown == [
        {
            "at": "2026-11-16T10:40:00Z", "metric": "first_response", "state": "met", "due_at": None,
            "elapsed_s": 1200, "diff_s": 2400, "met": True, "breached_at": None, "worst_elapsed_s": 1200,
        },
        {
            "at": "2026-11-16T10:40:00Z", "metric": "resolution", "state": "paused", "due_at": None,
            "elapsed_s": 2400, "diff_s": 4800, "met": None, "breached_at": None, "worst_elapsed_s": None,
        },
    ]  # fmt: skip
    _, lines, _ = ask(HEAD, "--ndjson")
    assert [json.loads(line) for line in lines.splitlines()] == shown


def test_at_is_the_instant_of_the_state(ask: Any) -> None:
    """Only what has happened by then is known."""
    _, out, _ = ask(HEAD, "--at", "2026-11-16T10:10:00Z")
    assert [(r["state"], r["due_at"], r["elapsed_s"]) for r in json.loads(out)] == [
        ("running", "2026-11-16T11:00:00Z", 600),
        ("running", "2026-11-16T12:00:00Z", 600),
    ]


def test_explain_adds_intervals_and_the_events_of_production(ask: Any) -> None:
    """Each interval with its reason; the events in order, with their instants."""
    _, out, _ = ask(HEAD, "--explain", "--at", "2026-11-16T11:00:00Z")
    _, resolution, published = json.loads(out)
    assert [(p["from"], p["counted"], p["business_s"], p["why"]) for p in resolution["cycles"][0]["intervals"]] == [
        ("2026-11-16T10:00:00Z", True, 2400, "running"),
        ("2026-11-16T10:40:00Z", False, 0, "paused in pending"),
    ]
    assert [(e["t"][11:16], e["type"], e["metric"]) for e in published["events"]] == [
        ("10:00", "sla.clock.started.v1", "first_response"),
        ("10:00", "sla.clock.started.v1", "resolution"),
        ("10:20", "sla.fulfilled.v1", "first_response"),
        ("10:40", "sla.clock.paused.v1", "resolution"),
    ]


def test_a_miss_says_where_what_and_what_instead(ask: Any) -> None:
    """Exit 1, every miss, and the results all the same."""
    code, out, err = ask(f"""{HEAD}expect:
  - {{at: "2026-11-16T10:10:00Z", metric: first_response, due_at: "2026-11-16T10:59:00Z", elapsed_s: 600}}
  - {{at: "2026-11-16T12:10:00Z", metric: resolution, due_at: null, met: true, worst_elapsed_s: 1, diff_s: 4800}}
  - {{at: "2026-11-16T12:10:00Z", metric: next_response, elapsed_s: 0, breached_at: null}}
""")
    assert (code, len(json.loads(out))) == (1, 3)
    assert err == [
        'expect[0].due_at: expected "2026-11-16T10:59:00Z", got "2026-11-16T11:00:00Z"',
        "expect[1].met: expected true, got null",
        "expect[1].worst_elapsed_s: expected 1, got null",
        "expect[2].elapsed_s: expected 0, got null",
    ]


def test_an_invalid_file_is_told_every_error_and_not_run(ask: Any) -> None:
    """Exit 2, nothing on stdout."""
    code, out, err = ask("""
calendar: {tz: Europe/Atlantis, weekly: {mon: [["9:00", "17:00"]]}}
policy:
  metrics:
    first_reply: {target_s: 3600}
    first_response: {target_s: 0, counts_first_message: maybe}
    resolution: {target_s: 3600, reopen: never, pauses: [pending]}
events:
  - {t: "2026-11-16T10:00:00", type: conversation_created}
  - {t: "2026-11-16T10:00:00Z", type: state_changed}
  - {t: "2026-11-16T10:00:00Z", type: shouted}
  - {t: "2026-11-16T10:00:00Z", type: policy_changed, policy: {metrics: {resolution: {}}}}
expect:
  - {at: "2026-11-16T10:00:00Z", metric: first_response, due: null}
  - {metric: resolution, met: 1}
""")
    assert (code, out) == (2, "")
    assert [line.split(": ")[0] for line in err] == [
        *("calendar.tz", "calendar.weekly.mon[0][0]"),
        *("policy.metrics.first_reply", "policy.metrics.first_response.target_s"),
        *("policy.metrics.first_response.counts_first_message", "policy.metrics.resolution.reopen"),
        *("policy.metrics.resolution.pauses", "events[0].t", "events[1].to", "events[2]"),
        *("events[3].policy.metrics.resolution.target_s", "expect[0].due", "expect[1].at", "expect[1].met"),
    ]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("  - {t: '2026-11-16T10:30:00Z', type: agent_note}", "events[4].t: is before the event that precedes it"),
        ("  - {t: '2026-11-16T11:00:00Z', type: conversation_created}", "events[4]: a conversation is created once"),
        ("  - {t: '2037-11-16T10:30:00Z', type: agent_note}", "events[4].t: is more than ten years"),
        ("expect: [{at: '2037-01-01T00:00:00Z', metric: resolution, met: null}]", "expect[0].at: is more than ten"),
        (
            "  - {t: '2026-11-16T11:00:00Z', type: calendar_changed, calendar: "
            "{tz: UTC, overrides: [{date: '2026-01-01', hours: [['09:00', '10:00']]}]}}",
            "events[4].calendar: has no open time in the 366 days",
        ),
        ("events: []", "events: is written twice"),
        (
            "  - {t: '2026-11-16T11:00:00Z', type: delivery_failed, message_id: a9}",
            "events[4].message_id: no agent_message or",
        ),
        (
            "  - {t: '2026-11-16T11:00:00Z', type: customer_message_deleted, message_id: a1}",
            "events[4].message_id: no customer_",
        ),
        (
            "  - {t: '2026-11-16T11:00:00Z', type: agent_message, message_id: a1}",
            "events[4].message_id: is another message's",
        ),
        (
            "  - {t: '2026-11-16T11:00:00Z', type: agent_message, answers_through: a1}",
            "events[4].answers_through: no customer_",
        ),
        (
            "  - {t: '2026-11-16T11:00:00Z', type: absorbed, started_at: '2026-11-16T12:00:00Z'}",
            "events[4].started_at: is not in the ten years before",
        ),
        (
            "  - {t: '2026-11-16T11:00:00Z', type: policy_changed, policy: "
            "{metrics: {resolution: {target_s: 600}}, warnings_remaining_s: [60, 600]}}",
            "events[4].policy.warnings_remaining_s[1]: is not less than every target: the shortest is 600 s",
        ),
    ],
)
def test_what_cannot_be_run_says_why(ask: Any, lines: str, words: str) -> None:
    """One defect per row."""
    code, out, err = ask(f"{HEAD}{lines}\n")
    assert (code, out) == (2, "")
    assert words in "\n".join(err)


def test_thresholds_are_checked_with_their_path(ask: Any) -> None:
    """Beyond the shortest target, 0 or less (9.1); repetitions, too."""
    code, out, err = ask("""
calendar: {always_open: true}
policy:
  metrics: {first_response: {target_s: 3600}, resolution: {target_s: 7200}}
  warnings_percent: [75, 100]
  warnings_remaining_s: [900, 0, -5]
  repeat_s: -1
  max_repeats: 0
events:
  - {t: "2026-11-16T10:00:00Z", type: conversation_created}
""")
    assert (code, out) == (2, "")
    assert [line.split(": ")[0] for line in err] == [
        *("policy.warnings_percent[1]", "policy.warnings_remaining_s[1]", "policy.warnings_remaining_s[2]"),
        *("policy.repeat_s", "policy.max_repeats"),
    ]
    beyond = HEAD.replace("warnings_percent: [50]", "warnings_remaining_s: [900, 3600]")
    assert ask(beyond)[2] == ["policy.warnings_remaining_s[1]: is not less than every target: the shortest is 3600 s"]


def test_the_timers_need_something_to_look_at(ask: Any) -> None:
    """A file does not begin with them."""
    code, _, err = ask("""
calendar: {always_open: true}
policy: null
events:
  - {t: "2026-11-16T10:00:00Z", type: look}
""")
    assert (code, err) == (2, ["events[0]: nothing has begun that the timers could look at"])


def test_state_and_events_may_be_expected(ask: Any) -> None:
    """Of the metric that the expectation is about."""
    code, _, err = ask(f"""{HEAD}expect:
  - {{at: "2026-11-16T10:30:00Z", metric: first_response, state: running, events: [sla.clock.started.v1]}}
  - {{at: "2026-11-16T10:30:00Z", metric: resolution, state: running, events: [sla.clock.started.v1]}}
""")
    assert code == 1
    assert err == [
        'expect[0].events: expected ["sla.clock.started.v1"], got ["sla.clock.started.v1", "sla.fulfilled.v1"]',
        'expect[0].state: expected "running", got "met"',
    ]


def test_events_say_what_belongs_to_their_kind(ask: Any) -> None:
    """Explained: gen, target, threshold; nothing that is empty."""
    _, out, _ = ask(HEAD, "--explain", "--at", "2026-11-16T11:00:00Z")
    started, *_, paused = json.loads(out)[-1]["events"]
    assert started == {
        "t": "2026-11-16T10:00:00Z", "type": "sla.clock.started.v1", "metric": "first_response", "cycle": 1, "gen": 1,
        "target_s": 3600, "due_at": "2026-11-16T11:00:00Z",
    }  # fmt: skip
    assert {"state": "pending", "elapsed_s": 2400, "gen": 2}.items() <= paused.items()


def test_an_instant_that_is_none_is_refused(ask: Any) -> None:
    """Exit 2 for --at as for the file."""
    code, out, err = ask(HEAD, "--at", "noon")
    assert (code, out) == (2, "")
    assert err[0].startswith("--at: noon is not an instant")


def test_json_is_read_from_stdin(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """A file named - ."""
    scenario = {
        "calendar": {"always_open": True},
        "policy": None,
        "events": [{"t": "2026-11-16T10:00:00Z", "type": "customer_message"}],
        "expect": [{"at": "2026-11-16T10:00:00Z", "metric": "first_response", "due_at": None}],
    }
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(scenario)))
    assert evaluate.main(["-"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["state"] == "none"


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: Capture) -> None:
    """Exit 2."""
    assert evaluate.main([str(tmp_path / "missing.yaml")]) == 2
    assert capsys.readouterr().err.endswith("missing.yaml: No such file or directory\n")


def test_it_is_a_command() -> None:
    """python -m, with its exit code."""
    text = f'{HEAD}expect: [{{at: "2026-11-16T10:30:00Z", metric: first_response, met: false}}]'
    command = [sys.executable, "-m", "trunkline_sla.evaluate", "-", "--ndjson"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 1)
    assert done.stderr == "expect[0].met: expected false, got true\n"
