"""What a JT/T 808 terminal reports of itself: positions, alarms, and what is added to them.

Times are of GMT+8, speeds in 0.1 km/h, degrees in millionths without a sign: south and west are
bits of the status, and so is whether there is a position at all. Without one, the coordinates in
the message are old or zero and are left out: the terminal was heard from, and no more.

Vendors add items of their own, and two may give one number to two things. Those that are read here
are of public documents and of the length that these say; any other is kept as it is, in hex.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone

from geomon.events import SourceName
from geomon.gateway.jt808.frames import Edition
from geomon.gateway.reports import AccessPoint, Position, RefusedPart, Report, Tower
from geomon.gateway.talk import Quirks

__all__ = ["ALARMS", "ALARMS_2019", "BASIC", "batch_of", "report_of", "time_of"]

#: Alarm bits that mean the same in both editions, in the words of the standard.
ALARMS: Mapping[int, str] = {
    0: "emergency (SOS)",
    1: "overspeed",
    2: "fatigue driving",
    3: "danger warning",
    4: "GNSS module fault",
    5: "GNSS antenna open or cut",
    6: "GNSS antenna shorted",
    7: "main supply low",
    8: "main supply off",
    9: "display fault",
    10: "TTS fault",
    11: "camera fault",
    12: "IC card fault",
    13: "overspeed warning",
    14: "fatigue warning",
    18: "driving overtime today",
    19: "parked too long",
    20: "in or out of a zone",
    21: "in or out of a route",
    22: "time on a road section",
    23: "off route",
    24: "VSS fault",
    25: "fuel abnormal",
    26: "stolen",
    27: "illegal ignition",
    28: "illegal displacement",
    29: "collision warning",
    30: "rollover warning",
}
#: Bits that only the 2019 edition names. Makers of trackers use them for what they like (17, by
#: public documents: removed), so they are told by these names of terminals of that edition alone.
ALARMS_2019: Mapping[int, str] = {
    15: "illegal driving",
    16: "tyre pressure warning",
    17: "right blind spot",
}

#: Alarm, status, latitude, longitude, altitude (m), speed, direction, time: what is always there.
BASIC = struct.Struct(">IIIIhHH6s")
_POSITIONED, _SOUTH, _WEST = 1 << 1, 1 << 2, 1 << 3
_BY_SATELLITES = 0xF << 18  # GPS, BeiDou, GLONASS, Galileo
_CHINA_S = 8 * 3600
_DEGREE = 1_000_000
_BATCH = struct.Struct(">HB")
_STORED = 1
_LONGEST_ITEM = 40  # bytes of an unknown item that are kept
_MOST_ITEMS = 48


def report_of(body: bytes, edition: Edition, quirks: Quirks, serial: int) -> Report:
    """Read a position report (0x0200). What is wrong in it is among the report's refused parts."""
    if len(body) < BASIC.size:
        return Report(refused=[RefusedPart("bad_length", f"position of {len(body)} bytes")])
    alarm, status, lat, lon, altitude, speed, heading, bcd = BASIC.unpack_from(body)
    report = Report(seq=serial, signs=_alarms(alarm, edition))
    if quirks.strap_bit is not None and alarm >> quirks.strap_bit & 1:
        report.strap = "open"
    if quirks.case_bit is not None and alarm >> quirks.case_bit & 1:
        report.case = "open"
    try:
        time = time_of(bcd, quirks)
    except ValueError:
        report.refused = [RefusedPart("bad_time", bcd.hex(), 0)]
        time = None
    satellites = _add_items(report, body, time)
    if time is not None and status & _POSITIONED:
        by_satellites = status & _BY_SATELLITES or satellites
        source: SourceName = "gnss" if by_satellites else "unknown"
        report.positions = [
            Position(
                time,
                -lon / _DEGREE if status & _WEST else lon / _DEGREE,
                -lat / _DEGREE if status & _SOUTH else lat / _DEGREE,
                source,
                speed_mps=speed / 36,
                heading_deg=float(heading) if heading < 360 else None,
                altitude_m=float(altitude),
            )
        ]
    return report


def batch_of(body: bytes, edition: Edition, quirks: Quirks, serial: int) -> Report:
    """Read many positions at once (0x0704) as one report.

    Those of the type "blind area" were kept while the terminal was out of coverage: stored. What is
    said of the terminal itself is taken from the newest, signs from all.
    """
    if len(body) < _BATCH.size:
        return Report(refused=[RefusedPart("bad_length", f"batch of {len(body)} bytes")])
    count, kind = _BATCH.unpack_from(body)
    whole = Report(seq=serial, stored=kind == _STORED)
    refused: list[RefusedPart] = []
    signs: dict[str, None] = {}
    newest: datetime | None = None
    number = 0
    for number, item in enumerate(_bodies(body, count), 1):
        one = report_of(item, edition, quirks, serial)
        refused += [RefusedPart(part.reason, part.detail, number - 1) for part in one.refused]
        whole.positions += one.positions
        whole.towers += one.towers
        whole.access_points += one.access_points
        signs.update(dict.fromkeys(one.signs))
        whole.strap, whole.case = one.strap or whole.strap, one.case or whole.case
        time = max((position.time for position in one.positions), default=None)
        if newest is None or (time is not None and time >= newest):
            newest = time or newest
            if one.battery_pct is not None:
                whole.battery_pct = one.battery_pct
            if one.charging is not None:
                whole.charging = one.charging
    if number < count:
        refused.append(RefusedPart("bad_length", f"{number} of {count} positions", number))
    whole.refused = refused
    whole.signs = list(signs)
    return whole


def time_of(bcd: bytes, quirks: Quirks) -> datetime:
    """Read YYMMDDhhmmss in BCD, of the terminal's clock, as aware UTC. Raises `ValueError`."""
    year, month, day, hour, minute, second = (int(f"{byte:02x}") for byte in bcd)
    offset_s = _CHINA_S if quirks.offset_s is None else quirks.offset_s
    local = datetime(2000 + year, month, day, hour, minute, second, tzinfo=timezone.utc)
    return local - timedelta(seconds=offset_s)


def _bodies(body: bytes, count: int) -> Iterator[bytes]:
    """Give the bodies of a batch, up to the first that is not whole."""
    at = _BATCH.size
    for _ in range(count):
        size = int.from_bytes(body[at : at + 2], "big")
        at += 2
        if at + size > len(body) or not size:
            return
        yield body[at : at + size]
        at += size


def _alarms(alarm: int, edition: Edition) -> list[str]:
    if not alarm:
        return []
    named = {**ALARMS, **ALARMS_2019} if edition == 2019 else ALARMS
    return [named.get(bit, f"alarm bit {bit}") for bit in range(32) if alarm >> bit & 1]


def _add_items(report: Report, body: bytes, time: datetime | None) -> int:
    """Read what is added to a position; give the number of satellites, 0 where it is not said."""
    at, satellites = BASIC.size, 0
    for _ in range(_MOST_ITEMS):
        if at + 2 > len(body):
            break
        item, size = body[at], body[at + 1]
        value = body[at + 2 : at + 2 + size]
        at += 2 + size
        if len(value) < size:
            # A common fault of terminals: the position before it is whole, and is kept.
            report.signs.append(f"item {item:02x} cut off after {len(value)} of {size} bytes")
            break
        if item == 0x31 and size == 1:
            satellites = value[0]
            report.signs.append(f"satellites {satellites}")
        elif not _is_read(report, item, value, time):
            cut = value[:_LONGEST_ITEM].hex() + ("..." if size > _LONGEST_ITEM else "")
            report.signs.append(f"item {item:02x}: {cut}")
    return satellites


def _is_read(report: Report, item: int, value: bytes, time: datetime | None) -> bool:
    """Take one additional item into the report; say whether it is one that is known."""
    size = len(value)
    if item == 0x01 and size == 4:
        report.signs.append(f"mileage {int.from_bytes(value, 'big') / 10:.1f} km")
    elif item == 0x30 and size == 1:
        report.signs.append(f"signal {value[0]}")
    elif item in {0xD4, 0xFE} and size == 1 and value[0] <= 100:
        report.battery_pct = float(value[0])
    elif item == 0xE4 and size == 2 and value[1] <= 100:
        report.battery_pct = float(value[1])
    elif item == 0x56 and size == 2 and value[0] <= 10 and value[1] <= 100:
        # Tenths, which all devices send, and percent, which some do.
        report.battery_pct = float(value[1] or value[0] * 10)
    elif item in {0x53, 0x5D} and size and size == 1 + value[0] * (8 if item == 0x53 else 10):
        report.towers += _towers(value, item == 0x5D, time)
    elif item == 0x54 and size and size == 1 + value[0] * 7:
        report.access_points += [
            AccessPoint(value[at : at + 6].hex(":"), _dbm(value[at + 6]), time)
            for at in range(1, size, 7)
        ]
    else:
        return False
    return True


def _towers(value: bytes, lte: bool, time: datetime | None) -> Iterator[Tower]:
    form = struct.Struct(">HBHIB" if lte else ">HBHHB")
    for mcc, mnc, lac, cell, signal in form.iter_unpack(value[1:]):
        yield Tower(mcc, mnc, lac, cell, "lte" if lte else "gsm", _dbm(signal), time)


def _dbm(signal: int) -> float | None:
    """Give a signal that is written as dBm in two's complement; other scales are not documented."""
    return float(signal - 256) if signal > 127 else None
