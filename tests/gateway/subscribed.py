"""A gateway that has subscribed to a real Mosquitto, and what a phone writes there."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from mosquitto import Mosquitto
from reception import Reception, device, eventually, reception, records_of

from geomon.gateway.mqtt import MqttListener
from geomon.topics import EVENTS

JANE = device("jane:phone", secrets=[])
LI = device("li:phone", secrets=[], supervisee_id="SZ-0002")
TOPIC = "owntracks/jane/phone"
HOME = (114.0579, 22.5431)
GUANGZHOU = (113.2644, 23.1291)


def location(ago_s: float = 0, at: tuple[float, float] = HOME, **fields: Any) -> str:
    """A location as the app writes it."""
    lon, lat = at
    tst = int(time.time() - ago_s)
    return json.dumps(
        {"_type": "location", "tst": tst, "lon": lon, "lat": lat, "acc": 12, "batt": 71, **fields}
    )


def mqtt_of(here: Reception) -> MqttListener:
    listener = here.gateway.listeners["mqtt"]
    assert isinstance(listener, MqttListener)
    return listener


@asynccontextmanager
async def gateway(
    folder: Path, broker: Mosquitto, name: str = "geomon-a", **settings: Any
) -> AsyncIterator[Reception]:
    """Run a gateway that has subscribed."""
    home = folder / name
    home.mkdir(exist_ok=True)
    wanted: dict[str, Any] = {"gateway_mqtt": broker.url, "gateway_mqtt_client": name, **settings}
    async with reception(home, [JANE, LI], **wanted) as here:
        await eventually(mqtt_of(here).trouble, lambda trouble: not trouble)
        yield here


async def counted(here: Reception, outcome: str, number: int) -> None:
    await eventually(lambda: here.counted("mqtt", outcome), lambda found: found == number)


async def acknowledged(broker: Mosquitto, client: str, number: int) -> None:
    await eventually(lambda: len(broker.acknowledged_by(client)), lambda found: found >= number)


async def seen(bootstrap: str) -> list[str]:
    """What came into Kafka, each once: the numbers that the messages carry."""
    values = [msgspec.json.decode(value) for _, value in await records_of(bootstrap, EVENTS)]
    signs = {sign for value in values for sign in value["device_signs"]}
    return sorted(signs, key=lambda sign: int(sign.partition("=")[2]))


async def arrived(bootstrap: str, count: int) -> None:
    """Wait until the first so many messages are in Kafka, and see that no others are."""

    async def ask() -> list[str]:
        return await seen(bootstrap)

    await eventually(ask, lambda found: found == tags(count))


def numbered(count: int, first: int = 0) -> list[str]:
    return [location(tag=str(number)) for number in range(first, first + count)]


def tags(count: int) -> list[str]:
    return [f"tag={number}" for number in range(count)]
