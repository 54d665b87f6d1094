"""`.run/env`: where the stack that runs is, in lines KEY=value."""

from collections.abc import Mapping
from pathlib import Path

from deploy.local.services import Services
from deploy.local.stack import DEFAULT_FOLDER, Stack


def addresses(stack: Stack, services: Services) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap,
        "DATABASE_URL": stack.database_url,
        "INGEST_HTTP": f"http://{services.address('ingest', 'http')}",
        "INGEST_SMTP": services.address("ingest", "smtp"),
        **{
            f"{name.upper()}_GRPC": services.address(name)
            for name in ("ingest", "router", "timeline", "sla", "insights")
        },
    }


def write(env: Mapping[str, str], folder: Path = DEFAULT_FOLDER) -> Path:
    file = folder / "env"
    file.touch(mode=0o600)  # the database's password is in it
    file.write_text("".join(f"{name}={value}\n" for name, value in env.items()))
    return file


def read(folder: Path = DEFAULT_FOLDER) -> dict[str, str]:
    """Empty where nothing runs."""
    file = folder / "env"
    if not file.exists():
        return {}
    return dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
