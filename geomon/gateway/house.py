"""A gateway put together from the settings: registry, publisher, door, listeners, and its health.

Listeners are modules that are imported only when their setting names an address, so that HTTP alone
needs nothing of MQTT. To add a protocol: a setting, a line in `_LISTENERS`, and a module with

    def listener(name, address, door, settings, tls) -> Listener
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from geomon import __version__
from geomon.errors import SettingsError, UnavailableError
from geomon.gateway.door import Door
from geomon.gateway.limits import Limits
from geomon.gateway.locator import FileLocator
from geomon.gateway.metrics import Metrics
from geomon.gateway.orders import Carrier, Orders
from geomon.gateway.publisher import Publisher
from geomon.gateway.registry import Registry
from geomon.gateway.rolls import FileRoll, TopicRoll
from geomon.gateway.tls import Tls
from geomon.operations.health import Check
from geomon.settings import Settings
from geomon.wallclock import now_s

__all__ = ["Carrying", "Gateway", "Listener"]

#: What listens, by the setting that says where -> the module it is in.
_LISTENERS = {
    "http": "geomon.gateway.web",
    "jt808": "geomon.gateway.tcp",
    "gt06": "geomon.gateway.tcp",
    "r16h": "geomon.gateway.tcp",
    "mqtt": "geomon.gateway.mqtt",
}
#: Those that fetch what devices sent elsewhere, in place of being called.
_ASKED_BY_US = ("mqtt",)
_log = logging.getLogger("geomon.gateway")


class Listener(Protocol):
    """Something that takes uploads in."""

    @property
    def where(self) -> str:
        """Where it listens, as it is logged."""

    async def start(self) -> None:
        """Begin. Raises `UnavailableError` when the address cannot be had."""

    async def stop(self, within_s: float) -> None:
        """Take no more in; let what is under way end, for so long, and close."""

    def trouble(self) -> str:
        """Say in one line why it cannot take anything in; empty when it can."""


@runtime_checkable
class Carrying(Protocol):
    """A listener whose devices stay connected, so that something can be asked of them."""

    orders: Orders | None

    def carriers(self) -> Iterable[Carrier]:
        """Give the connections that there are."""


class Gateway:
    """One gateway; also the `Condition` that its health server shows.

    Raises `SettingsError` for settings that no gateway can be made of.
    """

    def __init__(self, settings: Settings, *, now: Callable[[], float] = now_s) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.registry = Registry()
        self.publisher = Publisher(
            settings.kafka,
            self.metrics,
            most_bytes=settings.gateway_in_flight_bytes,
            timeout_s=settings.gateway_publish_s,
        )
        self.rolls = self._rolls()
        self.door = Door(
            self.registry,
            self.publisher,
            Limits(
                device_rate=settings.gateway_device_rate,
                device_burst=settings.gateway_device_burst,
                address_rate=settings.gateway_address_rate,
                address_burst=settings.gateway_address_burst,
            ),
            self.metrics,
            locator=FileLocator(Path(settings.gateway_locator))
            if settings.gateway_locator
            else None,
            now=now,
        )
        self.tls = Tls(settings)
        self.listeners = {
            name: _listener(module, name, address, self.door, settings, self.tls.context)
            for name, module in _LISTENERS.items()
            if (address := str(getattr(settings, f"gateway_{name}")))
        }
        if not self.listeners:
            raise SettingsError(
                "the gateway listens nowhere: set "
                + " or ".join(f"gateway_{name}" for name in _LISTENERS)
            )
        self.orders = self._orders(now)
        metrics = self.metrics
        metrics.set("geomon_gateway_build_info", 1.0, __version__)
        metrics.set("geomon_gateway_connections_limit", settings.gateway_connections)
        metrics.ask("geomon_gateway_in_flight_bytes", lambda: self.publisher.bytes_in_flight)
        metrics.ask("geomon_gateway_devices", lambda: len(self.registry))
        metrics.ask("geomon_gateway_registry_age_seconds", self._age_s)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take uploads in for as long as the context lasts; then finish what is under way."""
        drain_s = self.settings.gateway_drain_s
        async with AsyncExitStack() as stack:
            await self.tls.start()
            stack.push_async_callback(self.tls.stop)
            await self.publisher.start()
            stack.push_async_callback(self.publisher.stop, drain_s)
            for roll in self.rolls:
                await roll.start()
                stack.push_async_callback(roll.stop)
            if self.orders is not None:
                await self.orders.start()
                stack.push_async_callback(self.orders.stop)
            started: list[Listener] = []

            async def stop_listening() -> None:
                # Together: each may take the whole time, and systems kill who takes too long.
                await asyncio.gather(*(listener.stop(drain_s) for listener in started))

            stack.push_async_callback(stop_listening)
            for name, listener in self.listeners.items():
                await listener.start()
                started.append(listener)
                _log.info("taking %s at %s", name, listener.where)
            yield

    def failure(self) -> str:
        """Say in one line why the gateway has failed; empty while it has not."""
        return ""

    async def checks(self) -> list[Check]:
        """Look whether the gateway is ready to take uploads in."""
        kafka = self.publisher.trouble()
        owed = ", ".join(sorted(self.registry.owed))
        found = [
            Check("kafka", not kafka, kafka or "connected"),
            Check(
                "registry",
                self.registry.is_ready,
                f"not read to its end: {owed}" if owed else f"{len(self.registry):,} devices",
            ),
        ]
        for check in found:
            self.metrics.set("geomon_gateway_check_ok", float(check.ok), check.check)
        for name, listener in self.listeners.items():
            trouble = listener.trouble()
            self.metrics.set("geomon_gateway_check_ok", float(not trouble), name)
            # A broker that is away is no reason to send phones, which ask here, somewhere else.
            ready = not trouble or name in _ASKED_BY_US
            found.append(Check(name, ready, trouble or listener.where))
        return found

    async def page(self, accept: str) -> tuple[bytes, str]:
        """Give the page for Prometheus, and its content type."""
        await self.checks()
        return self.metrics.page(accept)

    def _rolls(self) -> list[TopicRoll | FileRoll]:
        settings = self.settings
        rolls: list[TopicRoll | FileRoll] = []
        if settings.gateway_registry in ("topic", "both"):
            rolls.append(TopicRoll(settings.kafka, self.registry, self.metrics))
        if settings.gateway_registry in ("file", "both"):
            if not settings.gateway_devices:
                raise SettingsError(
                    f"gateway_registry = {settings.gateway_registry} needs gateway_devices"
                )
            rolls.append(FileRoll(Path(settings.gateway_devices), self.registry, self.metrics))
        return rolls

    def _orders(self, now: Callable[[], float]) -> Orders | None:
        """Give what brings requests to devices, if any plan asks and a listener can carry them."""
        carrying = [each for each in self.listeners.values() if isinstance(each, Carrying)]
        if not carrying or not any(self.settings.ask_interval_s):
            return None
        settings = self.settings
        reports_min = (*settings.phone_report_min, *settings.band_report_min)
        orders = Orders(
            settings.kafka,
            self.metrics,
            lambda: (line for listener in carrying for line in listener.carriers()),
            now=now,
            longest_s=60 * (max(settings.ask_for_min) + max(reports_min)),
        )
        for listener in carrying:
            listener.orders = orders
        return orders

    def _age_s(self) -> float | None:
        ages = [roll.age_s() for roll in self.rolls]
        known = [age_s for age_s in ages if age_s is not None]
        return max(known) if len(known) == len(ages) else None


def _listener(
    module: str,
    name: str,
    address: str,
    door: Door,
    settings: Settings,
    tls: ssl.SSLContext | None,
) -> Listener:
    try:
        make = importlib.import_module(module).listener
    except ImportError as error:
        raise UnavailableError(
            f"gateway_{name} needs the extra gateway ({error.name or error} is missing)"
        ) from None
    listener: Listener = make(name, address, door, settings, tls)
    return listener
