"""Where the registry's devices come from: a compacted topic, a file, or both.

The topic `geomon.devices` has the newest `device` event of each device under its `device_id`. A
gateway reads all of it when it starts and then follows it, so that a device that is announced or
withdrawn is so everywhere within a second. A message without a value strikes a device off.

A file has the same events, one a line. It is read again when it has changed; one that cannot be
read whole changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition

from geomon.errors import Refusal, SettingsError
from geomon.gateway.feed import WAIT_MS, follow, stop
from geomon.gateway.metrics import Metrics
from geomon.gateway.registry import Device, Registry, device_of
from geomon.topics import DEVICES
from geomon.wallclock import now_s

__all__ = ["FileRoll", "TopicRoll", "read_devices"]

_AT_ONCE = 5_000
_LOOK_S = 1.0
_log = logging.getLogger("geomon.gateway")


def read_devices(path: Path) -> dict[str, Device]:
    """Read a file of `device` events, one a line; a later line for a device stands.

    Raises `SettingsError`, which names the line, when any of it cannot be read, or gives a device
    to another person while it speaks for one: as a mistake that would be found late.
    """
    devices: dict[str, Device] = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            device = device_of(line)
        except Refusal as refusal:
            raise SettingsError(f"{path}:{number}: {refusal}") from None
        before = devices.get(device.device_id)
        if before and before.supervisee_id != device.supervisee_id and not before.withdrawn:
            raise SettingsError(
                f"{path}:{number}: an earlier line gives the device to another person: "
                "let one with status withdrawn come between"
            )
        devices[device.device_id] = device
    return devices


class FileRoll:
    """Devices from a file. Raises `SettingsError` when it cannot be read at first."""

    name = "file"

    def __init__(self, path: Path, registry: Registry, metrics: Metrics) -> None:
        self._path, self._registry, self._metrics = path, registry, metrics
        self._stamp = self._look()
        self._devices = read_devices(path)
        self._task: asyncio.Task[None] | None = None
        registry.expect(self.name)

    async def start(self) -> None:
        """Announce what is in the file, and follow it."""
        self._registry.replace(self.name, self._devices)
        self._registry.complete(self.name)
        self._task = asyncio.create_task(self._follow(), name="roll of a file")

    async def stop(self) -> None:
        """Follow it no more."""
        await stop(self._task)

    def age_s(self) -> float:
        """For how long it may have been out of date."""
        return 0.0

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            stamp = self._look()
            if stamp == self._stamp:
                continue
            self._stamp = stamp
            try:
                devices = read_devices(self._path)
            except SettingsError as error:
                self._metrics.add("geomon_gateway_registry_unread_total")
                _log.error("the devices stay as they were: %s", error)
                continue
            except Exception:
                self._metrics.add("geomon_gateway_registry_unread_total")
                _log.exception("the devices stay as they were: %s cannot be read", self._path)
                continue
            self._registry.replace(self.name, devices)
            _log.info("%s devices read from %s", f"{len(devices):,}", self._path)

    def _look(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return found.st_mtime_ns, found.st_size, found.st_ino


class TopicRoll:
    """Devices from the topic, which each gateway reads from its beginning."""

    name = "topic"

    def __init__(
        self, kafka: str, registry: Registry, metrics: Metrics, *, topic: str = DEVICES
    ) -> None:
        self._kafka, self._topic = kafka, topic
        self._registry, self._metrics = registry, metrics
        self._task: asyncio.Task[None] | None = None
        self._heard_s: float | None = None
        registry.expect(self.name)

    async def start(self) -> None:
        """Begin to read; does not wait until all is read."""
        self._task = asyncio.create_task(
            follow(self._kafka, self._topic, "devices", self._read, begin="earliest"),
            name="roll of the topic",
        )

    async def stop(self) -> None:
        """Read no more."""
        await stop(self._task)

    def age_s(self) -> float | None:
        """For how long it may have been out of date; None while it was never read to its end."""
        return None if self._heard_s is None else max(0.0, now_s() - self._heard_s)

    async def _read(self, consumer: Any) -> None:
        parts = sorted(consumer.assignment())
        ends = await consumer.end_offsets(parts)
        # What was struck off while nobody read is missing here, so it is not added to what was
        # known but takes its place, and only when it is whole.
        found: dict[str, Device] = {}
        while not await self._at_end(consumer, parts, ends):
            for key, device in await self._next(consumer):
                found.pop(key, None)
                if device is not None:
                    found[key] = device
        first = not self._registry.is_ready
        self._registry.replace(self.name, found)
        self._registry.complete(self.name)
        if first:
            _log.info("%s devices read from %s", f"{len(found):,}", self._topic)
        while True:
            self._note(consumer, parts)
            for key, device in await self._next(consumer):
                if device is None:
                    self._registry.forget(self.name, key)
                else:
                    self._registry.announce(self.name, device)

    async def _at_end(
        self, consumer: Any, parts: Iterable[TopicPartition], ends: dict[TopicPartition, int]
    ) -> bool:
        for part in parts:
            if await consumer.position(part) < ends[part]:
                return False
        return True

    async def _next(self, consumer: Any) -> list[tuple[str, Device | None]]:
        """Give what was announced since; a message that cannot be read changes nothing."""
        batches = await consumer.getmany(timeout_ms=WAIT_MS, max_records=_AT_ONCE)
        found: list[tuple[str, Device | None]] = []
        for messages in batches.values():
            for message in messages:
                key = (message.key or b"").decode("utf-8", "replace")
                where = f"{message.topic}/{message.partition}/{message.offset}"
                try:
                    device = None if message.value is None else _device_of(message.value, key)
                except Refusal as refusal:
                    self._metrics.add("geomon_gateway_registry_unread_total")
                    _log.warning("no device: %s at %s", refusal.reason, where)
                    continue
                except Exception:
                    # A mistake of ours: who is announced behind it must be known all the same.
                    self._metrics.add("geomon_gateway_registry_unread_total")
                    _log.exception("no device: what is at %s cannot be read", where)
                    continue
                found.append((key, device))
        return found

    def _note(self, consumer: Any, parts: Iterable[TopicPartition]) -> None:
        """Note when the broker last said that there was no more."""
        stamps = [consumer.last_poll_timestamp(part) for part in parts]
        if all(stamps):
            self._heard_s = min(stamps) / 1000
        elif self._heard_s is None:
            self._heard_s = now_s()


def _device_of(value: bytes, key: str) -> Device:
    device = device_of(value)
    if device.device_id != key:
        raise Refusal("key_mismatch")
    return device
