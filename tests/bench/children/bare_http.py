"""A webhook with nothing in it: aiohttp takes the body, aiokafka writes it with acks=all, 200."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiokafka import AIOKafkaProducer

from tests.bench.children import task


async def main(asked: task.Task) -> None:
    """Serve until killed."""
    producer = AIOKafkaProducer(bootstrap_servers=task.bootstrap(), acks="all")
    await producer.start()

    async def post(request: web.Request) -> web.Response:
        body = await request.read()
        await producer.send_and_wait(asked["topic"], body, b"bench/default")
        return web.Response(text="EVENT_RECEIVED")

    app = web.Application()
    app.router.add_post("/webhooks/{channel}/{tenant}/{account}", post)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, _, port = asked["address"].rpartition(":")
    await web.TCPSite(runner, host, int(port), backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    task.run(main)
