"""What of a document is well-formed, so that all of its errors can be told in one answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from trunkline_common.calendar_document import path
from trunkline_common.errors import Violation

from trunkline_router import config_models as models
from trunkline_router.routing import PRIORITIES

LISTS: Mapping[str, type[BaseModel]] = {
    "pools": models.PoolModel,
    "teams": models.TeamModel,
    "agents": models.AgentModel,
    "accounts": models.AccountModel,
    "skills": models.SkillModel,
    "channel_classes": models.ChannelClassModel,
    "policies": models.PolicyModel,
    "calendars": models.NamedCalendarModel,
    "texts": models.TextModel,
    "sla_policies": models.SlaPolicyModel,
    "sources": models.SourceModel,
}
Items = list[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Parts:
    """The well-formed items of a document by list, each with its path, and every id that is written in a list."""

    items: Mapping[str, Items]
    #: In the order written, "" where there is none. None: any may be meant, as the list is absent or cannot be read.
    ids: Mapping[str, list[str] | None]
    #: The pool of each team, well-formed or not.
    pools: Mapping[str, str]
    limits: models.LimitsModel
    #: The names of the priorities. None: any may be meant.
    priorities: frozenset[str] | None
    #: The tenant's own, "" where none is named.
    calendar: str

    def known(self, name: str) -> frozenset[str] | None:
        """The ids that may be named; None: any."""
        ids = self.ids[name]
        return None if ids is None else frozenset(ids)

    def whole(self, name: str) -> bool:
        """Whether every item of a list is well-formed."""
        ids = self.ids[name]
        return ids is not None and len(ids) == len(self.items[name])

    def pools_of(self, teams: Iterable[str]) -> set[str]:
        """The pools of those of the teams that exist."""
        return {self.pools[t] for t in teams if t in self.pools}


def read(raw: Any) -> tuple[models.Document | None, Parts | None, list[Violation]]:
    """The document, if it is well-formed; what of it is (None: nothing); and what is not."""
    try:
        document = models.Document.model_validate(raw)
    except ValidationError as error:
        wrong = {e["loc"][:2] for e in error.errors(include_url=False)}
        return None, _parts(raw, None, wrong) if isinstance(raw, dict) else None, list(read_violations(error))
    return document, _parts(raw, document, set()), []


def read_violations(error: ValidationError) -> Iterator[Violation]:
    """Each wrong field with its path, like teams[0].id."""
    for e in error.errors(include_url=False):
        place = tuple(part for part in e["loc"] if part != "[key]")
        yield Violation(path(place) or "document", e["msg"].removeprefix("Value error, "))


def _parts(raw: Mapping[str, Any], document: models.Document | None, wrong: set[tuple[int | str, ...]]) -> Parts:
    raw = {"pools": [{"id": "default"}], **raw}
    readable = {name: raw.get(name) or [] for name in LISTS if (name,) not in wrong}
    if raw.get("skills") is None:  # then every skill is one
        readable.pop("skills", None)
    items: dict[str, Items] = {name: [] for name in LISTS}
    for name, written in readable.items():
        for i, item in enumerate(written):
            if (name, i) not in wrong:
                found = getattr(document, name)[i] if document else LISTS[name].model_validate(item)
                items[name].append((f"{name}[{i}]", found))
    limits = {} if any(place[0] == "limits" for place in wrong if place) else raw.get("limits", {})
    return Parts(
        items,
        {name: [_text(item, "id") for item in readable[name]] if name in readable else None for name in LISTS},
        {_text(t, "id"): _text(t, "pool", "default") for t in readable.get("teams", ())},
        models.LimitsModel.model_validate(limits),
        _priorities(raw, wrong),
        _text(raw, "calendar"),
    )


def _priorities(raw: Mapping[str, Any], wrong: set[tuple[int | str, ...]]) -> frozenset[str] | None:
    if any(place[0] == "priorities" for place in wrong if place):
        return None
    return frozenset(dict(raw.get("priorities", PRIORITIES)))


def _text(item: Any, name: str, default: str = "") -> str:
    found = item.get(name, default) if isinstance(item, dict) else ""
    return found if isinstance(found, str) else ""
