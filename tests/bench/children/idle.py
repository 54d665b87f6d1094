"""A process that has imported what our services are made of and does nothing: the floor for their memory."""

from __future__ import annotations

from typing import Any

import aiokafka
import asyncpg
import grpc

from tests.bench.children import task


async def main(_asked: task.Task) -> dict[str, Any]:
    """Its resident size."""
    versions = {module.__name__: module.__version__ for module in (aiokafka, asyncpg, grpc)}
    return {"resident_mb": task.resident_mb(), "versions": versions}


if __name__ == "__main__":
    task.run(main)
