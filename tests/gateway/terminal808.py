"""A JT/T 808 terminal, written from the standard's description and from nothing of the gateway's.

Tables are those of JT/T 808-2013 and JT/T 808-2019 (道路运输车辆卫星定位系统
终端通讯协议及数据格式): header (4.4.3), registration (0x0100), authentication (0x0102), position
(0x0200), batch (0x0704), general answer (0x8001), answer to a registration (0x8100), wish for parts
(0x8003).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

__all__ = ["Answer", "Terminal", "batch", "position", "read", "write"]

CHINA = timezone(timedelta(hours=8))
PATIENCE_S = 20.0


class Answer(NamedTuple):
    """A message from the platform."""

    message_id: int
    serial: int
    number: str
    body: bytes

    @property
    def answers(self) -> int:
        """The serial number of the message that it answers."""
        return self.body[0] * 256 + self.body[1]

    @property
    def result(self) -> int:
        """0 success, 1 failure, 2 wrong message, 3 not supported; of 0x8100: 4 no such terminal."""
        return self.body[4] if self.message_id == 0x8001 else self.body[2]

    @property
    def code(self) -> str:
        """The authentication code of an answer to a registration."""
        return self.body[3:].decode("gbk")


def _escaped(plain: Iterable[int]) -> bytes:
    wire: list[int] = []
    for byte in plain:
        if byte == 0x7E:
            wire += [0x7D, 0x02]
        elif byte == 0x7D:
            wire += [0x7D, 0x01]
        else:
            wire.append(byte)
    return bytes([0x7E, *wire, 0x7E])


def _bcd(digits: str, size: int) -> bytes:
    padded = digits.rjust(2 * size, "0")
    return bytes(int(padded[at]) * 16 + int(padded[at + 1]) for at in range(0, 2 * size, 2))


def _word(value: int) -> bytes:
    return bytes([value // 256 % 256, value % 256])


def _dword(value: int) -> bytes:
    return _word(value // 65536) + _word(value)


def write(
    message_id: int,
    body: bytes,
    *,
    number: str,
    serial: int,
    edition: int = 2013,
    part: tuple[int, int] | None = None,
    cipher: int = 0,
    spoil: int = 0,
) -> bytes:
    """Write a message; `part` is (how many, which), `spoil` is XORed into the checksum."""
    assert len(body) < 1024
    properties = len(body) + cipher * 0x0400
    if part is not None:
        properties += 0x2000
    if edition == 2019:
        properties += 0x4000
        terminal = b"\x01" + _bcd(number, 10)
    else:
        terminal = _bcd(number, 6)
    plain = _word(message_id) + _word(properties) + terminal + _word(serial)
    if part is not None:
        plain += _word(part[0]) + _word(part[1])
    plain += body
    check = spoil
    for byte in plain:
        check ^= byte
    return _escaped([*plain, check])


def read(wire: bytes) -> Answer:
    """Read a message of the platform, with its 0x7E; fails where it is not sound."""
    assert wire[0] == wire[-1] == 0x7E
    plain: list[int] = []
    rest = iter(wire[1:-1])
    for byte in rest:
        assert byte != 0x7E
        plain.append({0x01: 0x7D, 0x02: 0x7E}[next(rest)] if byte == 0x7D else byte)
    check = 0
    for byte in plain:
        check ^= byte
    assert check == 0
    modern = plain[2] & 0x40
    if modern:
        assert plain[4] == 1
    at, end = (5, 15) if modern else (4, 10)
    body = bytes(plain[end + 2 : -1])
    assert len(body) == (plain[2] & 0x03) * 256 + plain[3]
    number = "".join(f"{byte:02x}" for byte in plain[at:end])
    return Answer(plain[0] * 256 + plain[1], plain[end] * 256 + plain[end + 1], number, body)


def position(
    time: datetime,
    lon: float,
    lat: float,
    *,
    alarm: int = 0,
    located: bool = True,
    by: int = 1 << 19,
    altitude_m: int = 30,
    kmh: float = 0.0,
    heading: int = 0,
    items: Sequence[tuple[int, bytes]] = (),
) -> bytes:
    """Write the body of a position; `by` are the status bits that say by which satellites."""
    status = by + (2 if located else 0) + (4 if lat < 0 else 0) + (8 if lon < 0 else 0)
    body = _dword(alarm) + _dword(status)
    body += _dword(round(abs(lat) * 1e6)) + _dword(round(abs(lon) * 1e6))
    body += _word(altitude_m) + _word(round(kmh * 10)) + _word(heading)
    body += _bcd(time.astimezone(CHINA).strftime("%y%m%d%H%M%S"), 6)
    for item, value in items:
        body += bytes([item, len(value)]) + value
    return body


def batch(bodies: Sequence[bytes], *, stored: bool) -> bytes:
    """Write the body of a batch of positions; stored ones are of a blind area."""
    body = _word(len(bodies)) + bytes([1 if stored else 0])
    for one in bodies:
        body += _word(len(one)) + one
    return body


@dataclass
class Terminal:
    """A terminal that keeps what is not acknowledged."""

    number: str
    edition: int = 2013
    serial: int = 0
    code: str = ""
    _reader: asyncio.StreamReader = field(init=False)
    _writer: asyncio.StreamWriter = field(init=False)

    async def connect(self, host: str, port: int, **options: object) -> None:
        """Connect anew."""
        self._reader, self._writer = await asyncio.open_connection(host, port, **options)  # type: ignore[arg-type]

    async def disconnect(self) -> None:
        """Hang up."""
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)

    def message(
        self, message_id: int, body: bytes = b"", part: tuple[int, int] | None = None
    ) -> tuple[int, bytes]:
        """Write the next message; give its serial number, too."""
        self.serial = (self.serial + 1) % 65536
        return self.serial, write(
            message_id,
            body,
            number=self.number,
            serial=self.serial,
            edition=self.edition,
            part=part,
        )

    async def send(self, wire: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(wire)
        await self._writer.drain()

    async def answer(self, within_s: float = PATIENCE_S) -> Answer:
        """Wait for the platform's next message; `EOFError` when it hangs up."""

        async def next_message() -> bytes:
            while True:
                wire = await self._reader.readuntil(b"\x7e")
                if len(wire) > 1:
                    return b"\x7e" + wire

        return read(await asyncio.wait_for(next_message(), within_s))

    async def ask(self, message_id: int, body: bytes = b"") -> Answer:
        """Send a message and wait for what answers it."""
        serial, wire = self.message(message_id, body)
        await self.send(wire)
        answer = await self.answer()
        assert answer.answers == serial
        if answer.message_id == 0x8001:
            assert answer.body[2:4] == _word(message_id)
        return answer

    async def tell(self, message_id: int, body: bytes, size: int = 1000) -> list[Answer]:
        """Send a long message in parts, and wait for the answers to all of them."""
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        told = [
            self.message(message_id, piece, (len(pieces), place))
            for place, piece in enumerate(pieces, 1)
        ]
        await self.send(b"".join(wire for _, wire in told))
        answers = [await self.answer() for _ in told]
        assert [answer.answers for answer in answers] == [serial for serial, _ in told]
        return answers

    async def register(self) -> Answer:
        """Register, and remember the code."""
        body = _word(44) + _word(300)
        if self.edition == 2019:
            body += b"MAKER".ljust(11, b"\0") + b"BAND-2".ljust(30, b"\0")
            body += b"B000001".ljust(30, b"\0") + b"\0"
        else:
            body += b"MAKER" + b"BAND-2".ljust(20, b"\0") + b"B000001" + b"\0"
        answer = await self.ask(0x0100, body)
        if answer.result == 0:
            self.code = answer.code
        return answer

    async def prove(self, code: str = "") -> Answer:
        """Show the code."""
        shown = (code or self.code).encode("gbk")
        if self.edition == 2019:
            shown = bytes([len(shown)]) + shown + b"123456789012345" + b"v1.0".ljust(20, b"\0")
        return await self.ask(0x0102, shown)

    async def sign_in(self, host: str, port: int) -> None:
        """Connect, register and show the code."""
        await self.connect(host, port)
        assert (await self.register()).result == 0
        assert (await self.prove()).result == 0

    async def is_hung_up(self) -> bool:
        """Wait until the platform hangs up; False when it does not."""
        try:
            await asyncio.wait_for(self._reader.read(), PATIENCE_S)
        except ConnectionError:
            return True
        except asyncio.TimeoutError:
            return False
        return True
