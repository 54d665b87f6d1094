"""What a process of this service is told by its environment."""

from __future__ import annotations

from pydantic import Field
from trunkline_common.settings import GrpcSettings


class Settings(GrpcSettings):
    """The settings of trunkline_sla."""

    lateness_ms: int = Field(
        500, alias="TRUNKLINE_SLA_LATENESS_MS", ge=0, description="Time for a reply to arrive before a timer fires"
    )
    watches: int = Field(
        64, alias="TRUNKLINE_SLA_WATCHES", ge=1, description="WatchSla streams that one process holds at once"
    )
