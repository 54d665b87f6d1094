"""What insights needs to know at its start."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from trunkline_common.settings import GrpcSettings


class Settings(GrpcSettings):
    """As every gRPC service, but without PostgreSQL and without page tokens: both may be left unset."""

    database_url: str = Field("", alias="DATABASE_URL", description="Not used")
    page_key_file: Path = Field(Path(), alias="TRUNKLINE_PAGE_KEY_FILE", description="Not used")
