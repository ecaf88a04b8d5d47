"""The gateway's side of a connection with a JT/T 808 terminal: who it is, and what is answered.

A terminal registers (0x0100) and gets its authentication code, or knows it from before; it shows it
(0x0102), and only then is anything taken from it. The code comes from the registry. Whoever knows a
terminal's number may register as it and is given the code: so the standard has it. Where terminals
have their codes beforehand, `registration=False` closes that way in.
"""

from __future__ import annotations

from math import inf

from geomon.gateway.jt808.frames import Frame, Framer, encode
from geomon.gateway.jt808.messages import BASIC, batch_of, report_of
from geomon.gateway.jt808.parts import Parts, Pile
from geomon.gateway.registry import Device, NotAdmitted, NotReady
from geomon.gateway.reports import Report
from geomon.gateway.talk import BadFrame, Find, Turn, quirks_of, turned_away

__all__ = ["Jt808Talk"]

_ANSWER, _REGISTERED, _ASK_PARTS, _TRACK = 0x8001, 0x8100, 0x8003, 0x8202
_GENERAL, _HEARTBEAT, _SIGN_OFF, _REGISTER, _PROVE = 0x0001, 0x0002, 0x0003, 0x0100, 0x0102
_POSITION, _POSITION_ASKED, _BATCH = 0x0200, 0x0201, 0x0704
#: Results of a general answer, and of a registration.
_OK, _FAILED, _WRONG, _UNKNOWN = 0, 1, 2, 3
_NO_SUCH_TERMINAL = 4


class Jt808Talk:
    """A conversation with one terminal."""

    __slots__ = ("_find", "_framer", "_parts", "_proof", "_registration", "_serial", "device")

    answers = True

    def __init__(self, find: Find, *, registration: bool = True) -> None:
        self._find = find
        self._registration = registration
        self._framer = Framer()
        self._parts: Parts | None = None
        self._serial = 0
        self._proof: Frame | None = None  # with which the device showed who it is
        self.device: Device | None = None

    @property
    def due_s(self) -> float:
        """When parts of a message are to be asked for."""
        return inf if self._parts is None else self._parts.due_s

    def receive(self, data: bytes, now_s: float) -> list[Turn]:
        """Take bytes; give the turns of the messages that they completed, in order."""
        return [
            Turn(unreadable=frame.reason)
            if isinstance(frame, BadFrame)
            else self._turn(frame, now_s)
            for frame in self._framer.feed(data)
        ]

    def tick(self, now_s: float) -> list[Turn]:
        """Ask for parts that did not come, and drop what has been asked for too often."""
        if self._parts is None:
            return []
        ask, dropped = self._parts.overdue(now_s)
        turns = [Turn(device=self.device, answer=self._asking(pile)) for pile in ask]
        turns += [Turn(unreadable="bad_length") for _ in dropped]
        return turns

    def ask(self, interval_s: int, for_s: int) -> bytes:
        """Write the request to track it for a while (0x8202): a position every so many seconds."""
        if self.device is None or self._proof is None:
            return b""
        body = min(interval_s, 0xFFFF).to_bytes(2, "big") + min(for_s, 0xFFFFFFFF).to_bytes(
            4, "big"
        )
        return self._encode(_TRACK, body, self._proof)

    def _turn(self, frame: Frame, now_s: float) -> Turn:
        if frame.enciphered:
            # Its key would have to be agreed on first, and nobody here has one.
            return Turn(unreadable="not_of_protocol", answer=self._answer(frame, _UNKNOWN))
        try:
            if frame.message_id == _REGISTER:
                return self._register(frame)
            if frame.message_id == _PROVE:
                return self._prove(frame)
            device = self._known(frame)
        except (NotAdmitted, NotReady) as error:
            self.device = None
            return turned_away(error, self._refusal(frame))
        if not frame.parts:
            return self._take(frame, frame.body, device, [frame])
        if self._parts is None:
            self._parts = Parts()
        try:
            pile, before = self._parts.add(frame, now_s)
        except ValueError:
            return Turn(unreadable="bad_length", answer=self._answer(frame, _WRONG))
        if pile is not None:
            parts = [pile.parts[n] for n in sorted(pile.parts)]
            return self._take(frame, pile.whole(), device, parts)
        return Turn(device=device, answer=self._answer(frame, _OK) if before else b"")

    def _known(self, frame: Frame) -> Device:
        """Give the device that has proved who it is, as it is announced now."""
        if self.device is None:
            self._find(frame.device_id)
            raise NotAdmitted("no_secret")
        if frame.device_id != self.device.device_id:
            raise NotAdmitted("another_device")
        device = self._find(frame.device_id)
        if device.auth_code != self.device.auth_code:
            # It was changed, perhaps because somebody else had it: it is to be shown anew.
            raise NotAdmitted("no_secret")
        if device.supervisee_id != self.device.supervisee_id:
            self._parts = None  # of the person who had it before
        self.device = device
        return device

    def _register(self, frame: Frame) -> Turn:
        code = self._find(frame.device_id).auth_code
        if not code or not self._registration:
            raise NotAdmitted("no_secret")
        body = frame.serial.to_bytes(2, "big") + bytes((_OK,)) + code.encode("gbk")
        return Turn(answer=self._encode(_REGISTERED, body, frame))

    def _prove(self, frame: Frame) -> Turn:
        device = self._find(frame.device_id)
        if not device.auth_code:
            raise NotAdmitted("no_secret")
        if not any(map(device.knows_auth_code, _codes(frame))):
            raise NotAdmitted("wrong_secret")
        self.device, self._proof = device, frame
        return Turn(device=device, answer=self._answer(frame, _OK))

    def _take(self, frame: Frame, body: bytes, device: Device, heard: list[Frame]) -> Turn:
        """Take a whole message of a known terminal; `heard` are the frames to be answered."""
        if frame.message_id == _GENERAL:
            return Turn(device=device)
        quirks = quirks_of(device.model)
        result = _OK
        if frame.message_id == _HEARTBEAT:
            report = Report(seq=frame.serial)
        elif frame.message_id == _POSITION:
            report = report_of(body, frame.edition, quirks, frame.serial)
            result = _OK if len(body) >= BASIC.size else _WRONG
        elif frame.message_id == _POSITION_ASKED:
            report = report_of(body[2:], frame.edition, quirks, frame.serial)
        elif frame.message_id == _BATCH:
            report = batch_of(body, frame.edition, quirks, frame.serial)
        elif frame.message_id == _SIGN_OFF:
            report = Report(seq=frame.serial, signs=["signed off"])
            self.device = None
        else:
            # Whatever it is, the terminal was heard from.
            report = Report(seq=frame.serial, signs=[f"message {frame.message_id:04x}"])
            result = _UNKNOWN
        return Turn(
            device=device,
            reports=[report],
            answer=b"".join(self._answer(each, result) for each in heard),
            raw=b" ".join(each.raw.hex().encode() for each in heard) if report.refused else b"",
        )

    def _answer(self, frame: Frame, result: int) -> bytes:
        body = frame.serial.to_bytes(2, "big") + frame.message_id.to_bytes(2, "big")
        return self._encode(_ANSWER, body + bytes((result,)), frame)

    def _refusal(self, frame: Frame) -> bytes:
        if frame.message_id != _REGISTER:
            return self._answer(frame, _FAILED)
        body = frame.serial.to_bytes(2, "big") + bytes((_NO_SUCH_TERMINAL,))
        return self._encode(_REGISTERED, body, frame)

    def _asking(self, pile: Pile) -> bytes:
        missing = pile.missing
        count = len(missing).to_bytes(2 if pile.first.edition == 2019 else 1, "big")
        places = b"".join(place.to_bytes(2, "big") for place in missing)
        body = pile.first_serial.to_bytes(2, "big") + count + places
        return self._encode(_ASK_PARTS, body, pile.first)

    def _encode(self, message_id: int, body: bytes, to: Frame) -> bytes:
        self._serial = (self._serial + 1) & 0xFFFF
        return encode(message_id, body, to, self._serial)


def _codes(frame: Frame) -> list[str]:
    """Give the authentication code as it may be meant: alone (2013), or before an IMEI (2019)."""
    body = frame.body
    texts = [body]
    if frame.edition == 2019 and body:
        # Length, code, IMEI (15), software version (20). Some send the 2013 form under a 2019 head.
        texts.append(body[1 : 1 + body[0]])
    return [text.rstrip(b"\0").decode("gbk", "replace") for text in texts]
