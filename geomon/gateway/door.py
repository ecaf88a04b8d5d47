"""The door that everything goes through: who it is, how much it may, and into Kafka.

A listener asks the door for the device, lets it check the secret in its protocol's way, and hands
over the reports. When `admit` returns, Kafka has them, and the protocol's answer may be given; what
it raises says which answer that is.

What can never be taken (a position that no device can be at, a message that is none) would be sent
again for ever by a client that is told "no". So of a device that is known it is kept in
`geomon.rejected` with its reason, and counts as taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any

import msgspec

from geomon.errors import Refusal
from geomon.gateway.limits import Limits
from geomon.gateway.locator import Locator, heard_at
from geomon.gateway.metrics import Metrics
from geomon.gateway.publisher import Busy, Publisher
from geomon.gateway.registry import Device, Registry
from geomon.gateway.reports import RefusedPart, Report, at, events_of
from geomon.rejections import record_of
from geomon.topics import REJECTED
from geomon.wallclock import now_s

__all__ = ["Door"]


class Door:
    """The way in of one gateway; `now` gives POSIX seconds."""

    def __init__(
        self,
        registry: Registry,
        publisher: Publisher,
        limits: Limits,
        metrics: Metrics,
        *,
        locator: Locator | None = None,
        now: Callable[[], float] = now_s,
    ) -> None:
        self.registry = registry
        self.publisher = publisher
        self.limits = limits
        self.metrics = metrics
        self.now = now
        self._locator = locator

    def device(self, device_id: str) -> Device:
        """Give the device that calls itself so; whether it is that, the caller must check.

        Raises `NotAdmitted` (unknown_device, withdrawn, not_active), or `NotReady`.
        """
        return self.registry.find(device_id, self.now())

    def announced(self, device_id: str) -> Device:
        """Give it likewise, whether it may speak now or not.

        Raises `NotAdmitted` (unknown_device), or `NotReady`.
        """
        return self.registry.announced(device_id)

    def turn_away(self, reason: str, protocol: str) -> None:
        """Count somebody who is refused; `reason` is a code of `ADMISSION`."""
        self.metrics.add("geomon_gateway_refusals_total", reason)
        self.metrics.add("geomon_gateway_uploads_total", protocol, "refused")

    def put_off(self, protocol: str) -> None:
        """Count an upload that is to come again later."""
        self.metrics.add("geomon_gateway_uploads_total", protocol, "busy")

    def throw_away(self, reason: str, protocol: str) -> None:
        """Count what cannot be read and is nobody's; `reason` is of `geomon.refusals.REASONS`."""
        self.metrics.add("geomon_gateway_rejections_total", reason)
        self.metrics.add("geomon_gateway_uploads_total", protocol, "unreadable")

    async def admit(
        self, device: Device, reports: Sequence[Report], *, protocol: str, raw: bytes
    ) -> None:
        """Put reports into Kafka; returns when it has them, and what was refused of them.

        `raw` is what was sent, without its secrets: it is kept with a refusal. Raises `Busy` when
        not everything could be put: then the device must keep and send all of it again, which does
        no harm to what was put.
        """
        received = at(self.now())
        values: list[bytes] = []
        refused: list[RefusedPart] = []
        taken = 0
        for report in reports:
            located = self._located(report, received)
            values += events_of(located, device, received, protocol=protocol)
            refused += located.refused
            taken += len(located.positions)
        whose = device.supervisee_id
        try:
            if len(values) == 1 and not refused:
                await self.publisher.put(whose, values[0])
            else:
                puts = [self.publisher.put(whose, value) for value in values]
                puts += [self._keep(device, part, protocol, raw) for part in refused]
                await _all(puts)
        except Busy:
            self.put_off(protocol)
            raise
        metrics = self.metrics
        for part in refused:
            metrics.add("geomon_gateway_rejections_total", part.reason)
        metrics.add("geomon_gateway_events_total", protocol, by=len(values))
        metrics.add("geomon_gateway_positions_total", protocol, by=taken)
        metrics.add("geomon_gateway_uploads_total", protocol, "accepted")

    async def reject(self, device: Device, refusal: Refusal, *, protocol: str, raw: bytes) -> None:
        """Keep a device's whole upload that cannot be taken; returns when Kafka has it, with why.

        Raises `Busy` when it could not be put.
        """
        try:
            await self._keep(device, RefusedPart(refusal.reason, refusal.detail), protocol, raw)
        except Busy:
            self.put_off(protocol)
            raise
        self.metrics.add("geomon_gateway_rejections_total", refusal.reason)
        self.metrics.add("geomon_gateway_uploads_total", protocol, "rejected")

    async def _keep(self, device: Device, part: RefusedPart, protocol: str, raw: bytes) -> None:
        record = record_of(
            part.reason,
            part.detail,
            raw,
            where=f"gateway/{protocol}",
            supervisee_id=device.supervisee_id,
            fix=part.fix,
        )
        await self.publisher.put(device.supervisee_id, msgspec.json.encode(record), topic=REJECTED)

    def _located(self, report: Report, received: datetime) -> Report:
        """Find a position for a report that has only what the device heard, if one is on record."""
        towers, points = report.towers, report.access_points
        if report.positions or self._locator is None or not (towers or points):
            return report
        heard = heard_at([*(t.time for t in towers), *(p.time for p in points)], received)
        position = self._locator.locate(towers, points, heard)
        found = "nothing" if position is None else position.source
        self.metrics.add("geomon_gateway_located_total", found)
        if position is None:
            return report
        return msgspec.structs.replace(report, positions=[position], datum="wgs84")


async def _all(puts: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Wait for all, in whatever order; raise the first error only when none is under way."""
    for error in await asyncio.gather(*puts, return_exceptions=True):
        if isinstance(error, BaseException):
            raise error
