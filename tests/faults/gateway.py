"""A gateway that is a process, and phones and bands that send again what was not acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, TCPConnector

from .process import WorkerProcess

sys.path.append(str(Path(__file__).resolve().parents[1] / "gateway"))

from terminal808 import Terminal, position

__all__ = [
    "Band",
    "GatewayProcess",
    "House",
    "Journey",
    "Phone",
    "Sender",
    "journeys",
    "rss_mb",
]

#: In Shenzhen, and across the line: in Dongguan.
INSIDE, OUTSIDE = (114.0579, 22.5431), (113.7520, 23.0205)
_STEP_S = 60
_AGAIN_S = 0.1
#: Below the range that the system gives to clients: while a gateway is down its port stays free.
_PORTS = range(20_000, 32_000)


class GatewayProcess(WorkerProcess):
    """One `geomon gateway run`, at the same addresses as the one before it."""

    words = ("gateway", "run")
    says = "the gateway is running"


@dataclass(frozen=True)
class Journey:
    """Who goes where: one position a minute, the last one just now."""

    number: int
    places: Sequence[tuple[datetime, float, float]]
    leaves: bool

    @property
    def person(self) -> str:
        """The id of who goes."""
        return f"SZ-{self.number:04d}"


def journeys(people: int, steps: int) -> list[Journey]:
    """Give journeys; every other person leaves the city after a third of it."""
    begin = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(seconds=_STEP_S * steps)
    found = []
    for number in range(people):
        leaves = number % 2 == 1
        places = []
        for step in range(steps):
            lon, lat = OUTSIDE if leaves and step >= steps // 3 else INSIDE
            # A receiver at rest wanders: not twice the very same position.
            wander = (step * 7919 + number * 104_729) % 97 * 1e-6
            time = begin + timedelta(seconds=_STEP_S * (step + 1))
            places.append((time, round(lon + wander, 6), lat))
        found.append(Journey(number, places, leaves))
    return found


@dataclass
class Sender:
    """What phones and bands have in common: a journey, and how much of it was acknowledged.

    Every `doubts`-th upload that was acknowledged is sent again, as by a device whose answer got
    lost on the way.
    """

    journey: Journey
    doubts: int = 5
    acknowledged: int = 0
    again: int = 0  # uploads that were sent once more, for whatever reason
    put_off: int = 0  # answers that said to come again later
    lost: int = 0  # connections
    times: set[datetime] = field(default_factory=set)  # of the positions acknowledged

    @property
    def device_id(self) -> str:
        """The id of the device."""
        raise NotImplementedError

    async def send_all(self) -> None:
        """Send one position after the other, each until it is acknowledged."""
        for number, place in enumerate(self.journey.places):
            await self._send_until_taken(number, place)
            self.times.add(place[0])
            self.acknowledged += 1
            if number % self.doubts == 0:
                self.again += 1
                await self._send_until_taken(number, place)

    async def _send_until_taken(self, number: int, place: tuple[datetime, float, float]) -> None:
        while not await self._is_taken(number, place):
            self.again += 1
            await asyncio.sleep(_AGAIN_S)

    async def _is_taken(self, number: int, place: tuple[datetime, float, float]) -> bool:
        raise NotImplementedError


@dataclass
class Phone(Sender):
    """An app that speaks geomon's own JSON."""

    client: ClientSession = field(kw_only=True)
    url: str = field(kw_only=True)

    @property
    def device_id(self) -> str:
        return f"phone-{self.journey.number}"

    async def _is_taken(self, number: int, place: tuple[datetime, float, float]) -> bool:
        time, lon, lat = place
        fix = {"time": time.isoformat(), "lon": lon, "lat": lat, "accuracy_m": 12, "source": "gnss"}
        upload = {"device_id": self.device_id, "seq": number, "fixes": [fix]}
        headers = {"Authorization": f"Bearer {token_of(self.journey.number)}"}
        try:
            async with self.client.post(self.url, json=upload, headers=headers) as answer:
                if answer.status == 503:
                    assert 5 <= int(answer.headers["Retry-After"]) <= 15
                    self.put_off += 1
                    return False
                assert answer.status == 200, await answer.text()
                return True
        except (ClientError, OSError):
            self.lost += 1
            return False


@dataclass
class Band(Sender):
    """A wristband that speaks JT/T 808: it waits for each answer, and calls again when cut off."""

    address: tuple[str, int] = field(kw_only=True)
    terminal: Terminal | None = None

    @property
    def device_id(self) -> str:
        return number_of(self.journey.number)

    async def hang_up(self) -> None:
        """End the connection, if there is one."""
        if self.terminal is not None:
            await self.terminal.disconnect()
            self.terminal = None

    async def _is_taken(self, number: int, place: tuple[datetime, float, float]) -> bool:
        time, lon, lat = place
        try:
            if self.terminal is None:
                terminal = Terminal(self.device_id, serial=number)
                await terminal.connect(*self.address)
                self.terminal = terminal
                assert (await terminal.prove(code_of(self.journey.number))).result == 0
            answer = await self.terminal.ask(0x0200, position(time, lon, lat))
        except (OSError, EOFError, asyncio.TimeoutError):
            self.lost += 1
            await self.hang_up()
            return False
        assert answer.result == 0
        return True


def devices_of(phones: Sequence[Journey], bands: Sequence[Journey]) -> Iterator[Mapping[str, Any]]:
    """Give the `device` events of who goes with a phone, and of who goes with a band."""
    usual = {"type": "device", "datum": "wgs84"}
    for journey in phones:
        secret = sha256(token_of(journey.number).encode()).hexdigest()
        yield usual | {
            "device_id": f"phone-{journey.number}",
            "supervisee_id": journey.person,
            "device": "phone",
            "secrets": [f"sha256:{secret}"],
        }
    for journey in bands:
        yield usual | {
            "device_id": number_of(journey.number),
            "supervisee_id": journey.person,
            "device": "wristband",
            "auth_code": code_of(journey.number),
        }


def token_of(number: int) -> str:
    """Give the token of a phone."""
    return f"token-of-phone-{number}"


def code_of(number: int) -> str:
    """Give the authentication code of a band."""
    return f"C{number:05d}"


def number_of(number: int) -> str:
    """Give the number that a band calls itself by."""
    return str(13_900_000_000 + number)


def free_ports(count: int) -> list[int]:
    """Find ports of 127.0.0.1 that nobody listens at now."""
    found: list[int] = []
    while len(found) < count:
        port = secrets.choice(_PORTS)
        with socket.socket() as door, contextlib.suppress(OSError):
            door.bind(("127.0.0.1", port))
            found.append(port)
    return found


def rss_mb(pid: int) -> float:
    """Give the memory of a process, MB."""
    said = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    return int(said.stdout) / 1024


class House:
    """One gateway after the other at the same addresses, and who sends to it."""

    def __init__(
        self,
        kafka: str,
        folder: Path,
        *,
        phones: Sequence[Journey],
        bands: Sequence[Journey],
        **settings: object,
    ) -> None:
        self._folder = folder
        http, jt808, web = free_ports(3)
        self.url = f"http://127.0.0.1:{http}/v1/uploads"
        self.web = f"http://127.0.0.1:{web}"
        self._jt808 = ("127.0.0.1", jt808)
        devices = folder / "devices.ndjson"
        known = devices_of(phones, bands)
        devices.write_text("".join(f"{json.dumps(device)}\n" for device in known), "utf-8")
        self._settings = {
            "kafka": kafka,
            "gateway_http": f"127.0.0.1:{http}",
            "gateway_jt808": f"127.0.0.1:{jt808}",
            "gateway_web": f"127.0.0.1:{web}",
            "gateway_registry": "file",
            "gateway_devices": devices,
            "gateway_publish_s": 1.0,
            "gateway_device_rate": 0,
            **settings,
        }
        self._phones, self._bands = phones, bands
        self._started = 0
        self.gateway = self.start()

    def start(self) -> GatewayProcess:
        """Start a gateway, the first one or one in place of the last."""
        self._started += 1
        name = f"gateway-{self._started}"
        self.gateway = GatewayProcess(name, self._folder, self._settings)
        return self.gateway

    def close(self) -> None:
        """End the gateway."""
        if self.gateway.alive:
            self.gateway.kill()

    @contextlib.asynccontextmanager
    async def senders(self) -> Any:
        """Give a phone or a band for every journey."""
        async with ClientSession(connector=TCPConnector(limit=0)) as client:
            phones = [Phone(j, client=client, url=self.url) for j in self._phones]
            bands = [Band(j, address=self._jt808) for j in self._bands]
            try:
                yield [*phones, *bands]
            finally:
                for band in bands:
                    await band.hang_up()
