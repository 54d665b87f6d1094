"""Settings of the router, from the environment."""

from __future__ import annotations

from pydantic import Field
from trunkline_common.settings import GrpcSettings


class Settings(GrpcSettings):
    """What a router process needs."""

    advertise: str = Field(alias="TRUNKLINE_ADVERTISE", description="host:port where other routers reach it")
    timeline_target: str = Field(alias="TRUNKLINE_TIMELINE_TARGET", description="TimelineService, host:port")
    sla_target: str = Field(
        "",
        alias="TRUNKLINE_SLA_TARGET",
        description="SlaService, host:port, asked when answers are due; empty: not asked",
    )
    remember_days: int = Field(
        14, alias="TRUNKLINE_REMEMBER_DAYS", ge=1, description="How long event ids and answers by request_id are kept"
    )
    simulation_share: float = Field(
        0.05,
        alias="TRUNKLINE_SIMULATION_SHARE",
        gt=0,
        le=1,
        description="How much of a core a simulation takes; it shares caches and memory with the engine",
    )
