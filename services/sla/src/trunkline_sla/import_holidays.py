"""Public holidays of a country, from the package holidays. The home of that package."""

from __future__ import annotations

from importlib.metadata import version

import holidays

from trunkline_sla.import_days import Found, InvalidImport, SourceFailed, Years, plain

VERSION = version("holidays")


def find(country: str, subdivision: str, years: Years) -> Found:
    """The public holidays, and the days they are observed on. Raises InvalidImport for an unknown place."""
    _check(country, subdivision)
    days = holidays.country_holidays(country, subdiv=subdivision or None, years=range(years.first, years.last + 1))
    place = f"{country}-{subdivision}" if subdivision else country
    named = {day: plain(name) for day, name in days.items()}
    if not named:
        raise SourceFailed(f"holidays {VERSION} knows none of {place} in {years}")
    return Found(f"holidays {VERSION}, {place}", named)


def _check(country: str, subdivision: str) -> None:
    known = holidays.list_supported_countries()
    if country not in known:
        raise InvalidImport(f'--country: "{country}" is not a country of holidays {VERSION}')
    if subdivision and subdivision not in known[country]:
        raise InvalidImport(f'--subdivision: "{subdivision}" is not one of {", ".join(known[country]) or "none"}')
