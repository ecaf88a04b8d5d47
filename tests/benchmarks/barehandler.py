"""What a gateway is set against: a handler of aiohttp that writes what it is sent to Kafka.

It knows nobody, reads nothing and limits nothing. What it has with the gateway in common is what
the acknowledgement is worth: every replica in step has the message (acks=all).
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator

import uvloop
from aiohttp import web
from aiokafka import AIOKafkaProducer

_BATCH_BYTES = 256 << 10


def application(kafka: str, topic: str) -> web.Application:
    """Give the application: POST anything to any path."""
    producers: list[AIOKafkaProducer] = []

    async def producing(_: web.Application) -> AsyncIterator[None]:
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka, acks="all", max_batch_size=_BATCH_BYTES
        )
        await producer.start()
        producers.append(producer)
        yield
        await producer.stop()

    async def take(request: web.Request) -> web.Response:
        value = await request.read() or request.query_string.encode()
        key = request.headers.get("X-Geomon-Device") or request.query["id"]
        await producers[0].send_and_wait(topic, value, key=key.encode())
        return web.Response()

    bare = web.Application()
    bare.cleanup_ctx.append(producing)
    bare.router.add_post("/{path:.*}", take)
    return bare


async def _serve(options: argparse.Namespace) -> None:
    runner = web.AppRunner(application(options.kafka, options.topic), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1_024).start()
    host, port = runner.addresses[0][:2]
    print(f"{host}:{port}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--topic", required=True)
    options = parser.parse_args()
    uvloop.install()
    asyncio.run(_serve(options))


if __name__ == "__main__":
    main()
