"""What a device reports, whatever protocol it speaks, and the contract events made of it.

A protocol's module gives a `Report` for each upload; `events_of` writes it as the contract's JSON.
Positions stay as the device gave them, in its datum: nothing is converted, smoothed or made up.
What the contract has no word for (towers, access points, what the device says in its own words) is
kept in the event under names that the contract ignores, so that it is in the recording.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, Literal

import msgspec

from geomon.errors import Refusal
from geomon.events import MAX_BYTES, MAX_FIXES, AwareTime, SourceName
from geomon.gateway.registry import Device

__all__ = [
    "AccessPoint",
    "CheckedIn",
    "Position",
    "RefusedPart",
    "Report",
    "Tower",
    "at",
    "check_pieces",
    "events_of",
    "few_of",
    "telling",
]

#: As many uploads as fit into one message of a real device, and many more: each costs memory before
#: it is known who sends them.
_MOST_PIECES = 10_000
#: As much of what is refused of one message is kept as tells what is wrong with it.
_MOST_REFUSED = 20

#: What a device says besides is cut to so many words of so many characters.
_MOST_SIGNS, _LONGEST_SIGN = 64, 200


class Position(msgspec.Struct, omit_defaults=True, gc=False):
    """A position as the device gave it: degrees in its datum, aware UTC time, metres, seconds.

    Written as it stands it is a fix of the contract.
    """

    time: AwareTime
    lon: float
    lat: float
    source: SourceName = "unknown"
    accuracy_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    altitude_m: float | None = None
    mock: bool | None = None


class Tower(msgspec.Struct, omit_defaults=True, gc=False):
    """A cell that the device heard: MCC 460 is China; `lac` is the TAC of LTE and 5G.

    `radio` is gsm, cdma, wcdma, lte or nr; empty when the device does not say it.
    """

    mcc: int
    mnc: int
    lac: int
    cell: int
    radio: str = ""
    signal_dbm: float | None = None
    time: AwareTime | None = None


class AccessPoint(msgspec.Struct, omit_defaults=True, gc=False):
    """A WiFi access point that the device heard; `bssid` as aa:bb:cc:dd:ee:ff."""

    bssid: str
    signal_dbm: float | None = None
    time: AwareTime | None = None


class CheckedIn(msgspec.Struct, gc=False):
    """A check-in, from devices that can; `verified` when the device checked who it is."""

    time: datetime
    verified: bool = False


class RefusedPart(msgspec.Struct, gc=False):
    """A part of an upload that cannot be taken: `reason` is of `geomon.refusals.REASONS`.

    `fix` is its place among the positions as sent, -1 for something else.
    """

    reason: str
    detail: str = ""
    fix: int = -1


class Report(msgspec.Struct, kw_only=True):
    """One upload of one device; without positions it says that the device was heard from."""

    positions: list[Position] = []
    datum: str | None = None  # only where the device itself declares it; else the registry's
    battery_pct: float | None = None
    charging: bool | None = None
    strap: Literal["open", "closed"] | None = None
    case: Literal["open", "closed"] | None = None
    power: Literal["on", "off"] | None = None
    stored: bool = False  # from the device's memory
    seq: int | None = None
    towers: list[Tower] = []
    access_points: list[AccessPoint] = []
    signs: list[str] = []  # what the device says besides, in its own words
    check_in: CheckedIn | None = None
    refused: list[RefusedPart] = []  # what could not be taken of the upload; kept, with its reason


class _Upload(msgspec.Struct, tag_field="type", tag="upload", omit_defaults=True, gc=False):
    """An upload as it is written."""

    supervisee_id: str
    device_id: str
    device: str
    received: datetime
    fixes: list[Position]
    datum: str | None = None
    battery_pct: float | None = None
    charging: bool | None = None
    strap: str | None = None
    case: str | None = None
    power: str | None = None
    stored: bool = False
    seq: int | None = None
    cells: list[Tower] = []
    wifi: list[AccessPoint] = []
    device_signs: list[str] = []
    protocol: str = ""


class _CheckIn(msgspec.Struct, tag_field="type", tag="check_in", gc=False):
    """A check-in as it is written."""

    supervisee_id: str
    device_id: str
    time: datetime
    verified: bool
    received: datetime


_encoder = msgspec.json.Encoder()


def events_of(
    report: Report, device: Device, received: datetime, *, protocol: str = ""
) -> list[bytes]:
    """Give the contract events of a report, each of a size that the contract allows.

    `received` is when the gateway had it, aware; `protocol` is noted in the event.
    """
    event = _encoder.encode(_upload(report, device, received, protocol))
    events = [event]
    if len(event) > MAX_BYTES or len(report.positions) > MAX_FIXES:
        events = list(_uploads(report, device, received, protocol))
    if report.check_in is not None:
        told = report.check_in
        events.append(
            _encoder.encode(
                _CheckIn(
                    supervisee_id=device.supervisee_id,
                    device_id=device.device_id,
                    time=told.time,
                    verified=told.verified,
                    received=received,
                )
            )
        )
    return events


def check_pieces(pieces: list[Any]) -> None:
    """Refuse a message that is a list of too many. Raises `Refusal` (too_many_fixes)."""
    if len(pieces) > _MOST_PIECES:
        raise Refusal("too_many_fixes", f"a list of {len(pieces):,}")


def telling(reports: Sequence[Report]) -> Sequence[Report]:
    """Give the reports that say something, or one that says that the device was heard from."""
    if len(reports) < 2:
        return reports
    return [one for one in reports if not _is_bare(one)] or reports[:1]


def _is_bare(report: Report) -> bool:
    """Say whether nothing of what was sent could be taken."""
    return bool(report.refused) and report == Report(refused=report.refused)


def few_of(refused: list[RefusedPart]) -> list[RefusedPart]:
    """Give the first of what is refused of one message, the last of them with how many follow."""
    if len(refused) <= _MOST_REFUSED:
        return refused
    last = refused[_MOST_REFUSED - 1]
    more = f"{last.detail} (and {len(refused) - _MOST_REFUSED:,} parts after it)".strip()
    return [*refused[: _MOST_REFUSED - 1], RefusedPart(last.reason, more, last.fix)]


def at(posix_s: float) -> datetime:
    """Give a time in POSIX seconds as aware UTC.

    Raises `ValueError` or `OverflowError` where there is no such time.
    """
    return datetime.fromtimestamp(posix_s, timezone.utc)


def _uploads(report: Report, device: Device, received: datetime, protocol: str) -> Iterator[bytes]:
    if len(report.positions) <= MAX_FIXES:
        event = _encoder.encode(_upload(report, device, received, protocol))
        many = max(len(report.positions), len(report.towers), len(report.access_points))
        if len(event) <= MAX_BYTES or many <= 1:
            yield event
            return
    for half in _halves(report):
        yield from _uploads(half, device, received, protocol)


def _halves(report: Report) -> Iterator[Report]:
    """Cut a report that is too large for one event; what is said of the device is in both."""
    for first in (True, False):

        def cut(whole: list, first: bool = first) -> list:  # type: ignore[type-arg]
            middle = (len(whole) + 1) // 2
            return whole[:middle] if first else whole[middle:]

        yield msgspec.structs.replace(
            report,
            positions=cut(report.positions),
            towers=cut(report.towers),
            access_points=cut(report.access_points),
        )


def _upload(report: Report, device: Device, received: datetime, protocol: str) -> _Upload:
    return _Upload(
        supervisee_id=device.supervisee_id,
        device_id=device.device_id,
        device=device.device,
        received=received,
        fixes=report.positions,
        # Where neither the device nor the registry says it, it stays unsaid: such fixes are
        # refused downstream, with that reason, and nothing is assumed.
        datum=report.datum or device.datum or None,
        battery_pct=report.battery_pct,
        charging=report.charging,
        strap=report.strap,
        case=report.case,
        power=report.power,
        stored=report.stored,
        seq=report.seq,
        cells=report.towers,
        wifi=report.access_points,
        device_signs=[sign[:_LONGEST_SIGN] for sign in report.signs[:_MOST_SIGNS]]
        if report.signs
        else [],
        protocol=protocol,
    )
