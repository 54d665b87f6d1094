"""The tenant's document with another list of holidays in one calendar, everything else byte for byte as it was."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from trunkline_common import calendar_document
from trunkline_common.calendar_document import CalendarModel
from trunkline_common.errors import Violation

from trunkline_sla.import_days import InvalidImport, Years

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """The document afterwards, its calendar, and which dates that calendar gained, lost and kept."""

    text: str
    calendar: Entry
    added: Sequence[date]
    removed: Sequence[date]
    kept: Sequence[date]

    @property
    def is_none(self) -> bool:
        """The list says the same as before."""
        return not self.added and not self.removed


@dataclass(frozen=True, slots=True)
class Document:
    """A tenant's document and one of its calendars."""

    text: str
    whole: Mapping[str, Any]
    place: int
    holidays: frozenset[date]

    @property
    def entry(self) -> Entry:
        """The calendar as it is written."""
        found: Entry = self.whole["calendars"][self.place]
        return found


def load(text: str, calendar: str) -> Document:
    """The document, with that calendar well-formed. Raises InvalidImport."""
    whole = _loaded(text)
    entries = whole.get("calendars") if isinstance(whole, dict) else None
    entries = entries if isinstance(entries, list) else []
    places = [i for i, entry in enumerate(entries) if isinstance(entry, dict) and entry.get("id") == calendar]
    if len(places) != 1:
        ids = ", ".join(str(e.get("id")) for e in entries if isinstance(e, dict)) or "none"
        raise InvalidImport(f'calendars: {len(places)} of them are "{calendar}", of: {ids}')
    return Document(text, whole, places[0], frozenset(_model(entries[places[0]], places[0]).holidays))


def change(document: Document, days: Mapping[date, str], years: Years, at: datetime) -> Change:
    """What the found dates make of it: they are the list of those years, dates of other years stay.

    Raises InvalidImport where it would not open in the year after `at`, or cannot be changed in place.
    """
    before, after = document.holidays, {d for d in document.holidays if d not in years} | days.keys()
    listed = [day.isoformat() for day in sorted(after)]
    entry = {**document.entry, "holidays": listed}
    if problem := calendar_document.never_open(_model(entry, document.place).rules(), at):
        raise InvalidImport(f"calendars[{document.place}]: {problem}")
    text = document.text if before == after else _replaced(document, entry)
    return Change(text, entry, sorted(after - before), sorted(before - after), sorted(after & before))


def _loaded(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidImport(f"the document is not YAML: {error}") from error


def _model(entry: Entry, place: int) -> CalendarModel:
    try:
        return CalendarModel.model_validate({name: value for name, value in entry.items() if name != "id"})
    except ValidationError as error:
        wrong = calendar_document.violations(error, "")
        raise InvalidImport("\n".join(_line(v, place) for v in wrong)) from error


def _line(violation: Violation, place: int) -> str:
    path = f"calendars[{place}].{violation.field}".removesuffix(".")
    return f"{path}: {violation.description}"


# -- the text


def _replaced(document: Document, entry: Entry) -> str:
    """The text with the new list. Read again it must say what is meant and nothing else."""
    text = _patched(document.text, document.place, entry["holidays"])
    calendars = list(document.whole["calendars"])
    calendars[document.place] = entry
    if text is None or not _says(text, {**document.whole, "calendars": calendars}):
        raise InvalidImport(
            f"calendars[{document.place}]: cannot be changed in place (an alias, an anchor, a merge or a key twice);"
            " write the calendar and its `holidays` out"
        )
    return text


def _says(text: str, meant: Mapping[str, Any]) -> bool:
    try:
        return bool(_loaded(text) == meant)
    except InvalidImport:
        return False


def _patched(text: str, place: int, days: Sequence[str]) -> str | None:
    calendars = _value(yaml.compose(text, Loader=yaml.SafeLoader), "calendars")
    calendar = calendars[1].value[place] if calendars else None
    name = _value(calendar, "id")
    if calendar is None or name is None:
        return None
    found = _value(calendar, "holidays")
    if calendar.flow_style:
        start, end, new = _in_flow(name, found, days)
    elif found is None:
        start = end = _line_end(text, name[1].end_mark.index)
        new = f"\n{_block(name[0].start_mark.column, days)}"
    elif found[1].flow_style:
        start, end, new = found[1].start_mark.index, found[1].end_mark.index, json.dumps(list(days))
    else:
        # Up to its last item: the node's own end is behind the blank lines and comments that follow.
        start, end = found[0].start_mark.index, _line_end(text, found[1].value[-1].end_mark.index)
        new = _block(found[0].start_mark.column, days).lstrip()
    return text[:start] + (new.replace("\n", "\r\n") if "\r\n" in text else new) + text[end:]


def _in_flow(name: tuple[Any, Any], found: tuple[Any, Any] | None, days: Sequence[str]) -> tuple[int, int, str]:
    """Inside braces: quoted as in JSON, for the document may be that."""
    new = f'"holidays": {json.dumps(list(days))}'
    if found is None:
        end = name[1].end_mark.index
        return end, end, f", {new}"
    return found[0].start_mark.index, found[1].end_mark.index, new


def _block(column: int, days: Sequence[str]) -> str:
    pad = " " * column
    return "\n".join([f"{pad}holidays:", *(f'{pad}  - "{day}"' for day in days)])


def _value(node: Any, name: str) -> tuple[Any, Any] | None:
    """The key and the value of a mapping; of a key twice the last, as a reader of YAML takes it."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next(((k, v) for k, v in reversed(pairs) if k.value == name), None)


def _line_end(text: str, index: int) -> int:
    end = text.find("\n", index)
    end = len(text) if end < 0 else end
    return end - 1 if end and text[end - 1] == "\r" else end


# -- the file


def read_file(path: Path) -> str:
    """The text as it is, line ends included. Raises InvalidImport."""
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidImport(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error


def must_be(path: Path, before: str) -> None:
    """Raises InvalidImport when somebody else changed the file since it was read."""
    if read_file(path) != before:
        raise InvalidImport(f"{path}: was changed by somebody else meanwhile; not written")


def write_file(path: Path, before: str, after: str) -> None:
    """Whole or not at all, and only over what was read. Raises InvalidImport."""
    must_be(path, before)
    try:
        _swap(path.resolve(), after)
    except OSError as error:
        raise InvalidImport(f"{path}: cannot be written: {error.strerror}") from error


def _swap(target: Path, text: str) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        scratch = Path(folder) / target.name
        with scratch.open("wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(target, scratch)
        scratch.replace(target)
