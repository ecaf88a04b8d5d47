"""geomon's own JSON over HTTP: the contract's uploads, one, a list, or one a line.

An upload is written as in the contract, less what the gateway knows better: `supervisee_id` and
`device` come from the registry, `received` from the clock here. Whoever names another person, or
another device than the one asking, is turned away. A `check_in` may stand among uploads. Besides
what the contract has there may be, kept as they are:

    cells           [{"mcc", "mnc", "lac", "cell", "radio", "signal_dbm", "time"}]
    wifi            [{"bssid", "signal_dbm", "time"}]
    device_signs    ["what the device says besides"]
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from geomon import decoding, events
from geomon.errors import Refusal
from geomon.gateway.registry import Device, NotAdmitted
from geomon.gateway.reports import (
    AccessPoint,
    CheckedIn,
    Position,
    RefusedPart,
    Report,
    Tower,
    check_pieces,
)

__all__ = ["Sent", "read", "reports_of", "speaker"]


class Sent(msgspec.Struct, gc=False):
    """An upload that can be read at once."""

    fixes: list[Position]
    type: Literal["upload"] = "upload"
    supervisee_id: str | None = None
    device_id: str | None = None
    datum: str | None = None
    battery_pct: float | None = None
    charging: bool | None = None
    strap: Literal["closed", "open"] | None = None
    case: Literal["closed", "open"] | None = None
    power: Literal["on", "off"] | None = None
    stored: bool = False
    seq: int | None = None
    cells: list[Tower] = []
    wifi: list[AccessPoint] = []
    device_signs: list[str] = []


#: What is not read at once is looked at piece by piece: any JSON, or a line that is none.
Item = Sent | dict[str, Any] | Refusal

_quick = msgspec.json.Decoder(Sent | list[Sent])
_quick_one = msgspec.json.Decoder(Sent)


def read(body: bytes) -> list[Item]:
    """Read the uploads of a request. Raises `Refusal` when the whole of it is no JSON."""
    try:
        sent = _quick.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _piecewise(body)
    if not isinstance(sent, list):
        return [sent]
    check_pieces(sent)
    return list(sent)


def speaker(items: Iterable[Item], device_id: str = "") -> str:
    """Give the one device that uploads name, or the one asking; empty when none is named.

    Raises `NotAdmitted` (another_device) when there are two.
    """
    for named in _named(items, "device_id"):
        if device_id and named != device_id:
            raise NotAdmitted("another_device")
        device_id = named
    return device_id


def reports_of(items: Sequence[Item], device: Device) -> list[Report]:
    """Give a report for each upload. What cannot be taken is in the reports' `refused`.

    Raises `NotAdmitted` (another_person) when one is said to be of another than the device's.
    """
    if any(named != device.supervisee_id for named in _named(items, "supervisee_id")):
        raise NotAdmitted("another_person")
    reports = []
    for number, item in enumerate(items):
        if isinstance(item, Sent):
            reports.append(_quickly(item))
            continue
        try:
            if isinstance(item, Refusal):
                raise item
            reports.append(_slowly(item, device))
        except Refusal as refusal:
            detail = f"upload {number}: {refusal.detail}" if len(items) > 1 else refusal.detail
            reports.append(Report(refused=[RefusedPart(refusal.reason, detail)]))
    return reports


def _named(items: Iterable[Item], field: str) -> set[str]:
    named = set()
    for item in items:
        if isinstance(item, Sent):
            value = getattr(item, field)
        else:
            value = item.get(field) if isinstance(item, dict) else None
        if value is not None:
            named.add(value if isinstance(value, str) else repr(value))
    return named


def _quickly(sent: Sent) -> Report:
    return Report(
        positions=sent.fixes,
        datum=sent.datum,
        battery_pct=sent.battery_pct,
        charging=sent.charging,
        strap=sent.strap,
        case=sent.case,
        power=sent.power,
        stored=sent.stored,
        seq=sent.seq,
        towers=sent.cells,
        access_points=sent.wifi,
        signs=sent.device_signs,
    )


def _slowly(item: dict[str, Any], device: Device) -> Report:
    """Read an upload as the contract does, fix by fix."""
    whole = {"type": "upload", **item}
    whole |= {"supervisee_id": device.supervisee_id, "device_id": device.device_id}
    whole["device"] = device.device
    whole.pop("received", None)
    event, refused = decoding.decode(json.dumps(whole).encode())
    if isinstance(event, events.CheckIn):
        return Report(check_in=CheckedIn(event.time, event.verified))
    if not isinstance(event, events.Upload):
        raise Refusal("unknown_type", "only uploads and check-ins are taken from devices")
    towers, bad_towers = _sound(item.get("cells"), Tower, "cells")
    points, bad_points = _sound(item.get("wifi"), AccessPoint, "wifi")
    signs, bad_signs = _sound(item.get("device_signs"), str, "device_signs")
    parts = [RefusedPart(part.reason, part.detail, part.at) for part in refused]
    positions = []
    gone = {part.at for part in refused}
    sent_at = (at for at in range(len(event.fixes) + len(gone)) if at not in gone)
    for at, fix in zip(sent_at, event.fixes, strict=True):
        if _is_finite(fix):
            positions.append(msgspec.convert(fix, Position, from_attributes=True))
        else:
            parts.append(RefusedPart("not_finite", "", at))
    return Report(
        positions=positions,
        datum=None if event.datum is None else str(event.datum)[:32],
        battery_pct=_finite(event.battery_pct),
        charging=event.charging,
        strap=event.strap,
        case=event.case,
        power=event.power,
        stored=event.stored,
        seq=event.seq,
        towers=towers,
        access_points=points,
        signs=signs,
        refused=parts + bad_towers + bad_points + bad_signs,
    )


def _finite(number: float | None) -> float | None:
    return number if number is None or math.isfinite(number) else None


def _is_finite(fix: events.Fix) -> bool:
    """Say whether JSON can carry all numbers of a fix."""
    numbers = (fix.lon, fix.lat, fix.accuracy_m, fix.speed_mps, fix.heading_deg, fix.altitude_m)
    return all(number is None or math.isfinite(number) for number in numbers)


def _sound(value: Any, kind: Any, field: str) -> tuple[list[Any], list[RefusedPart]]:
    """Give what can be read of a list, and what cannot as parts refused."""
    if value is None:
        return [], []
    if not isinstance(value, list):
        return [], [RefusedPart("wrong_type", field)]
    good, bad = [], []
    for at, one in enumerate(value):
        try:
            good.append(msgspec.convert(one, kind))
        except msgspec.ValidationError:
            bad.append(RefusedPart("wrong_type", f"{field}[{at}]"))
    return good, bad[:1]  # one is enough to find the mistake by


def _piecewise(body: bytes) -> list[Item]:
    try:
        parsed = decoding.parse_json(body)
    except Refusal as refusal:
        lines = [line for line in body.splitlines() if line.strip()]
        if refusal.reason == "too_deep" or len(lines) < 2:
            raise
        check_pieces(lines)
        items = [_line(line) for line in lines]
        if all(isinstance(item, Refusal) for item in items):
            raise  # no line of it is JSON: this was never meant to be lines
        return items
    if not isinstance(parsed, list):
        return [_item(parsed)]
    check_pieces(parsed)
    return [_item(one) for one in parsed]


def _line(line: bytes) -> Item:
    try:
        return _quick_one.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return _item(decoding.parse_json(line))
    except Refusal as refusal:
        return refusal


def _item(parsed: Any) -> Item:
    if isinstance(parsed, dict):
        return parsed
    return Refusal("not_an_object", type(parsed).__name__)
