"""A listener for devices over TCP; in place of Kafka a pier that says when something has landed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import msgspec
from reception import eventually
from terminal808 import Terminal, position

from geomon.gateway.door import Door
from geomon.gateway.limits import Limits
from geomon.gateway.metrics import Metrics
from geomon.gateway.publisher import Busy
from geomon.gateway.registry import Device, Registry
from geomon.gateway.tcp import listener
from geomon.settings import Settings

NUMBER = "13912344329"
PLACE = (114.0579, 22.5431)
HOST = "127.0.0.1"


class Pier:
    """Where events land: at once, when they are let, or not at all."""

    def __init__(self) -> None:
        self.landed: list[dict[str, Any]] = []
        self.waiting: list[tuple[dict[str, Any], asyncio.Future[None]]] = []
        self.holds = False
        self.is_away = False
        self.tries = 0

    async def put(self, key: str, value: bytes, *, topic: str = "geomon.events") -> None:
        event = msgspec.json.decode(value)
        assert topic != "geomon.events" or event["supervisee_id"] == key
        self.tries += 1
        if self.is_away:
            raise Busy("away")
        if self.holds:
            done = asyncio.get_running_loop().create_future()
            self.waiting.append((event, done))
            await done
        self.landed.append(event)

    def let(self, at: int) -> None:
        """Let one of those that wait land."""
        _, done = self.waiting.pop(at)
        if not done.done():
            done.set_result(None)

    def let_all(self) -> None:
        self.holds = False
        while self.waiting:
            self.let(0)


class Harbour:
    """A listener and what is behind it."""

    def __init__(self, protocol: str, devices: list[Device], tls: Any, **settings: Any) -> None:
        self.pier = Pier()
        self.metrics = Metrics()
        registry = Registry()
        registry.expect("here")
        for device in devices:
            registry.announce("here", device)
        registry.complete("here")
        self.registry = registry
        wanted = replace(Settings(), **settings)
        self.door = Door(
            registry,
            self.pier,  # type: ignore[arg-type]
            Limits(
                device_rate=wanted.gateway_device_rate,
                device_burst=wanted.gateway_device_burst,
                address_rate=wanted.gateway_address_rate,
                address_burst=wanted.gateway_address_burst,
            ),
            self.metrics,
        )
        self.listener = listener(protocol, f"{HOST}:0", self.door, wanted, tls)

    @property
    def port(self) -> int:
        return int(self.listener.where.rpartition(":")[2])

    def counted(self, outcome: str) -> float | None:
        protocol = self.listener.protocol
        return self.metrics.value("geomon_gateway_uploads_total", protocol, outcome)

    def refused(self, reason: str) -> float | None:
        return self.metrics.value("geomon_gateway_refusals_total", reason)

    def connections(self) -> float | None:
        return self.metrics.value("geomon_gateway_connections", self.listener.protocol)

    async def all_gone(self) -> None:
        await eventually(lambda: self.listener.lines, lambda lines: lines == 0)
        assert not self.connections()


def band(device_id: str = NUMBER, **fields: Any) -> Device:
    return Device(
        **{
            "device_id": device_id,
            "supervisee_id": f"SZ-{device_id[-4:]}",
            "device": "wristband",
            "datum": "wgs84",
            "auth_code": f"code-{device_id}",
            **fields,
        }
    )


@asynccontextmanager
async def harbour(
    protocol: str = "jt808",
    devices: list[Device] | None = None,
    tls: ssl.SSLContext | None = None,
    **settings: Any,
) -> AsyncIterator[Harbour]:
    here = Harbour(protocol, [band()] if devices is None else devices, tls, **settings)
    await here.listener.start()
    try:
        yield here
    finally:
        await here.listener.stop(1.0)
        await here.all_gone()


def here_now() -> bytes:
    return position(datetime.now(timezone.utc), *PLACE)


@asynccontextmanager
async def signed_in(here: Harbour, number: str = NUMBER) -> AsyncIterator[Terminal]:
    terminal = Terminal(number)
    await terminal.sign_in(HOST, here.port)
    try:
        yield terminal
    finally:
        await terminal.disconnect()
