"""Settings: from the environment only, one frozen object per process, read once; a bad variable stops the start."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class CommonSettings(BaseSettings):
    """What every process needs. The field's alias is the variable's name."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    kafka: str = Field(alias="KAFKA_BOOTSTRAP_SERVERS", description="Kafka brokers, host:port, comma separated")
    database_url: str = Field(alias="DATABASE_URL", description="PostgreSQL, postgresql://user@host:port/name")
    log_level: str = Field("INFO", alias="TRUNKLINE_LOG_LEVEL", description="DEBUG, INFO, WARNING or ERROR")
    otlp_endpoint: str = Field("", alias="OTEL_EXPORTER_OTLP_ENDPOINT", description="OTLP gRPC receiver; empty: none")
    sample_ratio: float = Field(
        1.0, alias="TRUNKLINE_TRACE_RATIO", ge=0, le=1, description="Share of traces begun here"
    )
    instance: str = Field("", alias="TRUNKLINE_INSTANCE", description="Stable name of this replica: static membership")
    session_timeout_ms: int = Field(
        30_000,
        alias="TRUNKLINE_SESSION_TIMEOUT_MS",
        ge=6000,
        description="Silence after which Kafka gives partitions away",
    )
    drain_seconds: float = Field(20.0, alias="TRUNKLINE_DRAIN_SECONDS", gt=0, description="Budget from SIGTERM to exit")
    ready_file: Path | None = Field(None, alias="TRUNKLINE_READY_FILE", description="Touched when the process is ready")


class GrpcSettings(CommonSettings):
    """What a process with a gRPC server needs besides."""

    grpc_listen: str = Field("127.0.0.1:0", alias="TRUNKLINE_GRPC_LISTEN", description="Address of the gRPC server")
    jwks: str = Field(alias="TRUNKLINE_JWKS", description="File or https URL of the key set that signs tokens")
    jwt_issuer: str = Field(alias="TRUNKLINE_JWT_ISSUER", description="iss that tokens must carry")
    jwt_audience: str = Field(alias="TRUNKLINE_JWT_AUDIENCE", description="aud that tokens must carry")
    page_key_file: Path = Field(alias="TRUNKLINE_PAGE_KEY_FILE", description="32 bytes that seal page tokens")
    service_token_file: Path | None = Field(
        None, alias="TRUNKLINE_SERVICE_TOKEN_FILE", description="Bearer token for calls to other services"
    )


S = TypeVar("S", bound=BaseSettings)


def load(cls: type[S]) -> S:
    """Read the environment; print every missing or bad variable by name and exit 2."""
    try:
        return cls()
    except ValidationError as error:
        lines = [f"  {e['loc'][0]}: {_say(e['type'], e['msg'], cls, str(e['loc'][0]))}" for e in error.errors()]
        raise SystemExit("settings refused:\n" + "\n".join(lines)) from None


def _say(kind: str, message: str, cls: type[BaseSettings], alias: str) -> str:
    if kind != "missing":
        return message
    field = next((f for f in cls.model_fields.values() if f.alias == alias), None)
    return f"not set ({field.description})" if field else "not set"
