"""Time zones from the pinned package tzdata, never from the machine: a calendar means the same everywhere."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from importlib.resources import files
from io import BytesIO
from zoneinfo import ZoneInfo


class UnknownZone(ValueError):
    """No zone of this name in the zone data."""

    def __init__(self, name: str) -> None:
        super().__init__(f'"{name}" is not a zone of tzdata {tzdata_version()}')
        self.name = name


@cache
def tzdata_version() -> str:
    """The release the zones come from, part of what a calendar means."""
    return version("tzdata")


@cache
def names() -> frozenset[str]:
    """Every zone there is. A name outside this list is never made into a path."""
    return frozenset((files("tzdata") / "zones").read_text(encoding="utf-8").split())


@cache
def zone(name: str) -> ZoneInfo:
    """The zone of that exact name. Raises UnknownZone."""
    if name not in names():
        raise UnknownZone(name)
    return ZoneInfo.from_file(BytesIO(files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()), key=name)
