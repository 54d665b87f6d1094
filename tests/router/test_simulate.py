"""python -m trunkline_router.simulate: what it prints, how it ends."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from trunkline_router import simulate

Capture = pytest.CaptureFixture[str]
TEAMS = "config: {teams: [{id: billing}], agents: [{id: ana, teams: [billing]}, {id: ben, teams: [billing]}]}\n"
SHOWN = f"""{TEAMS}start: "2026-01-05T09:00:00Z"
steps:
  - {{do: agent, id: ana, presence: online, accepting: true}}
  - {{do: arrive, conversation: c1, channel: web, attributes: {{lang: de}}, priority: high}}
  - {{do: advance, seconds: 30, expect: {{events: [OfferTimedOut]}}}}
  - {{do: state}}
"""


@pytest.fixture
def ask(tmp_path: Path, capsys: Capture) -> Any:
    """Runs a text as a file: exit code, stdout, lines of stderr."""

    def run(text: str, *flags: str) -> tuple[int, str, list[str]]:
        file = tmp_path / "scenario.yaml"
        file.write_text(text)
        code = simulate.main([str(file), *flags])
        said = capsys.readouterr()
        return code, said.out, said.err.splitlines()

    return run


def test_a_step_shows_its_events_its_decisions_and_why_it_waits(ask: Any) -> None:
    """One JSON array, or an object a line."""
    code, out, err = ask(SHOWN)
    results = json.loads(out)
    assert (code, err, [r["do"] for r in results]) == (0, [], ["agent", "arrive", "advance", "state"])
    assert [e["type"] for e in results[1]["events"]] == [
        *("ConversationStarted", "MessageReceived", "ConversationQueued", "OfferMade")
    ]
    (decision,) = results[1]["decisions"]
    assert decision["chosen"][0]["says"] == "ana is first by longest_idle"
    assert decision["groups"] == [{"reason": "OFFLINE", "agents": [{"agent": "ben", "says": "ben is offline"}]}]
    assert (results[2]["at"], results[2]["events"][0]["at"]) == ("2026-01-05T09:00:30Z", "2026-01-05T09:00:20Z")
    assert results[2]["waiting"]["changes"] == ["ana declined or missed it", "ben is offline"]
    assert results[3]["state"]["queue"] == {"billing": ["c1"]}
    code, lines, err = ask(SHOWN, "--ndjson")
    assert (code, [json.loads(line) for line in lines.splitlines()], err) == (0, results, [])


def test_a_miss_says_where_what_and_what_instead(ask: Any) -> None:
    """Exit 1, every miss, and the results all the same."""
    code, out, err = ask(f"""{TEAMS}steps:
  - {{do: agent, id: ana, presence: online, capacity: 1}}
  - {{do: arrive, conversation: c1,
     expect: {{offered: ben, queued: billing, assigned: null, rejected: no_agent_online}}}}
  - {{do: arrive, conversation: c2, expect: {{assigned: ana, offered: null}}}}
  - {{do: arrive, conversation: c3, expect: {{assigned_any: [ana, ben], events: [OfferMade, MessageReceived]}}}}
  - {{do: state, expect: {{agents: {{ana: {{load: 2, offered: []}}, zoe: {{load: 0}}}}, queue: [c3, c2], events: []}}}}
  - {{do: resolve, conversation: c3, agent: ana}}
""")
    assert code == 1
    assert len(json.loads(out)) == 6
    started = '["ConversationStarted", "MessageReceived", "ConversationQueued"]'
    assert err == [
        'steps[1].expect.assigned: expected null, got "offered to ana"',
        'steps[1].expect.offered: expected ["ben"], got ["ana"]',
        'steps[1].expect.queued: expected "billing", got null',
        'steps[1].expect.rejected: expected "no_agent_online", got null',
        'steps[2].expect.assigned: expected "ana", got null',
        'steps[3].expect.assigned_any: expected ["ana", "ben"], got null',
        f'steps[3].expect.events: expected ["OfferMade", "MessageReceived"], got {started}',
        "steps[4].expect.agents.ana.load: expected 2, got 1",
        'steps[4].expect.agents.ana.offered: expected [], got ["c1"]',
        'steps[4].expect.agents.zoe.id: expected "zoe", got null',
        'steps[4].expect.queue: expected ["c3", "c2"], got ["c2", "c3"]',
        "steps[5]: refused: CONVERSATION_STATUS: conversation c3 is queued; accept it first",
    ]


def test_an_invalid_file_is_told_every_error_and_not_run(ask: Any) -> None:
    """Exit 2, nothing on stdout. First what each field says, then what the fields say together."""
    code, out, err = ask("""
config: {teams: []}
steps:
  - {do: dance}
  - {do: arrive, channel: web}
  - {do: arrive, conversation: c1, expect: {events: [OfferMissed], assigned: ana, assignd: ana}}
  - {do: advance, seconds: -1}
  - {do: agent, id: ana, presence: asleep, at: "2026-01-05 09:00"}
stepps: []
""")
    assert (code, out) == (2, "")
    assert [line.split(": ")[0] for line in err] == [
        *("steps[0]", "steps[1].conversation", "steps[2].expect.events[0]", "steps[2].expect.assignd"),
        *("steps[3].seconds", "steps[4].at", "steps[4].presence", "stepps"),
    ]


def test_every_error_of_a_configuration_has_its_path(ask: Any) -> None:
    """That of the file and those that steps bring."""
    code, out, err = ask("""
config: {teams: [{id: billing, colour: red}], agents: [{id: ana, teams: [sales]}]}
steps: [{do: configure, config: {teams: [{id: a}, {id: a}]}}]
""")
    assert (code, out) == (2, "")
    assert [line.split(": ")[0] for line in err] == [
        *("config.teams[0].colour", "config.agents[0].teams[0]", "steps[0].config.teams[1].id")
    ]


def test_a_name_that_stands_for_nothing_is_an_error(ask: Any) -> None:
    """Except where the step expects to be refused."""
    code, _, err = ask(f"""{TEAMS}steps:
  - {{do: agent, id: zoe, teams: [billing, sales]}}
  - {{do: arrive, conversation: c1, account: app}}
  - {{do: accept, conversation: c2, agent: eve}}
  - {{do: transfer, conversation: c1, to: {{team: sales}}}}
  - {{do: transfer, conversation: c1, to: {{team: sales}}, expect: {{refused: TEAM_NOT_FOUND}}}}
  - {{do: assign, conversation: c1, to: eve}}
""")
    assert code == 2
    assert [line.split(" is ")[0] for line in err] == [
        *("steps[0].teams[1]: sales", "steps[1].account: app", "steps[2].conversation: c2", "steps[2].agent: eve"),
        *("steps[3].to.team: sales", "steps[5].to: eve"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("config: {", "file: is neither JSON nor YAML"),
        ("", "file: Input should be a valid dictionary"),
        ("steps: []\nsteps: []", "steps: is written twice"),
        ('{"steps": [], "steps": []}', "steps: is written twice"),
        ("[" * 5000, "nested too deeply"),
        (f"{TEAMS}pool: other\nsteps: []", "pool: other is not configured"),
        (
            "config: {pools: [{id: a}, {id: b}], teams: [{id: x, pool: a}, {id: y, pool: b}]}\nsteps: []",
            "pool: name one of a, b",
        ),
        (
            f'{TEAMS}steps: [{{do: advance, seconds: 60}}, {{do: state, at: "2026-01-05T09:00:00Z"}}]\n'
            'start: "2026-01-05T09:00:00Z"',
            "steps[1].at: is before 2026-01-05T09:01:00Z",
        ),
        (f'{TEAMS}steps: [{{do: state, at: "0001-01-01T00:00:00+14:00"}}]', "is not between the years 1 and 9999"),
        (f'{TEAMS}start: "9999-12-31T23:59:50Z"\nsteps: []', "start: is 9999-12-31T23:59:50Z; a story is told between"),
        (
            f'{TEAMS}steps: [{{do: advance, seconds: 60}}, {{do: state, at: "0001-01-01T00:00:00Z"}}]',
            "start: is 0001-01-01T00:00:00Z; a story is told between",
        ),
        (
            f'{TEAMS}start: "8999-12-31T23:59:50Z"\nsteps: [{{do: advance, seconds: 10}}, {{do: advance, seconds: 1}}]',
            "steps[1]: ends too late; a story is told between the years 1970 and 9000",
        ),
        (f"{TEAMS}steps: [{', '.join(['{do: advance, seconds: 316224000}'] * 900)}]", "ends too late"),
    ],
)
def test_what_cannot_be_run_says_why(ask: Any, text: str, words: str) -> None:
    """One defect per row."""
    code, out, err = ask(text)
    assert (code, out) == (2, "")
    assert words in "\n".join(err)


# -- what the format leaves open


def test_what_is_expected_to_be_assigned_is_accepted_at_once(ask: Any) -> None:
    """So that a file holds whether or not its channels ask first."""
    code, out, err = ask(f"""{TEAMS}steps:
  - {{do: agent, id: ana, presence: online}}
  - {{do: arrive, conversation: c1, expect: {{assigned: ana}}}}
  - {{do: arrive, conversation: c2, expect: {{assigned_any: [ana, ben]}}}}
  - {{do: arrive, conversation: c3}}
  - {{do: state, expect: {{agents: {{ana: {{load: 3, assigned: [c1, c2, c3]}}}}}}}}
""")
    assert (code, err) == (0, [])
    assert json.loads(out)[1]["events"][-1]["type"] == "ConversationAssigned"


@pytest.mark.parametrize(("answer", "status"), [("accept", "assigned"), ("decline", "queued")])
def test_an_offer_that_a_later_step_answers_is_left_to_it(ask: Any, answer: str, status: str) -> None:
    """It counts as assigned until then."""
    code, _, err = ask(f"""{TEAMS}steps:
  - {{do: agent, id: ana, presence: online}}
  - {{do: arrive, conversation: c1, expect: {{assigned: ana}}}}
  - {{do: state, expect: {{agents: {{ana: {{load: 1, offered: [c1], assigned: []}}}}}}}}
  - {{do: {answer}, conversation: c1, agent: ana, expect: {{status: {status}}}}}
""")
    assert (code, err) == (0, [])


def test_an_agent_needs_no_configuration(ask: Any) -> None:
    """A new one is in every team, with the capacity of the document's default; what is named later replaces that."""
    code, _, err = ask("""
config: {teams: [{id: billing}, {id: returns}]}
steps:
  - {do: agent, id: ana, presence: online}
  - {do: arrive, conversation: c1, expect: {assigned: ana}}
  - {do: transfer, conversation: c1, to: {team: returns}, expect: {assigned: ana}}
  - {do: agent, id: ana, teams: [billing]}
  - {do: transfer, conversation: c1, to: {team: billing}, expect: {assigned: ana}}
  - {do: transfer, conversation: c1, to: {team: returns}, expect: {queued: returns}}
""")
    assert (code, err) == (0, [])


def test_an_instant_moves_the_clock_too(ask: Any) -> None:
    """And what is due on the way happens then; the first instant says when the file begins."""
    code, out, err = ask(f"""{TEAMS}steps:
  - {{do: agent, id: ana, presence: online}}
  - {{do: arrive, conversation: c1, at: "2026-03-02T09:00:00Z", expect: {{offered: ana}}}}
  - {{do: arrive, conversation: c2, at: "2026-03-02T09:00:21Z", expect: {{conversations: {{c1: {{assigned: null}}}}}}}}
""")
    assert (code, err) == (0, [])
    results = json.loads(out)
    assert (results[0]["at"], results[2]["events"][0]["at"]) == ("2026-03-02T09:00:00Z", "2026-03-02T09:00:20Z")


def test_an_account_is_that_of_the_channel(ask: Any) -> None:
    """Where a step names none; without policies it says the team."""
    code, _, err = ask("""
config:
  teams: [{id: desk}, {id: mail}]
  accounts: [{id: support, channel: email, team: mail}, {id: chat, channel: web, team: desk}]
steps:
  - {do: arrive, conversation: c1, channel: email, expect: {queued: mail}}
  - {do: arrive, conversation: c2, channel: web, expect: {queued: desk}}
  - {do: arrive, conversation: c3, channel: email, account: chat, expect: {queued: desk}}
""")
    assert (code, err) == (0, [])


def test_quotes_may_be_forgotten(ask: Any) -> None:
    """YAML 1.1 makes false of Norway and 540 of 9:00."""
    code, _, err = ask("""
config:
  teams: [{id: desk, calendar: office}]
  skills: [{id: no}]
  agents: [{id: ana, teams: [desk], skills: {no: 3}}]
  calendars: [{id: office, tz: Europe/Oslo, weekly: {mon: [[09:00, 17:00]]}, holidays: [2026-12-25]}]
  policies: [{id: all, steps: [{team: desk, skills: {$language: 1}}]}]
steps:
  - {do: agent, id: ana, presence: online}
  - {do: arrive, conversation: c1, language: no, at: 2026-01-05T09:00:00Z, attributes: {size: 3},
     expect: {offered: ana}}
""")
    assert (code, err) == (0, [])


# -- the command


def test_json_is_read_from_stdin(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """A file named - ."""
    scenario = {"config": {"teams": [{"id": "desk"}]}, "steps": [{"do": "state", "expect": {"queue": []}}]}
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(scenario, indent="\t")))
    assert simulate.main(["-"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["state"]["agents"] == {}


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: Capture) -> None:
    """Exit 2."""
    assert simulate.main([str(tmp_path / "missing.yaml")]) == 2
    assert capsys.readouterr().err.endswith("missing.yaml: No such file or directory\n")


def test_it_is_a_command() -> None:
    """python -m, with its exit code."""
    text = "config: {teams: [{id: desk}]}\nsteps: [{do: arrive, conversation: c1, expect: {queued: desk, position: 1}}]"
    command = [sys.executable, "-m", "trunkline_router.simulate", "-", "--ndjson"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 1)
    assert done.stderr == "steps[0].expect.position: expected 1, got 0\n"
