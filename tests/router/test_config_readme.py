"""The README's table of the configuration document has every key and no other, and its example is one that is taken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from trunkline_common.calendar_document import CalendarModel, ClosureModel, OverrideModel, WeeklyModel
from trunkline_router import config
from trunkline_router.conditions import FACTS
from trunkline_router.config_models import Document, OverflowModel
from trunkline_router.templates import VARIABLES

README = Path("services/router/README.md").read_text()
SECTION = README.partition("## The configuration document")[2].partition("\n## ")[0]
CELLS = [[cell.strip() for cell in line.split("|")] for line in SECTION.splitlines() if line.startswith("| `")]
#: The default by key, as the table has it.
ROWS = {key.strip("`"): default for _, key, _, default, *_ in CELLS}
#: What the table describes in the row of the key that holds it.
VALUES = (CalendarModel, ClosureModel, OverrideModel, WeeklyModel)


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key that can be written, with its default."""
    for name, field in model.model_fields.items():
        inner = [found for found in models(field.annotation) if found not in VALUES]
        each = "[]" if "list[" in str(field.annotation) else ""
        if str(field.annotation).startswith("dict["):
            each = f".<{name.removesuffix('s')}>"
        if not inner or field.annotation == OverflowModel | None:
            yield f"{prefix}{name}", field.get_default(call_default_factory=True)
        for one in inner:
            yield from keys(one, f"{prefix}{name}{each}.")


def models(annotation: Any) -> list[type[BaseModel]]:
    """The models in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in models(part)]


KEYS = dict(keys(Document))


def test_every_key_is_in_the_table_and_no_other() -> None:
    """A key that is added, renamed or removed is so in both."""
    assert set(ROWS) == set(KEYS)


def test_the_defaults_in_the_table_are_those_in_force() -> None:
    """Where the default is a number, a word or a truth value."""
    plain = {key: value for key, value in KEYS.items() if isinstance(value, bool | int | str) and value != ""}
    told = {key: ROWS[key].split("`")[1] for key in plain}
    assert told == {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in plain.items()}


def test_the_example_is_a_document_that_is_taken() -> None:
    """Skills, steps, classes, texts and a calendar in it too."""
    example = SECTION.partition("```yaml\n")[2].partition("```")[0]
    taken = config.parse(example, "readme", datetime(2026, 3, 2, tzinfo=UTC))
    assert all((taken.skills, taken.policies[0].steps, taken.channel_classes, taken.texts, taken.calendars))


def test_every_fact_that_a_condition_may_name_is_in_the_readme() -> None:
    """And what is called a fact there is one."""
    told = SECTION.partition("Facts a condition may name:")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z_]+)`", told)) == set(FACTS)


def test_every_variable_of_a_text_is_in_the_readme() -> None:
    """And what is called a variable there is one."""
    told = SECTION.partition("Variables of a text:")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z_.<>]+)`", told)) == {*VARIABLES, "attributes.<name>"}
