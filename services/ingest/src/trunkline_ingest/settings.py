"""The settings of the ingest process."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from trunkline_common.settings import GrpcSettings


class IngestSettings(GrpcSettings):
    """Stateless and without lists: no PostgreSQL, no page tokens."""

    database_url: str = Field("", alias="DATABASE_URL", description="Not used by this process")
    page_key_file: Path = Field(Path(), alias="TRUNKLINE_PAGE_KEY_FILE", description="Not used by this process")
    http_listen: str = Field("127.0.0.1:8080", alias="TRUNKLINE_HTTP_LISTEN", description="Address of the webhooks")
    smtp_listen: str = Field("127.0.0.1:8025", alias="TRUNKLINE_SMTP_LISTEN", description="Address of the mailbox")
    secrets_dir: Path = Field(
        alias="TRUNKLINE_SECRETS_DIR", description="Folder of <tenant>/<name>, the files that accounts name"
    )
