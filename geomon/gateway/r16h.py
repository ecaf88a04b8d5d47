"""The text protocol of the R16H wristband: messages from "@" to "$", fields between commas.

    @LINK,imei$
    @GPSD,imei,kind,YYYYMMDD,hhmmss,lat,N|S,lon,E|W,km/h,course,altitude,battery,strap,flag$
    @LBSD,imei,kind,YYYYMMDD,hhmmss,mcc-mnc-lac-cell:dBm,,,battery,strap,flag$

`kind` is R (live) or S (stored, sent late); `lat` and `lon` are decimal degrees; LAC and cell are
in hex; `battery` is in percent; `strap` is L (locked) or R (released); `flag` is empty, SOS, LBT
(battery low) or ULK (unlocked). The maker's description is not public. The form is that of the
decoder and the three messages of Traccar (R16hProtocol, R16hProtocolDecoder and its test, 2026;
read as facts). Three things are not said there and are assumed here: times are UTC unless the
registry's `model` says otherwise (`utc+8`); what else stands between time and battery in @LBSD may
be further towers of the same form; there is no answer of any kind.

So a wristband cannot know what arrived. All that a gateway can do while Kafka is away is not to
read on, until the wristband's own buffers are full and it keeps what it has. And it proves nothing:
only a device without a secret in the registry is let in by this way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from math import inf

from geomon.gateway.registry import Device, NotAdmitted, NotReady
from geomon.gateway.reports import Position, RefusedPart, Report, Tower
from geomon.gateway.talk import BadFrame, Find, Turn, find_unproven, quirks_of, turned_away

__all__ = ["LONGEST", "Framer", "R16hTalk"]

#: The longest message, in bytes; those known have about 100.
LONGEST = 1024
_HEAD = re.compile(r"@([A-Z0-9]{1,8}),([0-9]{1,20})(?:,(.*))?", re.DOTALL)
_POSITION = re.compile(
    r"([0-9]{1,3}(?:\.[0-9]{1,12})?),([NS]),([0-9]{1,3}(?:\.[0-9]{1,12})?),([EW]),"
    r"([0-9]{1,4}(?:\.[0-9]{1,4})?),([0-9]{1,3}(?:\.[0-9]{1,4})?),(-?[0-9]{1,5}(?:\.[0-9]{1,4})?)"
)
_TOWER = re.compile(
    r"([0-9]{1,4})-([0-9]{1,4})-([0-9A-Fa-f]{1,8})-([0-9A-Fa-f]{1,9}):(-?[0-9]{1,3})"
)
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d),(\d\d)(\d\d)(\d\d)", re.ASCII)
_LINK, _GPS, _CELLS = "LINK", "GPSD", "LBSD"
_FLAGS = {"SOS": "SOS", "LBT": "battery low", "ULK": "unlocked"}


class Framer:
    """Finds messages in bytes that come in any pieces; keeps at most `LONGEST` bytes."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str | BadFrame]:
        """Take bytes; give the messages that they completed, without their "$"."""
        pieces = (self._rest + data if self._rest else data).split(b"$")
        found: list[str | BadFrame] = []
        for piece in pieces[:-1]:
            begin = piece.rfind(b"@")
            if piece[: max(begin, 0)].strip():
                # What was cut short, or is none: the message after it is whole.
                found.append(BadFrame("not_of_protocol", "bytes before @"))
            if begin < 0 or len(piece) - begin > LONGEST:
                found.append(BadFrame("bad_length", f"{len(piece)} bytes before $"))
            elif piece[begin:].isascii():
                found.append(piece[begin:].decode("ascii"))
            else:
                found.append(BadFrame("not_of_protocol", "not ASCII"))
        rest = pieces[-1]
        begin = rest.rfind(b"@")
        if rest[: max(begin, 0)].strip() or (begin < 0 and rest.strip()):
            found.append(BadFrame("not_of_protocol", "bytes before @"))
        self._rest = rest[begin:] if begin >= 0 else b""
        if len(self._rest) > LONGEST:
            self._rest = b""
            found.append(BadFrame("bad_length", f"no $ in {LONGEST} bytes"))
        return found


class R16hTalk:
    """What one wristband says; it is answered nothing."""

    __slots__ = ("_find", "_framer", "device")

    due_s = inf  # nothing is waited for
    answers = False

    def __init__(self, find: Find) -> None:
        self._find = find
        self._framer = Framer()
        self.device: Device | None = None

    def receive(self, data: bytes, now_s: float) -> list[Turn]:  # noqa: ARG002
        """Take bytes; give the turns of the messages that they completed, in order."""
        return [
            Turn(unreadable=text.reason) if isinstance(text, BadFrame) else self._turn(text)
            for text in self._framer.feed(data)
        ]

    def tick(self, now_s: float) -> list[Turn]:  # noqa: ARG002
        """Say nothing: nothing is waited for."""
        return []

    def ask(self, interval_s: int, for_s: int) -> bytes:  # noqa: ARG002
        """Write nothing: how often to report is in no public form of the protocol."""
        return b""

    def _turn(self, text: str) -> Turn:
        head = _HEAD.fullmatch(text.rstrip())
        if head is None:
            return Turn(unreadable="not_of_protocol")
        kind, imei, rest = head[1], head[2], head[3] or ""
        try:
            device = self._known(imei)
        except (NotAdmitted, NotReady) as error:
            self.device = None
            return turned_away(error)
        report = Report()
        if kind in {_GPS, _CELLS}:
            _read(report, kind, rest.split(","), device)
        elif kind != _LINK:
            report.signs.append(text)
        return Turn(device=device, reports=[report], raw=f"{text}$".encode())

    def _known(self, imei: str) -> Device:
        """Give the device of a message: the one of the connection, as it is announced now."""
        if self.device is not None and imei != self.device.device_id:
            raise NotAdmitted("another_device")
        self.device = find_unproven(self._find, imei)
        return self.device


def _read(report: Report, kind: str, fields: Sequence[str], device: Device) -> None:
    """Read what follows the IMEI; what is wrong goes among the report's refused parts."""
    if len(fields) < 6:
        report.refused.append(RefusedPart("missing_field", f"{len(fields)} fields after the IMEI"))
        return
    kept, middle, (battery, strap, flag) = fields[0], fields[3:-3], fields[-3:]
    report.stored = kept == "S"
    _read_state(report, battery, strap, flag)
    if kept not in {"R", "S"}:
        report.refused.append(RefusedPart("bad_value", "neither R nor S"))
    try:
        time = _time(f"{fields[1]},{fields[2]}", device)
    except ValueError:
        report.refused.append(RefusedPart("bad_time", f"{fields[1]},{fields[2]}"[:40], 0))
        return
    if kind == _GPS:
        match = _POSITION.fullmatch(",".join(middle))
        if match is None:
            report.refused.append(RefusedPart("bad_value", ",".join(middle)[:80], 0))
            return
        lat, north, lon, east, speed, course, altitude = match.groups()
        report.positions = [
            Position(
                time,
                float(lon) if east == "E" else -float(lon),
                float(lat) if north == "N" else -float(lat),
                "gnss",
                speed_mps=float(speed) / 3.6,
                heading_deg=float(course) if float(course) < 360 else None,
                altitude_m=float(altitude),
            )
        ]
        return
    for field in filter(None, middle):
        match = _TOWER.fullmatch(field)
        if match is None:
            report.signs.append(f"heard {field}")
            continue
        mcc, mnc, lac, cell, dbm = match.groups()
        signal = float(dbm) if int(dbm) < 0 else None
        report.towers.append(
            Tower(int(mcc), int(mnc), int(lac, 16), int(cell, 16), signal_dbm=signal, time=time)
        )


def _read_state(report: Report, battery: str, strap: str, flag: str) -> None:
    if battery.isdecimal() and len(battery) <= 3 and int(battery) <= 100:
        report.battery_pct = float(battery)
    else:
        report.refused.append(RefusedPart("bad_value", f"battery {battery[:20]}"))
    if strap == "R" or flag == "ULK":
        report.strap = "open"
    elif strap == "L":
        report.strap = "closed"
    else:
        report.refused.append(RefusedPart("bad_value", f"strap {strap[:20]}"))
    if flag:
        report.signs.append(_FLAGS.get(flag, f"flag {flag}"))


def _time(text: str, device: Device) -> datetime:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = map(int, match.groups())
    local = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    try:
        return local - timedelta(seconds=quirks_of(device.model).offset_s or 0)
    except OverflowError:
        raise ValueError(text) from None
