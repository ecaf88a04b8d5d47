"""The gateway's side of a connection with a GT06 terminal: who it is, and what is answered.

A terminal logs in with its IMEI and has nothing to prove it with: so only a device without a secret
in the registry is let in here. What brings news is acknowledged with its number and serial, when
Kafka has it; a terminal that expects no acknowledgement of a position ignores it.

**Times.** Numbers from 0x22 on are UTC by the protocol; the older ones are in the time zone that
the terminal says at login, UTC where it says none. `utc+8` among the words of the registry's
`model` goes before both, for terminals that send local time whatever they say.
"""

from __future__ import annotations

import struct
from math import inf

from geomon.gateway.gt06.frames import Frame, Framer, encode
from geomon.gateway.gt06.messages import READERS
from geomon.gateway.registry import Device, NotAdmitted, NotReady
from geomon.gateway.reports import RefusedPart, Report, at
from geomon.gateway.talk import BadFrame, Find, Turn, find_unproven, quirks_of, turned_away

__all__ = ["Gt06Talk"]

_LOGIN, _CLOCK = 0x01, 0x8A
#: Answers to commands, a wish for an address, and data of which none is expected.
_UNANSWERED = frozenset((0x15, 0x21, 0x2A, 0x94, 0x9B))
_ALARM_WITH_FENCE = 0x27
_FIRST_UTC = 0x22
_IMEI_DIGITS = 15
_MOST_ZONE_H = 14


class Gt06Talk:
    """A conversation with one terminal."""

    __slots__ = ("_find", "_framer", "_zone_s", "device")

    due_s = inf  # nothing is waited for
    answers = True

    def __init__(self, find: Find) -> None:
        self._find = find
        self._framer = Framer()
        self._zone_s = 0
        self.device: Device | None = None

    def receive(self, data: bytes, now_s: float) -> list[Turn]:
        """Take bytes; give the turns of the messages that they completed, in order."""
        return [
            Turn(unreadable=frame.reason)
            if isinstance(frame, BadFrame)
            else self._turn(frame, now_s)
            for frame in self._framer.feed(data)
        ]

    def tick(self, now_s: float) -> list[Turn]:  # noqa: ARG002
        """Say nothing: nothing is waited for."""
        return []

    def ask(self, interval_s: int, for_s: int) -> bytes:  # noqa: ARG002
        """Write nothing: how often to report is in no public form of the protocol."""
        return b""

    def _turn(self, frame: Frame, now_s: float) -> Turn:
        try:
            if frame.number == _LOGIN:
                return self._log_in(frame)
            device = self._known()
        except (NotAdmitted, NotReady) as error:
            self.device = None
            return turned_away(error)
        if frame.number == _CLOCK:
            return Turn(device=device, answer=encode(_CLOCK, _utc(now_s), frame.serial))
        report = self._report(frame, device)
        answer = b"" if frame.number in _UNANSWERED else encode(frame.number, b"", frame.serial)
        raw = frame.raw.hex().encode() if report.refused else b""
        return Turn(device=device, reports=[report], answer=answer, raw=raw)

    def _known(self) -> Device:
        """Give the device that has logged in, as it is announced now."""
        if self.device is None:
            raise NotAdmitted("unknown_device")
        self.device = find_unproven(self._find, self.device.device_id)
        return self.device

    def _log_in(self, frame: Frame) -> Turn:
        digits = frame.content[:8].hex()
        if len(digits) != 16 or not digits.isdecimal():
            return Turn(unreadable="not_of_protocol", close=True)
        self.device = find_unproven(self._find, digits[-_IMEI_DIGITS:])
        self._zone_s = 0
        if len(frame.content) >= 12:
            zone = int.from_bytes(frame.content[10:12], "big")
            hours, minutes = divmod(zone >> 4, 100)
            if hours <= _MOST_ZONE_H:
                self._zone_s = (hours * 60 + minutes) * (-60 if zone & 8 else 60)
        return Turn(device=self.device, answer=encode(_LOGIN, b"", frame.serial))

    def _report(self, frame: Frame, device: Device) -> Report:
        report = Report(seq=frame.serial)
        reader = READERS.get(frame.number)
        if reader is None:
            report.signs.append(f"packet {frame.number:02x}: {frame.content[:40].hex()}")
            return report
        own_s = quirks_of(device.model).offset_s
        offset_s = (0 if frame.number >= _FIRST_UTC else self._zone_s) if own_s is None else own_s
        try:
            reader(report, frame.content, offset_s)
        except struct.error:
            detail = f"packet {frame.number:02x} with {len(frame.content)} bytes"
            report.refused.append(RefusedPart("bad_length", detail))
        except ValueError as error:
            report.refused.append(RefusedPart("bad_time", str(error), 0))
        if frame.number == _ALARM_WITH_FENCE and frame.content[-1:] not in {b"", b"\xff"}:
            report.signs.append(f"fence {frame.content[-1]}")
        return report


def _utc(now_s: float) -> bytes:
    now = at(now_s)
    return bytes((now.year % 100, now.month, now.day, now.hour, now.minute, now.second))
