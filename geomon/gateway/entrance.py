"""Where connections of devices come in: an address that is listened at, with TLS or without.

libuv, below uvloop, takes one connection at a time from a listening socket and then looks at all
others (since its 1.45). While a thousand connections are busy each round takes as long as a hundred
milliseconds, and of two hundred newcomers the last one would wait for twenty seconds. So the socket
is listened at by several copies of it: each takes one in a round. One that finds nobody costs
little.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any

from geomon.errors import UnavailableError
from geomon.operations.health import host_and_port

__all__ = ["Entrance"]

#: Connections that the system keeps until they are taken; it may allow fewer (somaxconn).
_BACKLOG = 4_096
#: Connections that are taken in one round of the loop.
_AT_ONCE = 32


class Entrance:
    """Listens at `address`, which is the value of `setting`. Raises `SettingsError` for none."""

    def __init__(self, address: str, setting: str, tls: ssl.SSLContext | None) -> None:
        self._address, self._setting, self._tls = address, setting, tls
        self._host, self._port = host_and_port(address, setting)
        self._servers: list[asyncio.AbstractServer] = []
        self._found: tuple[str, int] | None = None  # address and port, as long as it is open

    async def open(
        self, make: Callable[[], asyncio.BaseProtocol], *, handshake_s: float | None = None
    ) -> None:
        """Begin to take connections in; `make` gives a protocol for each.

        Raises `UnavailableError` when the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {"ssl": self._tls, "backlog": _BACKLOG}
        if self._tls is not None:
            options["ssl_handshake_timeout"] = handshake_s
        try:
            first = await loop.create_server(make, self._host, self._port, **options)
        except OSError as error:
            raise UnavailableError(
                f"{self._address} cannot be served ({error.strerror or error}): "
                f"choose another address by the setting {self._setting}, or none"
            ) from None
        self._servers.append(first)
        self._found = first.sockets[0].getsockname()[:2]
        for bound in first.sockets:
            for _ in range(_AT_ONCE - 1):
                copy = socket.fromfd(bound.fileno(), bound.family, bound.type)
                self._servers.append(await loop.create_server(make, sock=copy, **options))

    def close(self) -> None:
        """Take no more connections in; those that are open stay."""
        for server in self._servers:
            server.close()
        self._found = None

    async def closed(self, within_s: float) -> None:
        """Wait for so long until all that came in have gone."""
        with contextlib.suppress(asyncio.TimeoutError):
            waits = (server.wait_closed() for server in self._servers)
            await asyncio.wait_for(asyncio.gather(*waits), within_s)
        self._servers.clear()

    @property
    def is_open(self) -> bool:
        """Say whether connections are taken in."""
        return self._found is not None

    def where(self, plain: str, secure: str) -> str:
        """Give the URL, with the port that it was given; its scheme without TLS, and with it."""
        scheme = secure if self._tls else plain
        if self._found is None:
            return f"{scheme}://{self._address}"
        host, port = self._found
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
