"""A command with nothing in it: grpc.aio takes the request, one INSERT, COMMIT, answer."""

from __future__ import annotations

from typing import Any

import asyncpg
import grpc
from trunkline.router.v1 import router_service_pb2 as api

from tests.bench.children import task

INSERT = "insert into bench_note values ($1, $2, $3)"


def handlers(pool: Any) -> grpc.GenericRpcHandler:
    """AddNote alone."""

    async def add_note(request: api.AddNoteRequest, _context: Any) -> api.AddNoteResponse:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(INSERT, request.request_id, request.conversation_id, request.text)
        return api.AddNoteResponse(note_id=request.request_id)

    method = grpc.unary_unary_rpc_method_handler(
        add_note, api.AddNoteRequest.FromString, api.AddNoteResponse.SerializeToString
    )
    return grpc.method_handlers_generic_handler("trunkline.router.v1.RouterService", {"AddNote": method})


async def main(asked: task.Task) -> None:
    """Serve until killed."""
    pool = await asyncpg.create_pool(task.database_url(), min_size=1, max_size=16)
    await pool.execute("create table if not exists bench_note (id text primary key, conversation text, content text)")
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers(pool),))
    server.add_insecure_port(asked["address"])
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    task.run(main)
