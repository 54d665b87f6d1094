"""What a process of this service is told by its environment."""

from __future__ import annotations

from pydantic import Field
from trunkline_common.settings import GrpcSettings


class Settings(GrpcSettings):
    """The settings of trunkline_timeline."""

    sla_target: str = Field(
        "", alias="TRUNKLINE_SLA_TARGET", description="gRPC address of the sla service; empty: briefs have no clocks"
    )
