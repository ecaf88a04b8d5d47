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
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any

import msgspec

from geomon.errors import Refusal
from geomon.gateway.limits import Limits
from geomon.gateway.locator import Locator
from geomon.gateway.metrics import Metrics
from geomon.gateway.publisher import Busy, Publisher
from geomon.gateway.registry import Device, Registry
from geomon.gateway.reports import (
    AccessPoint,
    RefusedPart,
    Report,
    Tower,
    at,
    events_of,
    few_of,
    telling,
)
from geomon.rejections import record_of
from geomon.topics import REJECTED
from geomon.wallclock import now_s

__all__ = ["Door"]

#: Of a long list so many events are under way at a time: it is to take its turn with the others,
#: and more would not even fit into what may wait for Kafka.
_AT_ONCE = 200
_log = logging.getLogger("geomon.gateway")


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
        whose = device.supervisee_id
        values: list[bytes] = []
        refused: list[RefusedPart] = []
        taken = written = 0
        for report in reports:
            refused += report.refused
        try:
            for report in telling(reports):
                values += self._events(report, device, received, protocol, refused)
                taken += len(report.positions)
                if len(values) >= _AT_ONCE:
                    written += len(values)
                    await _all([self.publisher.put(whose, value) for value in values])
                    values.clear()
            written += len(values)
            if len(values) == 1 and not refused:
                await self.publisher.put(whose, values[0])
            else:
                puts = [self.publisher.put(whose, value) for value in values]
                puts += [self._keep(device, part, protocol, raw) for part in few_of(refused)]
                await _all(puts)
        except Busy:
            self.put_off(protocol)
            raise
        metrics = self.metrics
        for reason, count in Counter(part.reason for part in refused).items():
            metrics.add("geomon_gateway_rejections_total", reason, by=count)
        metrics.add("geomon_gateway_events_total", protocol, by=written)
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

    def _events(
        self,
        report: Report,
        device: Device,
        received: datetime,
        protocol: str,
        refused: list[RefusedPart],
    ) -> list[bytes]:
        """Give the events of a report; what cannot be taken of it is added to `refused`."""
        try:
            report = _in_its_time(self._located(report, received), device, refused)
            return events_of(report, device, received, protocol=protocol)
        except Exception as error:
            # A mistake of ours: what is sent again for it would meet it again, for ever.
            _log.exception("a report of %s could not be written", protocol)
            refused.append(RefusedPart("internal_error", type(error).__name__))
            return []

    def _located(self, report: Report, received: datetime) -> Report:
        """Find positions for a report that has only what the device heard, if any is on record.

        What was heard at different times was heard at different places.
        """
        if report.positions or self._locator is None:
            return report
        heard: dict[datetime | None, tuple[list[Tower], list[AccessPoint]]] = {}
        for tower in report.towers:
            heard.setdefault(tower.time, ([], []))[0].append(tower)
        for point in report.access_points:
            heard.setdefault(point.time, ([], []))[1].append(point)
        positions = []
        for time, (towers, points) in heard.items():
            if time is None and report.stored:
                continue  # nobody knows when that was
            position = self._locator.locate(towers, points, time or received)
            found = "nothing" if position is None else position.source
            self.metrics.add("geomon_gateway_located_total", found)
            if position is not None:
                positions.append(position)
        if not positions:
            return report
        positions.sort(key=lambda position: position.time)
        return msgspec.structs.replace(report, positions=positions, datum="wgs84")


def _in_its_time(report: Report, device: Device, refused: list[RefusedPart]) -> Report:
    """Leave out what is of a time at which the device was not this person's.

    A device that is handed on has positions of the one before in its memory.
    """
    if device.from_s == float("-inf") and device.until_s == float("inf"):
        return report
    positions, told = [], report.check_in
    for number, position in enumerate(report.positions):
        if device.from_s <= position.time.timestamp() < device.until_s:
            positions.append(position)
        else:
            refused.append(RefusedPart("not_its_time", position.time.isoformat(), number))
    if told is not None and not device.from_s <= told.time.timestamp() < device.until_s:
        refused.append(RefusedPart("not_its_time", told.time.isoformat()))
        told = None
    if told is report.check_in and len(positions) == len(report.positions):
        return report
    return msgspec.structs.replace(report, positions=positions, check_in=told)


async def _all(puts: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Wait for all, in whatever order; raise the first error only when none is under way."""
    for error in await asyncio.gather(*puts, return_exceptions=True):
        if isinstance(error, BaseException):
            raise error
