"""A command with nothing in it: grpc.aio takes the request, one INSERT, COMMIT, answer."""

from __future__ import annotations

from typing import Any

import asyncpg
import grpc
from trunkline.router.v1 import router_service_pb2 as api
from trunkline.router.v1.router_service_pb2_grpc import (
    RouterServiceServicer,
    add_RouterServiceServicer_to_server,
)

from tests.bench.children import task


class Notes(RouterServiceServicer):
    """AddNote alone."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def AddNote(self, request: api.AddNoteRequest, _context: Any) -> api.AddNoteResponse:  # noqa: N802
        """Durable before it is answered."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "insert into bench_note values ($1, $2, $3)",
                request.request_id,
                request.conversation_id,
                request.text,
            )
        return api.AddNoteResponse(note_id=request.request_id)


async def main(asked: task.Task) -> None:
    """Serve until killed."""
    pool = await asyncpg.create_pool(task.database_url(), min_size=1, max_size=16)
    await pool.execute("create table if not exists bench_note (id text primary key, conversation text, content text)")
    server = grpc.aio.server()
    add_RouterServiceServicer_to_server(Notes(pool), server)
    server.add_insecure_port(asked["address"])
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    task.run(main)
