"""What the figures were measured on, as far as it can change them."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil


def facts() -> dict[str, Any]:
    """Taken before anything is started: the load at that moment is others'."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "memory_mb": round(psutil.virtual_memory().total / 2**20),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "load_average_at_start": [round(load, 2) for load in os.getloadavg()],
    }


def describe(found: dict[str, Any]) -> str:
    """One line for the table's head."""
    one, five, _ = found["load_average_at_start"]
    busy = one > 0.5 * (found["cores"] or 1)
    note = "; others used the machine: the figures are provisional" if busy else ""
    return (
        f"{found['cores']} cores ({found['cpu']}), {found['memory_mb']:,} MB, Python {found['python']}, "
        f"kernel {found['kernel']}, load at the start {one} (1 min) {five} (5 min){note}"
    )


def _cpu() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")
