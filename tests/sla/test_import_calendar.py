"""python -m trunkline_sla.import_calendar: what it prints, how it ends, what it sends to ConfigService."""

from __future__ import annotations

import ast
import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from grpc_status import rpc_status
from trunkline.config.v1.config_service_pb2 import ApplyConfigRequest, ApplyConfigResponse, GetConfigRequest
from trunkline.config.v1.config_service_pb2_grpc import (
    ConfigServiceServicer,
    ConfigServiceStub,
    add_ConfigServiceServicer_to_server,
)
from trunkline_common.calendar_zones import tzdata_version
from trunkline_common.errors import Refused, Violation
from trunkline_common.rpc_errors import to_status
from trunkline_sla import import_calendar, import_document

from deploy.local.services import Services
from tests.kit import apply_config, new_id, token_metadata

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OFFICE = 'tz: Europe/Berlin, weekly: {mon: [["09:00", "17:00"]], fri: [["09:00", "17:00"]]}'
CONFIG = f"""\
teams: [{{id: a, calendar: support}}]  # kept
calendars:
  - {{id: support, {OFFICE}, holidays: ["2025-12-25", "2026-05-01", "2026-07-01"]}}
"""
FEED = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test\r\n"
    "BEGIN:VEVENT\r\nUID:1\r\nDTSTART;VALUE=DATE:20260501\r\nSUMMARY:May\r\nEND:VEVENT\r\n"
    "BEGIN:VEVENT\r\nUID:2\r\nDTSTART;VALUE=DATE:20261224\r\nSUMMARY:Holy night\r\nEND:VEVENT\r\n"
    "BEGIN:VEVENT\r\nUID:3\r\nDTSTART:20260601T090000Z\r\nSUMMARY:Meeting\r\nEND:VEVENT\r\n"
    "END:VCALENDAR\r\n"
)

Capture = pytest.CaptureFixture[str]


class Run:
    """Runs the command on a document and a feed of its own."""

    def __init__(self, folder: Path, capture: Capture) -> None:
        self.config, self.feed, self.token = folder / "tenant.yaml", folder / "feed.ics", folder / "token"
        self._capture = capture
        self.config.write_text(CONFIG)
        self.feed.write_text(FEED, newline="")
        self.token.write_text("a-token\n")

    def ical(self, *flags: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        return self.command("ical", str(self.feed), "--calendar", "support", *flags, str(self.config))

    def command(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        try:
            code = import_calendar.main(arguments, NOW)
        except SystemExit as bad_use:
            code = int(str(bad_use.code))
        said = self._capture.readouterr()
        return code, said.out, said.err

    def apply(self, target: str, *flags: str) -> tuple[int, str, str]:
        """With --apply."""
        return self.ical("--apply", target, "--token-file", str(self.token), *flags)


@pytest.fixture
def run(tmp_path: Path, capsys: Capture) -> Run:
    """A document, a feed and a token in a folder."""
    return Run(tmp_path, capsys)


def listed(run: Run) -> list[str]:
    """The holidays that the document has."""
    found: list[str] = yaml.safe_load(run.config.read_text())["calendars"][0]["holidays"]
    return found


# -- printing and writing


def test_it_prints_the_calendar_and_what_changes_and_writes_nothing(run: Run) -> None:
    """What is printed is YAML, with the change as comments; a source is known by its name."""
    code, out, err = run.ical()
    assert (code, err, run.config.read_text()) == (0, "", CONFIG)
    assert [line for line in out.splitlines() if line.startswith("#")] == [
        f"# feed.ics; 2026-2028; tzdata {tzdata_version()}",
        "# + 2026-12-24 Holy night",
        "# - 2026-07-01",
        "# 1 added, 1 removed, 2 kept",
        "# ignored: 1 timed, 0 cancelled",
        "# not written",
    ]
    office = yaml.safe_load(f"{{{OFFICE}}}")
    listed = ["2025-12-25", "2026-05-01", "2026-12-24"]
    assert yaml.safe_load(out) == [{"id": "support", **office, "holidays": listed}]


def test_json_says_the_same(run: Run) -> None:
    """The whole report."""
    code, out, _ = run.ical("--json", "--years", "2026")
    report = json.loads(out)
    assert (code, report.pop("calendar")["id"]) == (0, "support")
    assert report == {
        "source": "feed.ics",
        "years": "2026",
        "tzdata": tzdata_version(),
        "changed": True,
        "added": [{"date": "2026-12-24", "name": "Holy night"}],
        "removed": [{"date": "2026-07-01", "name": ""}],
        "kept": [{"date": "2025-12-25", "name": ""}, {"date": "2026-05-01", "name": "May"}],
        "ignored": {"timed": 1, "cancelled": 0},
        "written": False,
        "version": None,
    }


def test_write_changes_the_file_once(run: Run) -> None:
    """The second run has nothing to do and says so."""
    assert "# written\n" in run.ical("--write")[1]
    assert run.config.read_text().startswith("teams: [{id: a, calendar: support}]  # kept\n")
    assert listed(run) == ["2025-12-25", "2026-05-01", "2026-12-24"]
    before = run.config.stat().st_mtime_ns
    code, out, _ = run.ical("--write")
    assert (code, run.config.stat().st_mtime_ns) == (0, before)
    assert "# unchanged: nothing to write or to apply\n" in out


def test_without_years_it_is_this_year_and_the_next_two(run: Run) -> None:
    """2026 is now."""
    run.feed.write_text(FEED.replace("VALUE=DATE:20260501", "VALUE=DATE:20200501\r\nRRULE:FREQ=YEARLY"), newline="")
    run.ical("--write")
    assert [day for day in listed(run) if day.endswith("05-01")] == ["2026-05-01", "2027-05-01", "2028-05-01"]


# -- public holidays


def test_the_holidays_of_a_country_become_the_list(run: Run) -> None:
    """Those of a part of it too."""
    place = ["--country", "DE", "--subdivision", "BY", "--years", "2026", "--calendar", "support", "--write"]
    code, out, _ = run.command("holidays", *place, str(run.config))
    assert (code, "# + 2026-01-06 Epiphany\n" in out) == (0, True)
    assert out.startswith("# holidays 0.")
    bavaria = [
        "01-01",
        "01-06",
        "04-03",
        "04-06",
        "05-01",
        "05-14",
        "05-25",
        "06-04",
        "10-03",
        "11-01",
        "12-25",
        "12-26",
    ]
    assert listed(run) == ["2025-12-25", *(f"2026-{day}" for day in bavaria)]


def test_a_holiday_observed_in_the_year_before_is_in_that_year(run: Run) -> None:
    """New Year's Day of 2028 is a Saturday, in the United States free on the Friday."""
    run.command(
        *("holidays", "--country", "US", "--years", "2027", "--calendar", "support", "--write", str(run.config))
    )
    assert listed(run)[-1] == "2027-12-31"


@pytest.mark.parametrize(
    ("place", "code", "why"),
    [
        (["--country", "XX"], 2, '"XX" is not a country'),
        (["--country", "DE", "--subdivision", "XX"], 2, '"XX" is not one of BB, BE,'),
        (["--country", "DE", "--years", "26"], 2, "write years like"),
        (["--subdivision", "BY"], 2, "--country"),
        (["--country", "GB", "--subdivision", "ENG", "--years", "1950"], 0, ""),
    ],
)
def test_a_place_must_be_known(run: Run, place: list[str], code: int, why: str) -> None:
    """To the package."""
    ended, _, err = run.command("holidays", *place, "--calendar", "support", str(run.config))
    assert (ended, why in err) == (code, True)


# -- arguments and documents


@pytest.mark.parametrize("content", ["", "two\nlines", "tökén"])
def test_a_token_is_one_plain_word(run: Run, content: str) -> None:
    """Anything else is another file."""
    run.token.write_text(content)
    code, out, err = run.apply("127.0.0.1:1")
    assert (code, out, err) == (2, "", f"{run.token}: holds no token\n")


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--apply", "127.0.0.1:1"], "--apply and --token-file go together"),
        (["--token-file", "token"], "--apply and --token-file go together"),
        (["--apply", "127.0.0.1:1", "--token-file", "absent"], "absent: No such file"),
        (["--calendar", "other"], '0 of them are "other", of: support'),
    ],
)
def test_wrong_arguments_end_with_2(run: Run, flags: list[str], why: str) -> None:
    """Before anything is read from elsewhere."""
    run.feed.unlink()
    code, out, err = run.ical(*flags)
    assert (code, out, why in err) == (2, "", True)


def test_a_calendar_that_would_never_open_is_not_written(run: Run) -> None:
    """Closed on every day of two years."""
    run.feed.write_text(FEED.replace("VALUE=DATE:20260501", "VALUE=DATE:20260101\r\nRRULE:FREQ=DAILY"), newline="")
    code, out, err = run.ical("--write")
    assert (code, out, run.config.read_text()) == (2, "", CONFIG)
    assert err.startswith("calendars[0]: has no open time")


def test_the_process_ends_with_the_code(run: Run) -> None:
    """As started from a shell."""
    for feed, code in ((FEED, 0), ("nothing", 1)):
        run.feed.write_text(feed)
        command = [sys.executable, "-m", "trunkline_sla.import_calendar", "ical", str(run.feed), str(run.config)]
        ended = subprocess.run([*command, "--calendar", "support", "--years", "2026"], capture_output=True, text=True)
        assert (ended.returncode, ended.stderr[:10]) == (code, "feed.ics: "[: 10 * code])


# -- only here


def imports(module: Path) -> set[str]:
    """What a module imports, `from a import b` as a and a.b."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_nothing_that_runs_asks_a_feed() -> None:
    """Each package of the import has one home, and no other module knows the import."""
    modules = [file for root in ("services", "libs") for file in Path(root).glob("*/src/**/*.py")]
    known = {file.stem: imports(file) for file in modules}
    for package, home in (("holidays", "holidays"), ("icalendar", "ical"), ("recurring_ical_events", "ical")):
        assert [m for m, names in known.items() if package in {n.split(".")[0] for n in names}] == [f"import_{home}"]
    users = {m for m, names in known.items() if any(n.startswith("trunkline_sla.import_") for n in names)}
    assert users
    assert all(m.startswith("import_") for m in users)


# -- putting it in force


class Config(ConfigServiceServicer):
    """ConfigService that keeps what it is sent."""

    def __init__(self) -> None:
        self.given: list[tuple[str, str]] = []
        self.refusal: Refused | None = None
        self.target = ""

    def ApplyConfig(self, request: ApplyConfigRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """The version is the number of documents."""
        if self.refusal is not None:
            context.abort_with_status(rpc_status.to_status(to_status(self.refusal)))
        metadata = {k: v for k, v in context.invocation_metadata() if isinstance(v, str)}
        self.given.append((metadata["authorization"], request.yaml))
        return ApplyConfigResponse(version=len(self.given))

    def GetConfig(self, _request: GetConfigRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Nobody asks."""
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no configuration")


@contextmanager
def serving() -> Iterator[Config]:
    """A running ConfigService."""
    config = Config()
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        add_ConfigServiceServicer_to_server(config, server)
        config.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield config
        finally:
            server.stop(None).wait()


def test_apply_sends_the_whole_document_and_then_writes_it(run: Run) -> None:
    """An unchanged list is not sent: no version for nothing."""
    with serving() as config:
        code, out, _ = run.apply(config.target)
        assert (code, config.given) == (0, [("Bearer a-token", run.config.read_text())])
        assert "# in force as version 1, written\n" in out
        code, out, _ = run.apply(config.target)
    assert (code, len(config.given)) == (0, 1)
    assert "# unchanged" in out
    assert listed(run) == ["2025-12-25", "2026-05-01", "2026-12-24"]


def test_json_has_the_version(run: Run) -> None:
    """For programs."""
    with serving() as config:
        report = json.loads(run.apply(config.target, "--json")[1])
    assert (report["version"], report["written"]) == (1, True)


def test_a_failing_feed_sends_nothing(run: Run) -> None:
    """The last good version stays in force."""
    run.feed.write_text("nothing")
    with serving() as config:
        code, out, err = run.apply(config.target)
    assert (code, out, config.given) == (1, "", [])
    assert err.startswith("feed.ics: not iCal: ")
    assert err.endswith("\nnothing is changed\n")


INVALID = Refused("INVALID_ARGUMENT", "INVALID_CONFIG", "refused", violations=[Violation("teams[0].id", "is taken")])
FORBIDDEN = Refused("PERMISSION_DENIED", "ROLE_FORBIDDEN", "role agent may not call it")
BROKEN = Refused("INTERNAL", "INTERNAL", "an internal error")


@pytest.mark.parametrize(
    ("refusal", "code", "why"),
    [
        (INVALID, 2, "teams[0].id: is taken"),
        (FORBIDDEN, 2, "PERMISSION_DENIED"),
        (BROKEN, 1, "INTERNAL"),
    ],
)
def test_a_document_that_is_not_put_in_force_is_not_written(run: Run, refusal: Refused, code: int, why: str) -> None:
    """Written first, the next run would find it unchanged and never send it."""
    with serving() as config:
        config.refusal = refusal
        ended, out, err = run.apply(config.target)
        assert (ended, out, run.config.read_text(), why in err) == (code, "", CONFIG, True)
        config.refusal = None
        assert run.apply(config.target)[0] == 0


def test_a_router_that_is_not_there_changes_nothing(run: Run) -> None:
    """As a feed that is not."""
    with serving() as config:
        target = config.target
    code, out, err = run.apply(target)
    assert (code, out, run.config.read_text()) == (1, "", CONFIG)
    assert f"{target} does not answer (UNAVAILABLE)" in err
    assert "a-token" not in err


def test_a_file_somebody_changed_meanwhile_is_not_sent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The import was made from what it was before."""
    change = import_document.change

    def slowly(*arguments: Any) -> Any:
        found = change(*arguments)
        run.config.write_text("teams: []\n")
        return found

    monkeypatch.setattr(import_document, "change", slowly)
    with serving() as config:
        code, _, err = run.apply(config.target)
    assert (code, config.given, run.config.read_text()) == (2, [], "teams: []\n")
    assert "changed by somebody else" in err


def test_a_write_that_fails_after_it_is_in_force_names_the_version(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file and the router say different things now."""

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with serving() as config:
        code, _, err = run.apply(config.target)
    assert (code, err.startswith("in force as version 1, but ")) == (2, True)


@pytest.mark.stack
async def test_the_router_takes_the_document(run: Run, services: Services) -> None:
    """A new version with the new list; the same list again makes none."""
    tenant = f"t-{new_id()[:8]}"
    await services.start("router")
    assert await apply_config(services, tenant, CONFIG) == 1
    run.token.write_text(services.keys.mint("admin", tenant, "cron", timedelta(hours=1)))
    target = services.address("router")
    flags = ["--calendar", "support", "--years", "2026", "--apply", target, "--token-file", str(run.token), "--json"]
    for changed in (True, False):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "trunkline_sla.import_calendar", "ical", str(run.feed), str(run.config), *flags),
            stdout=asyncio.subprocess.PIPE,
        )
        report = json.loads((await process.communicate())[0])
        assert (process.returncode, report["changed"], report["version"]) == (0, changed, 2 if changed else None)
    async with grpc.aio.insecure_channel(target) as channel:
        stub: Any = ConfigServiceStub(channel)
        metadata = token_metadata(services.keys, "admin", tenant, "root")
        config = (await stub.GetConfig(GetConfigRequest(), metadata=metadata, timeout=10)).config
    assert (config.version, listed(run)[-1]) == (2, "2026-12-24")
    assert "2026-12-24" in str(config.calendars)
