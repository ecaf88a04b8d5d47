"""A gateway for a test: devices in a file, Kafka in this process, HTTP on a free port."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar, overload

import msgspec
import pytest
from aiohttp import ClientSession, ClientTimeout
from aiokafka import AIOKafkaConsumer

from geomon import decoding
from geomon.embedded.broker import EmbeddedBroker
from geomon.gateway.house import Gateway
from geomon.gateway.web import HttpListener
from geomon.settings import Settings
from geomon.topics import DEVICES, EVENTS, REJECTED

__all__ = [
    "BAND",
    "KEY",
    "PATIENCE_S",
    "PHONE",
    "TOKEN",
    "TOPICS",
    "Reception",
    "device",
    "eventually",
    "hashed",
    "now_text",
    "reception",
    "records_of",
    "roll",
    "run",
]

T = TypeVar("T")
PATIENCE_S = 30.0
TOKEN = "a-token-of-the-phone"  # noqa: S105
KEY = bytes(range(32))
TOPICS = {EVENTS: 4, REJECTED: 1, DEVICES: 1}


def hashed(token: str) -> str:
    """A token as the registry has it."""
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


def device(device_id: str = "phone-3", **fields: Any) -> dict[str, Any]:
    """A `device` event, of SZ-0001's phone if not said otherwise."""
    return {
        "type": "device",
        "device_id": device_id,
        "supervisee_id": "SZ-0001",
        "device": "phone",
        "datum": "wgs84",
        "secrets": [hashed(TOKEN)],
        **fields,
    }


PHONE = device()
BAND = device("band-17", device="wristband", datum="gcj02", secrets=[hashed("of-the-band")])


def roll(path: Path, *devices: Mapping[str, Any]) -> Path:
    """Write a file of devices, as an editor does: a new file in the old one's place."""
    new = path.with_suffix(".new")
    new.write_text("".join(json.dumps(one) + "\n" for one in devices), "utf-8")
    return new.replace(path)


def now_text(ago_s: float = 0) -> str:
    """The time of day, or a while ago, as it is written."""
    return (datetime.now(timezone.utc) - timedelta(seconds=ago_s)).isoformat()


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test's program, and not for ever."""
    asyncio.run(asyncio.wait_for(main(), 4 * PATIENCE_S))


@overload
async def eventually(ask: Callable[[], Awaitable[T]], wanted: Callable[[T], bool]) -> T: ...
@overload
async def eventually(ask: Callable[[], T], wanted: Callable[[T], bool]) -> T: ...
async def eventually(ask: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """Ask until the answer is what is wanted; fail with the last answer when patience ends."""
    end = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        answer = ask()
        said = await answer if isinstance(answer, Awaitable) else answer
        if wanted(said):
            return said
        if asyncio.get_running_loop().time() > end:
            pytest.fail(f"still waiting after {PATIENCE_S:.0f} s: {said!r}")
        await asyncio.sleep(0.02)


class Reception:
    """A gateway that runs, and what came of it in Kafka."""

    def __init__(self, gateway: Gateway, client: ClientSession) -> None:
        self.gateway = gateway
        self.client = client

    @property
    def url(self) -> str:
        listener = self.gateway.listeners["http"]
        assert isinstance(listener, HttpListener)
        return listener.where

    async def events(self) -> list[dict[str, Any]]:
        """Everything in geomon.events, by partition and offset; all of it is sound."""
        records = await records_of(self.gateway.settings.kafka, EVENTS)
        for key, value in records:
            event, refused = decoding.decode(value)
            assert key == event.supervisee_id.encode()
            assert refused == []
        return [msgspec.json.decode(value) for _, value in records]

    async def rejected(self) -> list[dict[str, Any]]:
        """Everything in geomon.rejected."""
        records = await records_of(self.gateway.settings.kafka, REJECTED)
        return [msgspec.json.decode(value) for _, value in records]

    def counted(self, protocol: str, outcome: str) -> float | None:
        return self.gateway.metrics.value("geomon_gateway_uploads_total", protocol, outcome)

    def refused(self, reason: str) -> float | None:
        return self.gateway.metrics.value("geomon_gateway_refusals_total", reason)


async def records_of(kafka: str, topic: str) -> list[tuple[bytes, bytes]]:
    """Everything that a topic has now, as (key, value)."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka, auto_offset_reset="earliest", fetch_max_wait_ms=50
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        found = []
        while [1 for part, end in ends.items() if await consumer.position(part) < end]:
            message = await asyncio.wait_for(consumer.getone(), PATIENCE_S)
            found.append((message.partition, message.offset, message.key, message.value))
        return [(key, value) for _, _, key, value in sorted(found)]
    finally:
        await consumer.stop()


@asynccontextmanager
async def reception(
    folder: Path,
    devices: Sequence[Mapping[str, Any]] = (PHONE, BAND),
    *,
    kafka: str = "",
    now: Callable[[], float] | None = None,
    **settings: Any,
) -> AsyncIterator[Reception]:
    """Run a gateway in this process; without `kafka`, against a broker of its own."""
    broker = None if kafka else EmbeddedBroker(TOPICS)
    if broker is not None:
        broker.start()
        kafka = broker.bootstrap
    try:
        usual: dict[str, Any] = {
            "kafka": kafka,
            "gateway_http": "127.0.0.1:0",
            "gateway_registry": "file",
            "gateway_devices": str(roll(folder / "devices.ndjson", *devices)),
            "gateway_drain_s": 5.0,
        }
        wanted = replace(Settings(), **(usual | settings))
        gateway = Gateway(wanted) if now is None else Gateway(wanted, now=now)
        async with (
            gateway.running(),
            ClientSession(timeout=ClientTimeout(total=PATIENCE_S)) as client,
        ):
            await eventually(gateway.publisher.trouble, lambda trouble: not trouble)
            yield Reception(gateway, client)
    finally:
        if broker is not None:
            broker.stop()
