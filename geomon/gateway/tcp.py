"""Devices over TCP: one listener for each protocol, each connection a `Line`.

To add a protocol: a `Talk` of its own, a line in `_TALKS`, and what `geomon.gateway.house` says.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable, Mapping

from geomon.gateway.door import Door
from geomon.gateway.entrance import Entrance
from geomon.gateway.gt06 import Gt06Talk
from geomon.gateway.jt808 import Jt808Talk
from geomon.gateway.lines import Line
from geomon.gateway.orders import Orders
from geomon.gateway.r16h import R16hTalk
from geomon.gateway.talk import Find, Talk
from geomon.settings import Settings

__all__ = ["TcpListener", "listener"]

_TALKS: Mapping[str, Callable[[Find, Settings], Talk]] = {
    "jt808": lambda find, settings: Jt808Talk(
        find, registration=settings.gateway_jt808_registration == "open"
    ),
    "gt06": lambda find, _: Gt06Talk(find),
    "r16h": lambda find, _: R16hTalk(find),
}
#: The largest read; more comes with the next one.
_READ_BYTES = 8_192
#: All lines are looked at in so many seconds, a few at a time: ten thousand at once take long
#: enough to be felt by those that are busy.
_SWEEP_S, _TIMES = 1.0, 20
_log = logging.getLogger("geomon.gateway")


class TcpListener:
    """Takes the devices of one protocol in at `address`; what its lines know of it is `Lines`."""

    def __init__(
        self,
        protocol: str,
        address: str,
        door: Door,
        settings: Settings,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.protocol = protocol
        self.door = door
        self.buffer = memoryview(bytearray(_READ_BYTES))
        self.most = settings.gateway_line_messages
        self.idle_s = settings.gateway_idle_s
        self.login_s = settings.gateway_login_s
        self.busy: set[Line] = set()
        self.lingering = 0
        self.orders: Orders | None = None  # what is asked of devices, where anything is
        self._settings = settings
        self._entrance = Entrance(address, f"gateway_{protocol}", tls)
        self._lines: set[Line] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._to_look_at: list[Line] = []  # in this sweep
        self._at_a_time = 1

    async def start(self) -> None:
        """Begin to listen. Raises `UnavailableError` when the address cannot be had."""
        make = _TALKS[self.protocol]
        await self._entrance.open(
            lambda: Line(self, make(self.door.device, self._settings)), handshake_s=self.login_s
        )
        self._sweep()

    async def stop(self, within_s: float) -> None:
        """Listen no more; let what is under way be answered, for so long, and close all lines."""
        if not self._entrance.is_open:
            return
        self._entrance.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for line in list(self._lines):
            line.drain()
        workers = [line.worker for line in self.busy if line.worker is not None]
        if workers:
            _, late = await asyncio.wait(workers, timeout=within_s)
            if late:
                _log.warning("%d lines of %s are cut off", len(late), self.protocol)
        for line in list(self._lines):
            line.close()
        # A line is gone in the next rounds of the loop, unless its device takes no answers.
        for _ in range(3):
            await asyncio.sleep(0)
        for line in list(self._lines):
            line.abort()
        given_up = [task for line in list(self.busy) for task in line.give_up()]
        await asyncio.gather(*given_up, return_exceptions=True)
        await self._entrance.closed(1.0)

    @property
    def where(self) -> str:
        """Where it listens, with the port that it was given."""
        return self._entrance.where("tcp", "tls")

    @property
    def lines(self) -> int:
        """How many connections are open."""
        return len(self._lines)

    def trouble(self) -> str:
        """Say what is wrong; empty when nothing is."""
        if not self._entrance.is_open:
            return "it does not listen"
        most = self._settings.gateway_connections
        return f"{most:,} connections, and no more are taken" if len(self._lines) >= most else ""

    def opened(self, line: Line) -> bool:
        """Take a line in; say whether it may stay."""
        door = self.door
        self._lines.add(line)
        door.metrics.add("geomon_gateway_connections", self.protocol)
        if len(self._lines) > self._settings.gateway_connections or door.limits.address(
            line.address, door.now()
        ):
            door.turn_away("too_many_requests", self.protocol)
            return False
        return True

    def closed(self, line: Line) -> None:
        """Forget a line."""
        self._lines.discard(line)
        self.door.metrics.add("geomon_gateway_connections", self.protocol, by=-1)

    def met(self, line: Line) -> None:
        """Give a line's device, which has said who it is, what is in force for it."""
        if self.orders is not None:
            self.orders.greet(line)

    def carriers(self) -> Iterable[Line]:
        """Give the lines that there are."""
        return tuple(self._lines)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        if not self._to_look_at:
            self._to_look_at = list(self._lines)
            self._at_a_time = len(self._to_look_at) // _TIMES + 1
        some = self._to_look_at[-self._at_a_time :]
        del self._to_look_at[-self._at_a_time :]
        for line in some:
            if line in self._lines:
                line.sweep(now_s)
        self._sweeper = loop.call_later(_SWEEP_S / _TIMES, self._sweep)


def listener(
    name: str, address: str, door: Door, settings: Settings, tls: ssl.SSLContext | None
) -> TcpListener:
    """Give the listener for a protocol."""
    return TcpListener(name, address, door, settings, tls)
