"""The small web server of a worker: is it alive, is it ready, and what does it count.

    /healthz   200 while the worker runs, 503 with the reason when it has failed
    /readyz    200 when every check of readiness is passed, else 503; the checks as JSON either way
    /metrics   for Prometheus

It knows the worker only as a `Condition`. It answers anybody who can reach it and tells nothing of
any person; it is bound to this machine unless the setting `web` says otherwise.
"""

from __future__ import annotations

import os
from typing import NamedTuple, Protocol

import msgspec
from aiohttp import web

from geomon.errors import SettingsError, UnavailableError

__all__ = ["CHECKS", "Check", "Condition", "HealthServer", "host_and_port"]

#: What must hold for a worker to be ready, in the order in which it is looked at.
CHECKS = {
    "worker": "It has not failed.",
    "partitions": "The group has settled, and the states of its people are read; none is fine too.",
    "redis": "Redis answers within 2 s.",
    "lag": "No more than `ready_lag` events of its partitions wait to be judged.",
    "topics": "No topic has a fault; looked at once a minute, and Kafka answers within 3 s.",
    "clock": "Its clock is no further than `clock_skew_s` off the brokers'.",
    "canary": "A canary came through each of its partitions within `canary_silence_s`.",
}

_MOST_PORT = 65_535


class Check(NamedTuple):
    """One thing that must hold for a worker to be ready; `why` says what is, good or bad."""

    check: str
    ok: bool
    why: str


class Condition(Protocol):
    """What a worker tells of itself."""

    def failure(self) -> str:
        """Say in one line why the worker has failed; empty while it has not."""

    async def checks(self) -> list[Check]:
        """Look whether the worker is ready."""

    async def page(self, accept: str) -> tuple[bytes, str]:
        """Give the page for Prometheus, and its content type."""


class HealthServer:
    """Serves a worker's condition at `address` ("host:port", port 0 for a free one).

    Raises `SettingsError` when that is no address, `UnavailableError` when it cannot be had.
    """

    def __init__(self, address: str, condition: Condition) -> None:
        self._host, self._port = host_and_port(address)
        self._address = address
        self._condition = condition
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False)

    async def start(self) -> None:
        """Begin to answer; raises `UnavailableError` when the address cannot be had."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise UnavailableError(
                f"{self._address} cannot be served ({_why(error)}): "
                "choose another address by the setting web, or none"
            ) from None

    async def stop(self) -> None:
        """Answer no more; harmless when nothing was started."""
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Where it answers, with the port that it was given."""
        host, port = self._runner.addresses[0][:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def _healthz(self, _: web.Request) -> web.Response:
        failure = self._condition.failure()
        return _json({"ok": not failure, "why": failure or "running"}, ok=not failure)

    async def _readyz(self, _: web.Request) -> web.Response:
        checks = await self._condition.checks()
        ok = all(check.ok for check in checks)
        rows = [check._asdict() for check in checks]
        return _json({"ok": ok, "checks": rows}, ok=ok)

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = await self._condition.page(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})


def _why(error: OSError) -> str:
    # asyncio wraps the system's words in its own.
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)


def _json(body: dict[str, object], *, ok: bool) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body) + b"\n",
        status=200 if ok else 503,
        content_type="application/json",
    )


def host_and_port(address: str, setting: str = "web") -> tuple[str, int]:
    """Take an address apart. Raises `SettingsError` when it is none."""
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) <= _MOST_PORT):
        raise SettingsError(f"{setting}: {address!r} is not host:port, such as 127.0.0.1:6066")
    return host, int(port)
