"""What a GT06 terminal reports of itself, by the number of its message.

Degrees are in 1/1,800,000 without a sign: the status says north and west, and whether there is a
position at all. Without one, the coordinates in the message are old and are left out.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Literal

from geomon.gateway.reports import AccessPoint, Position, Report, Tower

__all__ = ["ALARMS", "READERS", "time_of"]

#: Reads a message's content into a report, with the offset of its times from UTC, in s. Raises
#: `struct.error` where it is too short, `ValueError` where its time is none.
Reader = Callable[[Report, bytes, int], None]

_DEGREE = 1_800_000
_WEST, _NORTH, _POSITIONED, _COURSE = 1 << 11, 1 << 10, 1 << 12, 0x03FF
_GPS = struct.Struct(">BIIBH")

#: Voltage levels, which go from none to extremely high, as the percentage of a battery that they
#: stand for here: at 2, by the protocol, the terminal gives its alarm for a low battery.
_LEVELS = (0.0, 5.0, 15.0, 35.0, 55.0, 75.0, 100.0)

#: What an alarm says, by its byte. Code: in the protocol's words.
ALARMS: Mapping[int, str] = {
    0x01: "SOS",
    0x02: "power cut",
    0x03: "vibration",
    0x04: "entered fence",
    0x05: "left fence",
    0x06: "overspeed",
    0x09: "moved",
    0x0A: "entered GPS blind spot",
    0x0B: "left GPS blind spot",
    0x0C: "powered on",
    0x0D: "first fix",
    0x0E: "external battery low",
    0x0F: "external battery low: protection",
    0x10: "SIM changed",
    0x11: "powered off",
    0x12: "flight mode: protection",
    0x13: "tamper",
    0x14: "door",
    0x15: "powered off: battery low",
    0x16: "sound",
    0x17: "rogue base station",
    0x18: "cover removed",
    0x19: "internal battery low",
    0x20: "deep sleep",
    0x23: "fall",
    0x32: "unplugged",
}
#: The alarm among the bits of the terminal's state, where it is not normal.
_STATE_ALARMS = {1: "vibration", 2: "power cut", 3: "battery low", 4: "SOS", 7: "removed"}


def time_of(content: bytes, offset_s: int) -> datetime:
    """Read a time, a byte each from year to second. Raises `ValueError` or `struct.error`."""
    year, month, day, hour, minute, second = struct.unpack_from("6B", content)
    try:
        local = datetime(2000 + year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        raise ValueError(content[:6].hex()) from None
    return local - timedelta(seconds=offset_s)


def _gps(report: Report, content: bytes, offset_s: int) -> int:
    """Read time and position, if there is one; give where they end."""
    time = time_of(content, offset_s)
    satellites, lat, lon, speed, status = _GPS.unpack_from(content, 6)
    report.signs.append(f"satellites {satellites & 0x0F}")
    if status & _POSITIONED:
        report.positions = [
            Position(
                time,
                -lon / _DEGREE if status & _WEST else lon / _DEGREE,
                lat / _DEGREE if status & _NORTH else -lat / _DEGREE,
                "gnss",
                speed_mps=speed / 3.6,
                heading_deg=float(status & _COURSE) if status & _COURSE < 360 else None,
            )
        ]
    return 6 + _GPS.size


def _network(content: bytes, begin: int) -> tuple[int, int, int]:
    """Read MCC and MNC (wider where the MCC's top bit says so); give where they end, too."""
    mcc, mnc = struct.unpack_from(">HB", content, begin)
    if mcc & 0x8000:
        (mnc,) = struct.unpack_from(">H", content, begin + 2)
        return mcc & 0x7FFF, mnc, begin + 4
    return mcc, mnc, begin + 3


def _tower(
    report: Report, content: bytes, begin: int, time: datetime | None, wide: bool = False
) -> int:
    """Read the cell that a terminal is in; give where it ends."""
    mcc, mnc, begin = _network(content, begin)
    lac, cell, begin = _cell(content, begin, wide)
    if lac or cell:
        report.towers.append(Tower(mcc, mnc, lac, cell, time=time))
    return begin


def _cell(content: bytes, begin: int, wide: bool) -> tuple[int, int, int]:
    if wide:
        lac, cell = struct.unpack_from(">IQ", content, begin)
        return lac, cell, begin + 12
    lac, high, low = struct.unpack_from(">HBH", content, begin)
    return lac, high << 16 | low, begin + 5


def _state(report: Report, content: bytes, begin: int, alarm: bool) -> None:
    """Read the terminal's state: its bits, voltage and signal levels, and an alarm."""
    bits, level, signal = struct.unpack_from("3B", content, begin)
    report.charging = bool(bits & 4)
    if level < len(_LEVELS):
        report.battery_pct = _LEVELS[level]
    report.signs += [f"voltage level {level}", f"signal level {signal}"]
    code = content[begin + 3] if alarm and len(content) > begin + 3 else 0
    told = [_STATE_ALARMS[bits >> 3 & 7]] if bits >> 3 & 7 in _STATE_ALARMS else []
    if code:
        told.append(ALARMS.get(code, f"alarm {code:02x}"))
    report.signs += dict.fromkeys(told)
    if code == 0x13 or "removed" in told:
        report.strap = "open"
    if code == 0x18:
        report.case = "open"
    if code in {0x11, 0x15}:
        report.power = "off"
    elif code == 0x0C:
        report.power = "on"


def _heartbeat(report: Report, content: bytes, _: int) -> None:
    if len(content) >= 6:
        # 0x23, and some of 0x13: a voltage of two bytes, whose scale differs, for the level.
        report.charging = bool(content[0] & 4)
        report.signs.append(f"voltage {int.from_bytes(content[1:3], 'big')}")
    else:
        _state(report, content, 0, alarm=False)


def _location(kind: Literal["gps", "gps+cell", "utc", "4g"]) -> Reader:
    def read(report: Report, content: bytes, offset_s: int) -> None:
        begin = _gps(report, content, offset_s)
        if kind == "gps" or len(content) == begin:
            return
        time = time_of(content, offset_s)
        begin = _tower(report, content, begin, time, wide=kind == "4g")
        if kind != "gps+cell" and len(content) >= begin + 3:
            # ACC, mode of upload, and whether it was kept and is sent again.
            report.stored = content[begin + 2] == 1

    return read


def _alarm(wide: bool) -> Reader:
    def read(report: Report, content: bytes, offset_s: int) -> None:
        begin = _gps(report, content, offset_s)
        (size,) = struct.unpack_from("B", content, begin)
        if size > 1:
            _tower(report, content, begin + 1, time_of(content, offset_s), wide)
        _state(report, content, begin + max(size, 1), alarm=True)

    return read


def _cell_and_state(report: Report, content: bytes, _: int) -> None:
    _state(report, content, _tower(report, content, 0, None), alarm=True)


def _heard(wifi: bool, wide: bool = False) -> Reader:
    """Towers, and access points, of a terminal that has no position by satellites."""

    def read(report: Report, content: bytes, offset_s: int) -> None:
        time = time_of(content, offset_s)
        mcc, mnc, begin = _network(content, 6)
        for _ in range(7):
            lac, cell, begin = _cell(content, begin, wide)
            begin += 1  # signal: from weakest to strongest, in no unit
            if (lac or cell) and lac != 0xFFFF:
                report.towers.append(Tower(mcc, mnc, lac, cell, time=time))
        if wifi:
            (count,) = struct.unpack_from("B", content, begin + 1)  # after the timing advance
            for place in range(begin + 2, begin + 2 + 7 * count, 7):
                mac, _ = struct.unpack_from("6sB", content, place)
                report.access_points.append(AccessPoint(mac.hex(":"), time=time))

    return read


def _text(report: Report, content: bytes, _: int) -> None:
    words = content[5:] if len(content) > 5 else b""
    report.signs.append("says " + words.decode("ascii", "replace").strip("\0"))


READERS: Mapping[int, Reader] = {
    0x10: _location("gps"),
    0x12: _location("gps+cell"),
    0x13: _heartbeat,
    0x15: _text,
    0x16: _alarm(wide=False),
    0x18: _heard(wifi=False),
    0x19: _cell_and_state,
    0x21: _text,
    0x22: _location("utc"),
    0x23: _heartbeat,
    0x26: _alarm(wide=False),
    0x27: _alarm(wide=False),
    0x28: _heard(wifi=False),
    0x2A: _location("gps"),
    0x2C: _heard(wifi=True),
    0xA0: _location("4g"),
    0xA1: _heard(wifi=False, wide=True),
    0xA4: _alarm(wide=True),
}
