"""GT06 on the wire, in its short and its long form.

    78 78  length(1)  number(1)  content  serial(2)  CRC(2)  0D 0A
    79 79  length(2)  number(1)  content  serial(2)  CRC(2)  0D 0A

The length counts from the number to the CRC; the CRC (CRC-ITU, X.25) covers length to serial.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from typing import NamedTuple

from geomon.gateway.talk import BadFrame

__all__ = ["LONGEST", "Frame", "Framer", "crc", "encode"]

#: The longest message that is waited for; a longer length is none.
LONGEST = 4096
#: Places where a message may begin that are kept in mind; of more the first is taken for garbage.
_MOST_PLACES = 64


class Frame(NamedTuple):
    """A message with a right CRC."""

    number: int
    content: bytes
    serial: int
    raw: bytes


class Framer:
    """Finds messages in bytes that come in any pieces; keeps less than `LONGEST` bytes.

    Each place where a message may begin is tried, so that one that is whole is found even where
    garbage before it looks like the beginning of a longer one. A place is tried again only when
    what it waits for has come, or a few bytes at a time could cost very much.
    """

    __slots__ = ("_places", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._places: list[tuple[int, int]] = []  # in `_rest`: where one may begin, and would end

    def feed(self, data: bytes) -> list[Frame | BadFrame]:
        """Take bytes; give the messages that they completed, and what was none."""
        old = len(self._rest)
        data = self._rest + data if old else data
        ends = dict(self._places)
        found: list[Frame | BadFrame] = []
        waiting: list[tuple[int, int]] = []
        done = 0  # what lies before was given, or told as bad
        bad: BadFrame | None = None  # what was wrong first since then, before anything that waits

        def skip(upto: int) -> None:
            if upto > done:
                found.append(bad or BadFrame("not_of_protocol", "bytes between messages"))

        for begin in self._begins(data, old):
            if begin < done:
                continue
            tried = end if (end := ends.get(begin, 0)) > len(data) else _parse(data, begin)
            if isinstance(tried, Frame):
                skip(begin)
                found.append(tried)
                done = begin + len(tried.raw)
                waiting.clear()
                bad = None
            elif isinstance(tried, BadFrame):
                if not waiting:
                    bad = bad or tried
            else:
                waiting.append((begin, tried))
                if len(waiting) > _MOST_PLACES:
                    del waiting[0]
        if waiting:
            kept = waiting[0][0]
        else:
            # The last byte may be the first of a beginning.
            kept = len(data) - (len(data) > done and data[-1:] in {b"\x78", b"\x79"})
        skip(kept)
        self._rest = data[kept:]
        self._places = [(begin - kept, end - kept) for begin, end in waiting]
        return found

    def _begins(self, data: bytes, old: int) -> Iterator[int]:
        """Give the places to be tried, in order: those known, and those among the new bytes."""
        yield from [begin for begin, _ in self._places]
        begin = max(old - 1, 0)
        while (begin := _start(data, begin)) >= 0:
            yield begin
            begin += 1


def encode(number: int, content: bytes, serial: int) -> bytes:
    """Write a message of at most 250 bytes of content."""
    inner = bytes((5 + len(content), number)) + content + serial.to_bytes(2, "big")
    return b"\x78\x78" + inner + crc(inner).to_bytes(2, "big") + b"\r\n"


def crc(data: bytes) -> int:
    """Give the CRC-ITU (CRC-16/X-25) of data.

    >>> f"{crc(b'123456789'):04x}"
    '906e'
    """
    # The standard library has the same polynomial for bits in the other order.
    mirrored = binascii.crc_hqx(data.translate(_MIRROR), 0xFFFF)
    return (_MIRROR[mirrored & 0xFF] << 8 | _MIRROR[mirrored >> 8]) ^ 0xFFFF


_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _start(data: bytes, begin: int) -> int:
    """Find where a message may begin, from `begin` on; -1 where it may not."""
    short, long = data.find(b"\x78\x78", begin), data.find(b"\x79\x79", begin)
    return max(short, long) if short < 0 or long < 0 else min(short, long)


def _parse(data: bytes, begin: int) -> Frame | BadFrame | int:
    """Read a message that may begin here; a number says where it would end: it is not whole yet."""
    wide = 2 if data[begin] == 0x79 else 1
    head = begin + 2 + wide
    if len(data) < head:
        return head
    size = int.from_bytes(data[begin + 2 : head], "big")
    if size < 5 or size > LONGEST - 2 - wide - 2:
        return BadFrame("bad_length", f"length {size}")
    end = head + size
    if len(data) < end + 2:
        return end + 2
    if data[end : end + 2] != b"\r\n":
        return BadFrame("bad_length", f"no 0d0a after {size} bytes")
    if crc(data[begin + 2 : end - 2]) != int.from_bytes(data[end - 2 : end], "big"):
        return BadFrame("bad_checksum", f"packet {data[head]:02x}")
    serial = int.from_bytes(data[end - 4 : end - 2], "big")
    return Frame(data[head], data[head + 1 : end - 4], serial, data[begin : end + 2])
