"""JT/T 808 on the wire: 0x7E, header, body, checksum, 0x7E; with 0x7E and 0x7D escaped inside.

Whatever stands between two 0x7E is tried as a message. So after garbage, a lost byte or a lost
delimiter the next whole message is found, and one 0x7E between two messages does for both.
"""

from __future__ import annotations

import struct
from typing import Literal

import msgspec

from geomon.gateway.talk import BadFrame

__all__ = ["LONGEST", "Frame", "Framer", "checksum", "encode", "parse"]

Edition = Literal[2013, 2019]

_FLAG = b"\x7e"
_BODY_BITS, _CIPHER_BITS, _PARTS_BIT, _EDITION_BIT = 0x03FF, 0x1C00, 0x2000, 0x4000
_HEAD = struct.Struct(">HH")
_PAIR = struct.Struct(">HH")
#: Protocol version, of the 2019 edition alone; the same in what is answered.
_VERSION = b"\x01"
#: Header with parts, body, checksum: each byte may be escaped into two.
LONGEST = 2 * (21 + _BODY_BITS + 1)


class Frame(msgspec.Struct, gc=False):
    """A message with a right checksum and length; `body` may be enciphered, or one part of many."""

    message_id: int
    serial: int
    terminal: bytes  # its number as sent: BCD, 6 bytes, or 10 of the 2019 edition
    edition: Edition
    body: bytes
    raw: bytes
    enciphered: bool = False
    parts: int = 0  # 0: it stands for itself
    part: int = 0  # from 1

    @property
    def device_id(self) -> str:
        """The terminal's number without the zeros that fill it up."""
        return self.terminal.hex().lstrip("0") or "0"


class Framer:
    """Finds messages in bytes that come in any pieces; keeps at most `LONGEST` bytes."""

    __slots__ = ("_open", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._open = False

    def feed(self, data: bytes) -> list[Frame | BadFrame]:
        """Take bytes; give the messages that they completed, and what was none."""
        pieces = (self._rest + data).split(_FLAG) if self._rest else data.split(_FLAG)
        found: list[Frame | BadFrame] = []
        if not self._open:
            if pieces[0]:
                found.append(BadFrame("not_of_protocol", "bytes before the first 7e"))
            if len(pieces) == 1:
                return found
            del pieces[0]
            self._open = True
        found += [parse(piece) for piece in pieces[:-1] if piece]
        self._rest = pieces[-1]
        if len(self._rest) > LONGEST:
            # No message is so long: nothing more is kept until the next 7e.
            self._rest = b""
            self._open = False
            found.append(BadFrame("bad_length", f"no 7e in {LONGEST} bytes"))
        return found


def parse(escaped: bytes) -> Frame | BadFrame:
    """Read what stands between two 0x7E."""
    if len(escaped) > LONGEST:
        return BadFrame("bad_length", f"{len(escaped)} bytes")
    raw = escaped
    if b"\x7d" in escaped:
        known = escaped.count(b"\x7d\x01") + escaped.count(b"\x7d\x02")
        if known != escaped.count(b"\x7d"):
            return BadFrame("not_of_protocol", "7d before something else than 01 or 02")
        escaped = escaped.replace(b"\x7d\x02", _FLAG).replace(b"\x7d\x01", b"\x7d")
    size = len(escaped) - 1
    if size < _HEAD.size:
        return BadFrame("bad_length", f"{len(escaped)} bytes")
    message_id, properties = _HEAD.unpack_from(escaped)
    edition: Edition = 2019 if properties & _EDITION_BIT else 2013
    at = 5 if edition == 2019 else 4
    end = at + (10 if edition == 2019 else 6)
    begin = end + (6 if properties & _PARTS_BIT else 2)
    # A wrong checksum says that the length cannot be relied on either, so it is looked at first.
    if checksum(escaped):
        return BadFrame("bad_checksum", f"message {message_id:04x}")
    if size - begin != properties & _BODY_BITS:
        return BadFrame("bad_length", f"message {message_id:04x} of {len(escaped)} bytes")
    parts, part = _PAIR.unpack_from(escaped, end + 2) if properties & _PARTS_BIT else (0, 0)
    if properties & _PARTS_BIT and not parts:
        return BadFrame("bad_length", f"message {message_id:04x} in no parts")
    return Frame(
        message_id,
        int.from_bytes(escaped[end : end + 2], "big"),
        escaped[at:end],
        edition,
        escaped[begin:size],
        raw,
        bool(properties & _CIPHER_BITS),
        parts,
        part,
    )


def encode(message_id: int, body: bytes, to: Frame, serial: int) -> bytes:
    """Write a message of at most 1,023 bytes to the terminal that sent `to`, in its edition."""
    modern = to.edition == 2019
    properties = len(body) | (_EDITION_BIT if modern else 0)
    version = _VERSION if modern else b""
    plain = (
        _HEAD.pack(message_id, properties)
        + version
        + to.terminal
        + serial.to_bytes(2, "big")
        + body
    )
    plain += bytes((checksum(plain),))
    return _FLAG + plain.replace(b"\x7d", b"\x7d\x01").replace(_FLAG, b"\x7d\x02") + _FLAG


def checksum(data: bytes) -> int:
    """Give the XOR of all bytes; over a message with its checksum it is 0.

    >>> checksum(bytes([0x30, 0x7E, 0x08, 0x7D, 0x55]))
    110
    """
    # Halves are folded onto each other as large numbers: as quick for 1,000 bytes as a loop for 20.
    size = len(data)
    folded = int.from_bytes(data, "big")
    while size > 1:
        half = (size + 1) // 2
        folded = (folded >> 8 * half) ^ (folded & ((1 << 8 * half) - 1))
        size = half
    return folded
