"""What is read from the requests of phones; positions are of Shenzhen."""

from __future__ import annotations

from datetime import datetime, timezone

from geomon.gateway import osmand
from geomon.gateway.registry import Device
from geomon.gateway.reports import Position, Report

NOON = datetime(2024, 2, 13, 4, 0, tzinfo=timezone.utc)
NOON_S = 1_707_796_800
PHONE = Device(device_id="phone-3", supervisee_id="SZ-0001", device="phone", datum="wgs84")


def asked(query: str) -> Report:
    return osmand.read(osmand.parameters_of(query))


def only(reports: list[Report]) -> Report:
    (report,) = reports
    return report


def position(report: Report) -> Position:
    assert report.refused == []
    (found,) = report.positions
    return found


def refused(report: Report) -> str:
    assert report.positions == []
    (part,) = report.refused
    return part.reason
