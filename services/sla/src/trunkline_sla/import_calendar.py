"""python -m trunkline_sla.import_calendar holidays|ical ... CONFIG.yaml: a calendar's `holidays`, from elsewhere.

Prints the calendar and what changes; --write changes the file, --apply puts it in force first. The list is only ever
made here: no service asks a feed. Exit 0; 1 when the source or the router fails; 2 for wrong arguments or documents.
Nothing is changed then.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from trunkline_common.calendar_zones import tzdata_version
from trunkline_common.clock import utc_now

from trunkline_sla import import_apply, import_document, import_fetch, import_holidays, import_ical
from trunkline_sla.import_days import Found, InvalidImport, SourceFailed, Years
from trunkline_sla.import_document import Change, Document

YEARS_AHEAD = 2


def main(arguments: Sequence[str] | None = None, at: datetime | None = None) -> int:
    """Import once; the exit code. `at` is now."""
    chosen = _arguments(arguments)
    try:
        _run(chosen, at or utc_now())
    except SourceFailed as failure:
        sys.stderr.write(f"{failure}\nnothing is changed\n")
        return 1
    except InvalidImport as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 2
    return 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trunkline_sla.import_calendar", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    country = kinds.add_parser("holidays", help="public holidays of a country")
    country.add_argument("--country", required=True, help="ISO 3166 code, like DE")
    country.add_argument("--subdivision", default="", help="like BY")
    feed = kinds.add_parser("ical", help="the all-day events of an iCal feed")
    feed.add_argument("source", help="https URL or file")
    feed.add_argument("--allow-loopback", action="store_true", help="also http and https on this machine")
    for kind in (country, feed):
        _common(kind)
    chosen = parser.parse_args(arguments)
    if (chosen.apply is None) != (chosen.token_file is None):
        parser.error("--apply and --token-file go together")
    return chosen


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="the tenant's document")
    parser.add_argument("--calendar", required=True, help="id of the calendar")
    parser.add_argument("--years", help="like 2026 or 2026-2028; this year and the next two")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--write", action="store_true", help="change the file")
    parser.add_argument("--apply", metavar="HOST:PORT", help="send the document to ConfigService, then change the file")
    parser.add_argument("--token-file", type=Path, help="an admin's token")


def _run(chosen: argparse.Namespace, at: datetime) -> None:
    years = Years.of(chosen.years or f"{at.year}-{at.year + YEARS_AHEAD}")
    token = _token(chosen.token_file) if chosen.token_file else ""
    document = import_document.load(import_document.read_file(chosen.config), chosen.calendar)
    found = _find(chosen, years)
    change = import_document.change(document, found.days, years, at)
    version, written = None, False
    if chosen.apply and not change.is_none:
        version = _applied(chosen, token, document, change)
    if (chosen.apply or chosen.write) and not change.is_none:
        _write(chosen.config, document, change, version)
        written = True
    report = _report(found, years, change, version, written=written)
    sys.stdout.write(json.dumps(report, indent=1, default=str) + "\n" if chosen.json else _text(report))


def _token(path: Path) -> str:
    token = import_document.read_file(path).strip()
    if not token or not token.isascii() or not token.isprintable():
        raise InvalidImport(f"{path}: holds no token")
    return token


def _applied(chosen: argparse.Namespace, token: str, document: Document, change: Change) -> int:
    import_document.must_be(chosen.config, document.text)
    return asyncio.run(import_apply.apply(chosen.apply, token, change.text))


def _write(path: Path, document: Document, change: Change, version: int | None) -> None:
    """After it is in force: written first, a list that could not be applied would look unchanged on the next run."""
    try:
        import_document.write_file(path, document.text, change.text)
    except InvalidImport as refusal:
        if version is None:
            raise
        raise InvalidImport(f"in force as version {version}, but {refusal}") from refusal


def _find(chosen: argparse.Namespace, years: Years) -> Found:
    if chosen.kind == "holidays":
        return import_holidays.find(chosen.country, chosen.subdivision, years)
    name = import_fetch.shown(chosen.source)
    try:
        content = import_fetch.read(chosen.source, allow_loopback=chosen.allow_loopback)
        return import_ical.find(content, name, years)
    except SourceFailed as failure:
        raise SourceFailed(f"{name}: {failure}") from failure


# -- what is said


def _report(found: Found, years: Years, change: Change, version: int | None, *, written: bool) -> dict[str, Any]:
    days = {name: getattr(change, name) for name in ("added", "removed", "kept")}
    return {
        "source": found.source,
        "years": str(years),
        "tzdata": tzdata_version(),
        "changed": not change.is_none,
        **{n: [{"date": d.isoformat(), "name": found.days.get(d, "")} for d in dates] for n, dates in days.items()},
        "ignored": {"timed": found.timed, "cancelled": found.cancelled},
        "written": written,
        "version": version,
        "calendar": change.calendar,
    }


def _text(report: dict[str, Any]) -> str:
    """YAML: the calendar, and the rest as comments above it."""
    dumped = yaml.safe_dump(
        [report["calendar"]], sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )
    return "".join(f"# {line}\n" for line in _lines(report)) + dumped


def _lines(report: dict[str, Any]) -> Iterator[str]:
    yield f"{report['source']}; {report['years']}; tzdata {report['tzdata']}"
    for sign, name in (("+", "added"), ("-", "removed")):
        yield from (f"{sign} {day['date']} {day['name']}".rstrip() for day in report[name])
    yield f"{len(report['added'])} added, {len(report['removed'])} removed, {len(report['kept'])} kept"
    timed, cancelled = report["ignored"]["timed"], report["ignored"]["cancelled"]
    if timed or cancelled:
        yield f"ignored: {timed} timed, {cancelled} cancelled"
    if not report["changed"]:
        yield "unchanged: nothing to write or to apply"
    elif report["version"] is not None:
        yield f"in force as version {report['version']}, written"
    else:
        yield "written" if report["written"] else "not written"


if __name__ == "__main__":
    sys.exit(main())
