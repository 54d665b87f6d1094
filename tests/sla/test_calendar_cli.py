"""python -m trunkline_sla.calendar: what it prints, how it ends, and every scenario file."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from trunkline_common import files
from trunkline_sla import calendar

SCENARIOS = sorted((Path(__file__).parent / "scenarios" / "calendar").glob("*.yaml"))
OFFICE = 'calendar: {tz: Europe/Berlin, weekly: {mon: [["09:00", "17:00"]], fri: [["09:00", "17:00"]]}}\n'
FRIDAY, MONDAY = "2026-11-20T15:30:00Z", "2026-11-23T08:30:00Z"

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_a_scenario_meets_what_it_expects(file: Path, capsys: Capture) -> None:
    """Every op of every file has an expectation."""
    code = calendar.main([str(file)])
    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    scenario = calendar.check(files.load(file.read_text()))
    assert scenario.ops
    assert all(op.expect for op in scenario.ops)


def test_there_are_scenarios() -> None:
    """An empty folder would pass."""
    assert len(SCENARIOS) >= 40


@pytest.fixture
def ask(tmp_path: Path, capsys: Capture) -> Any:
    """Runs a text as a file: exit code, stdout, lines of stderr."""

    def run(text: str, *flags: str) -> tuple[int, str, list[str]]:
        file = tmp_path / "scenario.yaml"
        file.write_text(text)
        code = calendar.main([str(file), *flags])
        said = capsys.readouterr()
        return code, said.out, said.err.splitlines()

    return run


ALL_OPS = f"""{OFFICE}ops:
  - {{op: add, start: "{FRIDAY}", business_seconds: 3600}}
  - {{op: subtract, start: "{MONDAY}", business_seconds: 3600}}
  - {{op: between, start: "{MONDAY}", end: "{FRIDAY}"}}
  - {{op: between_clamped, start: "{MONDAY}", end: "{FRIDAY}"}}
  - {{op: is_open, start: "{FRIDAY}"}}
  - {{op: periods, start: "{FRIDAY}", count: 2}}
  - {{op: add, start: "{FRIDAY}", business_seconds: 31000000}}
"""
RESULTS = [
    {"at": MONDAY},
    {"at": FRIDAY},
    {"business_seconds": -3600},
    {"business_seconds": 0},
    {"open": True},
    {"periods": [[FRIDAY, "2026-11-20T16:00:00Z"], ["2026-11-23T08:00:00Z", "2026-11-23T16:00:00Z"]]},
    {"at": None, "fault": f"the answer for {FRIDAY} is more than ten years away"},
]


def test_results_come_in_order(ask: Any) -> None:
    """One JSON array, or an object per line; without an expectation nothing is missed, not even by a fault."""
    code, out, err = ask(ALL_OPS)
    assert (code, json.loads(out), err) == (0, RESULTS, [])
    code, out, err = ask(ALL_OPS, "--ndjson")
    assert (code, [json.loads(line) for line in out.splitlines()], err) == (0, RESULTS, [])


def test_a_miss_says_where_what_and_what_instead(ask: Any) -> None:
    """Exit 1, every miss, and the results all the same."""
    code, out, err = ask(f"""{OFFICE}ops:
  - {{op: add, start: "{FRIDAY}", business_seconds: 3600, expect: {{at: "{FRIDAY}"}}}}
  - {{op: is_open, start: "{FRIDAY}", expect: {{open: true}}}}
  - {{op: is_open, start: "{FRIDAY}", expect: {{open: false}}}}
  - {{op: between, start: "{FRIDAY}", end: "{MONDAY}", expect: {{business_seconds: 1}}}}
  - {{op: periods, start: "{FRIDAY}", count: 1, expect: {{periods: []}}}}
  - {{op: add, start: "{FRIDAY}", business_seconds: 1, expect: {{at: null}}}}
""")
    assert code == 1
    assert len(json.loads(out)) == 6
    assert err == [
        f'ops[0].expect.at: expected "{FRIDAY}", got "{MONDAY}"',
        "ops[2].expect.open: expected false, got true",
        "ops[3].expect.business_seconds: expected 1, got 3600",
        f'ops[4].expect.periods: expected [], got [["{FRIDAY}", "2026-11-20T16:00:00Z"]]',
        'ops[5].expect.at: expected null, got "2026-11-20T15:30:01Z"',
    ]


def test_an_invalid_file_is_told_every_error_and_not_run(ask: Any) -> None:
    """Exit 2, nothing on stdout."""
    code, out, err = ask(f"""
calendar: {{tz: Europe/Atlantis, weekly: {{mon: [["9:00", "17:00"]]}}, holidays: ["2026-02-30"]}}
ops:
  - {{op: multiply, start: "{FRIDAY}"}}
  - {{op: add, start: "2026-11-20T15:30:00", business_seconds: -1}}
  - {{op: add, start: "{FRIDAY}", business_seconds: 1.5, expect: {{open: true}}}}
  - {{op: between, start: "2026-13-20T15:30:00Z", finish: "{MONDAY}"}}
  - {{op: periods, start: "9999-11-20T15:30:00Z", count: 0}}
  - {{op: is_open, start: "{FRIDAY}"}}
opps: []
""")
    assert (code, out) == (2, "")
    assert [line.split(": ")[0] for line in err] == [
        *("calendar.tz", "calendar.weekly.mon[0][0]", "calendar.holidays[0]", "ops[0]", "ops[1].start"),
        *("ops[1].business_seconds", "ops[2].business_seconds", "ops[2].expect.at", "ops[2].expect.open"),
        *("ops[3].start", "ops[3].end", "ops[3].finish", "ops[4].start", "ops[4].count", "opps"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("calendar: {", "file: is neither JSON nor YAML"),
        ("", "file: Input should be a valid dictionary"),
        ("ops: []\nops: []", "ops: is written twice"),
        ('{"ops": [], "ops": []}', "ops: is written twice"),
        ("[" * 5000, "nested too deeply"),
        (
            f'{OFFICE}ops: [{{op: is_open, start: "2026-11-20T15:30Z"}}]',
            "ops[0].start: 2026-11-20T15:30Z is not an instant",
        ),
        ("calendar: {tz: UTC, weekly: {}}\nops: []", "calendar: is never open"),
        (
            'calendar: {tz: UTC, overrides: [{date: "2026-01-01", hours: [["09:00", "10:00"]]}]}\n'
            f'ops: [{{op: is_open, start: "{FRIDAY}"}}]',
            f"calendar: has no open time in the 366 days after {FRIDAY}",
        ),
    ],
)
def test_what_cannot_be_run_says_why(ask: Any, text: str, words: str) -> None:
    """One defect per row."""
    code, out, err = ask(text)
    assert (code, out) == (2, "")
    assert words in "\n".join(err)


def test_quotes_may_be_forgotten(ask: Any) -> None:
    """YAML 1.1 makes 780 of 13:00, and of a date something else than text."""
    code, out, err = ask("""
calendar: {tz: Europe/Berlin, weekly: {fri: [[13:00, 17:00]]}, closures: [{date: 2026-11-20, from: 14:00, to: 15:00}]}
ops: [{op: between, start: 2026-11-20T00:00:00Z, end: 2026-11-21T00:00:00Z, expect: {business_seconds: 10800}}]
""")
    assert (code, json.loads(out), err) == (0, [{"business_seconds": 10800}], [])


def test_json_is_read_from_stdin(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """A file named - ."""
    scenario = {"calendar": {"always_open": True}, "ops": [{"op": "add", "start": FRIDAY, "business_seconds": 1}]}
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(scenario, indent="\t")))
    assert calendar.main(["-"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"at": "2026-11-20T15:30:01Z"}]


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: Capture) -> None:
    """Exit 2."""
    assert calendar.main([str(tmp_path / "missing.yaml")]) == 2
    assert capsys.readouterr().err.endswith("missing.yaml: No such file or directory\n")


def test_it_is_a_command() -> None:
    """python -m, with its exit code."""
    text = f'{OFFICE}ops: [{{op: is_open, start: "{FRIDAY}", expect: {{open: false}}}}]'
    command = [sys.executable, "-m", "trunkline_sla.calendar", "-", "--ndjson"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, '{"open": true}\n')
    assert done.stderr == "ops[0].expect.open: expected false, got true\n"
