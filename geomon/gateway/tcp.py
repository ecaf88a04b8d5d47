"""Devices over TCP: one listener for each protocol, each connection a `Line`.

To add a protocol: a `Talk` of its own, a line in `_TALKS`, and what `geomon.gateway.house` says.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Mapping

from geomon.errors import UnavailableError
from geomon.gateway.door import Door
from geomon.gateway.gt06 import Gt06Talk
from geomon.gateway.jt808 import Jt808Talk
from geomon.gateway.lines import Line
from geomon.gateway.r16h import R16hTalk
from geomon.gateway.talk import Find, Talk
from geomon.operations.health import host_and_port
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
_BACKLOG = 1_024
_SWEEPS_S = 1.0
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
        self._settings = settings
        self._address = address
        self._host, self._port = host_and_port(address, f"gateway_{protocol}")
        self._tls = tls
        self._lines: set[Line] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin to listen. Raises `UnavailableError` when the address cannot be had."""
        loop = asyncio.get_running_loop()
        make = _TALKS[self.protocol]
        try:
            self._server = await loop.create_server(
                lambda: Line(self, make(self.door.device, self._settings)),
                self._host,
                self._port,
                ssl=self._tls,
                ssl_handshake_timeout=self.login_s if self._tls else None,
                backlog=_BACKLOG,
            )
        except OSError as error:
            raise UnavailableError(
                f"{self._address} cannot be served ({error.strerror or error}): "
                f"choose another address by the setting gateway_{self.protocol}, or none"
            ) from None
        self._sweeper = loop.call_later(_SWEEPS_S, self._sweep)

    async def stop(self, within_s: float) -> None:
        """Listen no more; let what is under way be answered, for so long, and close all lines."""
        if self._server is None:
            return
        self._server.close()
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
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._server.wait_closed(), 1.0)
        self._server = None

    @property
    def where(self) -> str:
        """Where it listens, with the port that it was given."""
        scheme = "tls" if self._tls else "tcp"
        if self._server is None or not self._server.sockets:
            return f"{scheme}://{self._address}"
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    @property
    def lines(self) -> int:
        """How many connections are open."""
        return len(self._lines)

    def trouble(self) -> str:
        """Say what is wrong; empty when nothing is."""
        if self._server is None:
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

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for line in list(self._lines):
            line.sweep(now_s)
        self._sweeper = loop.call_later(_SWEEPS_S, self._sweep)


def listener(
    name: str, address: str, door: Door, settings: Settings, tls: ssl.SSLContext | None
) -> TcpListener:
    """Give the listener for a protocol."""
    return TcpListener(name, address, door, settings, tls)
