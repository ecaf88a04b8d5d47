"""Requests to devices to report more often: from `geomon.commands` to the devices' connections.

Each gateway reads all commands, because a device may be connected to any. A command in force is
kept until it ends, the newest for each device of a person: a device that connects later gets it
once it has said who it is. What was sent is not waited for: whether the device did as asked shows
in what it reports.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from geomon.commands import Command, read_command
from geomon.errors import Refusal
from geomon.gateway.feed import WAIT_MS, follow, stop
from geomon.gateway.metrics import Metrics
from geomon.gateway.registry import Device
from geomon.topics import COMMANDS

__all__ = ["Carrier", "Orders"]

_AT_ONCE = 1_000


class Carrier(Protocol):
    """A device's connection."""

    @property
    def device(self) -> Device | None:
        """Who is at its other end, as far as proved."""

    def ask(self, interval_s: int, for_s: int) -> bool:
        """Ask the device to report so often for so long; False where its protocol cannot."""


class Orders:
    """The commands in force. `carriers` gives the connections that there are.

    `longest_s` is how long a command may be in force: commands from before that are not read.
    """

    def __init__(
        self,
        kafka: str,
        metrics: Metrics,
        carriers: Callable[[], Iterable[Carrier]],
        *,
        now: Callable[[], float],
        longest_s: float,
    ) -> None:
        self._kafka, self._metrics, self._carriers = kafka, metrics, carriers
        self._now, self._longest_s = now, longest_s
        self._in_force: dict[tuple[str, str], Command] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read; does not wait for Kafka."""
        self._task = asyncio.create_task(
            follow(self._kafka, COMMANDS, "commands", self._read, begin="latest"), name="commands"
        )

    async def stop(self) -> None:
        """Read no more."""
        await stop(self._task)

    def take(self, command: Command) -> None:
        """Take a command, and send it where its device is connected."""
        now_s = self._now()
        for key in [k for k, kept in self._in_force.items() if kept.until_s <= now_s]:
            del self._in_force[key]
        whose = (command.supervisee_id, command.device)
        kept = self._in_force.get(whose)
        if kept is not None and (
            kept.command_id == command.command_id or kept.from_s > command.from_s
        ):
            return  # it came again, or another has taken its place
        if command.until_s <= now_s:
            self._count("over")
            return
        self._in_force[whose] = command
        there = [c for c in self._carriers() if c.device and _whose(c.device) == whose]
        if not there:
            self._count("not_connected")
        for carrier in there:
            self._send(command, carrier, now_s)

    def greet(self, carrier: Carrier) -> None:
        """Give a device that has just said who it is what is in force for it."""
        now_s = self._now()
        command = self._in_force.get(_whose(carrier.device)) if carrier.device else None
        if command is not None and command.until_s > now_s:
            self._send(command, carrier, now_s)

    def _send(self, command: Command, carrier: Carrier, now_s: float) -> None:
        # Rounded up: a request for 0 s would mean for ever to some terminals.
        for_s = max(1, round(command.until_s - now_s))
        sent = carrier.ask(command.interval_s, for_s)
        self._count("delivered" if sent else "not_supported")

    def _count(self, outcome: str) -> None:
        self._metrics.add("geomon_gateway_commands_total", outcome)

    async def _read(self, consumer: Any) -> None:
        parts = consumer.assignment()
        since_ms = int(1000 * (self._now() - self._longest_s))
        for part, found in (
            await consumer.offsets_for_times(dict.fromkeys(parts, since_ms))
        ).items():
            if found is None:
                await consumer.seek_to_end(part)
            else:
                consumer.seek(part, found.offset)
        while True:
            batches = await consumer.getmany(timeout_ms=WAIT_MS, max_records=_AT_ONCE)
            for messages in batches.values():
                for message in messages:
                    self._take_raw(message.value)

    def _take_raw(self, value: bytes | None) -> None:
        try:
            command = read_command(value or b"")
        except Refusal:
            self._count("unreadable")
            return
        if command is None:
            self._count("unreadable")
        else:
            self.take(command)


def _whose(device: Device) -> tuple[str, str]:
    return device.supervisee_id, device.device
