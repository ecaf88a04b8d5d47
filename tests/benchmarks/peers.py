"""Other programs that take the same messages from the same topic, each in a process of its own.

    python tests/benchmarks/peers.py NAME --kafka HOST:PORT --group NAME [...]

bare        an aiokafka consumer that only counts: what the client library can do at most
faust-for   a plain Faust agent that only counts, raw values, `async for`, as Faust comes
faust-take  the same with `take` and a larger buffer, the better way of writing it
naive       what one would write otherwise: a Faust agent, JSON, one `shapely.contains` with the
            prepared city a ping, and a table write a ping; who leaves is told by Redis PUBLISH
tile38      a consumer that sends every ping to a Tile38 server with the city as a fence (SETCHAN)

Each writes a line of JSON twenty times a second: the time of day, and how many messages it did.
It goes on until it is ended.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import faust
import msgspec
import redis.asyncio
import shapely
import uvloop
from aiokafka import AIOKafkaConsumer
from faust.contrib.asgi import faust_app_running

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from geomon.topics import EVENTS
from geomon.zones.index import CITY, zones_for

_REPORT_S = 0.05


class Count:
    """Messages done so far, told on standard output."""

    def __init__(self) -> None:
        self.messages = 0
        self.told = 0

    async def report(self) -> None:
        """Tell it twenty times a second, for ever."""
        while True:
            self.tell()
            await asyncio.sleep(_REPORT_S)

    def tell(self) -> None:
        """Tell it now."""
        print(json.dumps({"at": time.time(), "done": self.messages, "told": self.told}), flush=True)


@asynccontextmanager
async def consuming(kafka: str, group: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Give a consumer of the events, from the beginning."""
    consumer = AIOKafkaConsumer(
        EVENTS,
        bootstrap_servers=kafka,
        group_id=group,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def bare(options: argparse.Namespace, count: Count) -> None:
    """Count what aiokafka gives."""
    async with consuming(options.kafka, options.group) as consumer:
        while True:
            batches = await consumer.getmany(timeout_ms=100)
            count.messages += sum(map(len, batches.values()))


def faust_app(options: argparse.Namespace, folder: str, **settings: Any) -> Any:
    """Give an app as one would make it, raw bytes and no web server aside."""
    return faust.App(
        options.group,
        broker=f"kafka://{options.kafka}",
        datadir=folder,
        key_serializer="raw",
        value_serializer="raw",
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_recovery_delay=0.0,
        web_enabled=False,
        **settings,
    )


async def faust_for(options: argparse.Namespace, count: Count) -> None:
    """Count in a plain agent."""
    with tempfile.TemporaryDirectory(prefix="geomon-peer-") as folder:
        app = faust_app(options, folder)

        async def agent(stream: Any) -> None:
            async for _ in stream:
                count.messages += 1

        app.agent(app.topic(EVENTS))(agent)
        async with faust_app_running(app):
            await app.wait_until_stopped()


async def faust_take(options: argparse.Namespace, count: Count) -> None:
    """Count in a plain agent that takes many at a time."""
    with tempfile.TemporaryDirectory(prefix="geomon-peer-") as folder:
        app = faust_app(options, folder, stream_buffer_maxsize=65_536)

        async def agent(stream: Any) -> None:
            async for taken in stream.take(2000, within=0.05):
                count.messages += len(taken)

        app.agent(app.topic(EVENTS))(agent)
        async with faust_app_running(app):
            await app.wait_until_stopped()


async def naive(options: argparse.Namespace, count: Count) -> None:
    """Do what a first version of such a watch does."""
    city = zones_for(CITY).city_geometry
    shapely.prepare(city)
    alerts = redis.asyncio.Redis.from_url(options.redis)
    with tempfile.TemporaryDirectory(prefix="geomon-peer-") as folder:
        app = faust_app(options, folder)
        inside = app.Table("inside", default=lambda: True, partitions=options.partitions)

        async def agent(stream: Any) -> None:
            async for value in stream:
                upload = json.loads(value)
                whose = upload["supervisee_id"]
                for fix in upload["fixes"]:
                    is_inside = bool(city.contains(shapely.Point(fix["lon"], fix["lat"])))
                    was_inside = inside[whose]
                    inside[whose] = is_inside
                    if is_inside != was_inside:
                        count.told += 1
                        alert = {"supervisee_id": whose, "inside": is_inside, **fix}
                        await alerts.publish("naive:alerts", json.dumps(alert))
                count.messages += 1

        app.agent(app.topic(EVENTS))(agent)
        try:
            async with faust_app_running(app):
                await app.wait_until_stopped()
        finally:
            await alerts.aclose()


class _Ping(msgspec.Struct):
    lon: float
    lat: float


class _Upload(msgspec.Struct):
    supervisee_id: str
    fixes: list[_Ping]


def resp(*words: str) -> str:
    """Give a command as Redis's protocol has it; words are ASCII."""
    return f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)


async def tile38(options: argparse.Namespace, count: Count) -> None:
    """Hand every ping to Tile38, as many at a time as Kafka gives; its fence tells who crosses."""
    host, port = options.tile38.split(":")
    city = shapely.to_geojson(zones_for(CITY).city_geometry)
    reader, writer = await asyncio.open_connection(host, int(port))
    subscriber = redis.asyncio.Redis(host=host, port=int(port), protocol=2)

    async def listen() -> None:
        channel = subscriber.pubsub(ignore_subscribe_messages=True)
        await channel.subscribe("city")
        async for _ in channel.listen():
            count.told += 1

    fence = ("WITHIN", "people", "FENCE", "DETECT", "enter,exit", "OBJECT", city)
    execute: Any = subscriber.execute_command
    await execute("SETCHAN", "city", *fence)
    listening = asyncio.ensure_future(listen())
    decode = msgspec.json.Decoder(_Upload).decode
    try:
        async with consuming(options.kafka, options.group) as consumer:
            while True:
                batches = await consumer.getmany(timeout_ms=100)
                messages = [message.value for batch in batches.values() for message in batch]
                commands = [
                    resp("SET", "people", upload.supervisee_id, "POINT", str(fix.lat), str(fix.lon))
                    for upload in map(decode, messages)
                    for fix in upload.fixes
                ]
                writer.write("".join(commands).encode())
                answers = await reader.readexactly(len("+OK\r\n") * len(commands))
                if answers != b"+OK\r\n" * len(commands):
                    raise RuntimeError(f"Tile38: {answers[:200]!r}")
                count.messages += len(messages)
    finally:
        listening.cancel()
        writer.close()
        await subscriber.aclose()


PEERS: dict[str, Callable[[argparse.Namespace, Count], Awaitable[None]]] = {
    "bare": bare,
    "faust-for": faust_for,
    "faust-take": faust_take,
    "naive": naive,
    "tile38": tile38,
}


async def run(options: argparse.Namespace) -> None:
    """Run one until SIGTERM."""
    count = Count()
    peer = asyncio.ensure_future(PEERS[options.peer](options, count))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, peer.cancel)
    reporting = asyncio.ensure_future(count.report())
    try:
        await peer
    except asyncio.CancelledError:
        pass
    finally:
        reporting.cancel()
        count.tell()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--kafka", required=True, metavar="HOST:PORT")
    parser.add_argument("--group", required=True)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--redis", metavar="URL")
    parser.add_argument("--tile38", metavar="HOST:PORT")
    options = parser.parse_args()
    uvloop.install()
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
