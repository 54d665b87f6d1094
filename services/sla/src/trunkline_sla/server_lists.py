"""SlaService: clocks, breaches, what is at risk, what would be due, reports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from trunkline.sla.v1 import sla_service_pb2 as pb
from trunkline_common import pages
from trunkline_common.auth import caller
from trunkline_common.calendar_zones import UnknownZone
from trunkline_common.errors import Refused, Violation, invalid_request

from trunkline_sla import queries, report, wire_api
from trunkline_sla.preview import preview
from trunkline_sla.promises import Situation
from trunkline_sla.report import Grouping
from trunkline_sla.server_calls import Calls, bound

#: No deadline is further away (10.5).
FURTHEST = timedelta(days=3653)
MAX_ROWS, MAX_TEAMS = 10_000, 100


class ListCalls(Calls):
    """Handlers."""

    async def GetClocks(self, request: pb.GetClocksRequest, context: object) -> pb.GetClocksResponse:  # noqa: ARG002, N802
        """Every clock of a conversation, oldest cycle first."""
        found = await queries.clocks_of(self._from.pool, caller().tenant, request.conversation_id)
        now = self._from.now()
        return pb.GetClocksResponse(clocks=[self._shown(clock, now) for clock in found])

    async def ListBreaches(self, request: pb.ListBreachesRequest, context: object) -> pb.ListBreachesResponse:  # noqa: ARG002, N802
        """Breaches, newest first."""
        start, end = wire_api.period(request)
        asked = queries.BreachFilter(
            request.team, wire_api.metric_name(request.metric), request.channel, request.policy_id, start, end
        )
        size, mine = pages.page_size(request.page_size), bound("ListBreaches", request)
        place = self._place(request.page_token, mine)
        found = await queries.breaches(self._from.pool, caller().tenant, asked, place, size + 1)
        ends = [(breach.breached_at, breach.clock_id) for breach in found]
        return pb.ListBreachesResponse(
            breaches=map(wire_api.to_breach, found[:size]), next_page_token=self._next(ends, size, mine)
        )

    async def ListAtRisk(self, request: pb.ListAtRiskRequest, context: object) -> pb.ListAtRiskResponse:  # noqa: ARG002, N802
        """Clocks that run and are not breached, the one that is due first at the head."""
        now = self._from.now()
        metric, by = wire_api.metric_name(request.metric), _due_by(request.within_s, now)
        asked = queries.RiskFilter(request.team, metric, request.channel, by)
        size, mine = pages.page_size(request.page_size), bound("ListAtRisk", request)
        place = self._place(request.page_token, mine)
        found = await queries.at_risk(self._from.pool, caller().tenant, asked, place, size + 1)
        ends = [(clock.due_at, clock.clock_id) for clock in found if clock.due_at]
        return pb.ListAtRiskResponse(
            clocks=[self._shown(clock, now) for clock in found[:size]], next_page_token=self._next(ends, size, mine)
        )

    def _next(self, ends: Sequence[tuple[datetime, str]], size: int, mine: tuple[str, ...]) -> str:
        """The token for what comes after a full page; `ends` are the places of the page and of one more."""
        if len(ends) <= size:
            return ""
        at, clock_id = ends[size - 1]
        return self._from.tokens.seal([at.isoformat(), clock_id], *mine)

    async def PreviewDue(self, request: pb.PreviewDueRequest, context: object) -> pb.PreviewDueResponse:  # noqa: ARG002, N802
        """What would be due if a customer wrote then."""
        config = self._from.tenants.get(caller().tenant)
        if config is None:
            raise _not_configured()
        _check_teams(request.teams, {team.id for team in config.teams})
        at, promises = wire_api.instant(request, "at") or self._from.now(), self._promises(config.version)
        priority, tags, attributes = request.priority or "normal", frozenset(request.tags), dict(request.attributes)
        situations = [Situation(team, request.channel, priority, tags, attributes) for team in request.teams]
        dues = [due for found in situations for due in preview(promises, found, at)]
        return pb.PreviewDueResponse(dues=map(wire_api.to_due, dues))

    async def GetReport(self, request: pb.GetReportRequest, context: object) -> pb.GetReportResponse:  # noqa: ARG002, N802
        """Met and missed in a period, with the definition of every number."""
        start, end = _report_period(request)
        asked = queries.ReportFilter(start, end, request.team, request.channel, request.policy_id)
        days, by = _days(start, end, request.timezone), _grouping(request.group_by)
        rows = await queries.report(self._from.pool, caller().tenant, asked, by, days, MAX_ROWS + 1)
        if len(rows) > MAX_ROWS:
            raise invalid_request(Violation("group_by", f"makes more than {MAX_ROWS} rows; ask for less at once"))
        rows.sort(key=lambda row: wire_api.METRICS[row.metric])  # stable: the rest stays in order
        return pb.GetReportResponse(rows=map(wire_api.to_row, rows), definitions=report.DEFINITIONS)


def _due_by(within_s: int, now: datetime) -> datetime | None:
    if within_s < 0:
        raise invalid_request(Violation("within_s", "must not be negative"))
    return now + min(timedelta(seconds=within_s), FURTHEST) if within_s else None


def _check_teams(asked: Sequence[str], known: set[str]) -> None:
    problems = [
        Violation(f"teams[{i}]", f"there is no team {team}") for i, team in enumerate(asked) if team not in known
    ]
    if len(asked) > MAX_TEAMS:
        problems.append(Violation("teams", f"names more than {MAX_TEAMS}"))
    if problems:
        raise invalid_request(*problems)


def _not_configured() -> Refused:
    tenant = caller().tenant
    return Refused(
        "FAILED_PRECONDITION",
        "TENANT_NOT_CONFIGURED",
        f"tenant {tenant} has no configuration; apply one with ConfigService.ApplyConfig",
        metadata={"tenant": tenant},
    )


def _report_period(request: pb.GetReportRequest) -> tuple[datetime, datetime]:
    start, end = wire_api.period(request)
    if start is None or end is None:
        raise invalid_request(*(Violation(name, "is required") for name in ("from", "to")))
    if end - start > report.LONGEST:
        raise invalid_request(Violation("to", f"is more than {report.LONGEST.days} days after from"))
    return start, end


def _days(start: datetime, end: datetime, zone: str) -> list[Any]:
    try:
        return report.days(start, end, zone or "UTC")
    except UnknownZone as error:
        raise invalid_request(Violation("timezone", str(error))) from error
    except OverflowError as error:
        raise invalid_request(Violation("from", "is too far away")) from error


def _grouping(asked: Sequence[int]) -> Grouping:
    known: dict[int, str] = {number: name for name, number in pb.ReportGroup.items() if number}
    if wrong := [i for i, number in enumerate(asked) if number not in known]:
        raise invalid_request(*(Violation(f"group_by[{i}]", "is nothing to group by") for i in wrong))
    if any(a == b for a, b in pairwise(sorted(asked))):
        raise invalid_request(Violation("group_by", "names one twice"))
    names = {known[number].removeprefix("REPORT_GROUP_").lower() for number in asked}
    return Grouping(**dict.fromkeys(names, True))
