"""JT/T 808 by a writer of our own, and any other bytes: read as meant, or refused with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import pairwise

import pytest
import terminal808
from hypothesis import given
from hypothesis import strategies as st
from talks808 import NOW_S, NUMBER, known, report, signed_in, talk_of
from terminal808 import position, write

from geomon.gateway.jt808 import frames
from geomon.gateway.jt808.frames import LONGEST, Frame, Framer
from geomon.gateway.talk import BadFrame

bodies = st.binary(max_size=1023)
numbers = st.integers(1, 10**12 - 1).map(str)
serials = st.integers(0, 65535)
editions = st.sampled_from([2013, 2019])


@given(bodies, numbers, serials, editions, st.integers(0, 65535))
def test_what_a_terminal_writes_is_read_as_it_was_meant(
    body: bytes, number: str, serial: int, edition: int, message_id: int
) -> None:
    wire = write(message_id, body, number=number, serial=serial, edition=edition)
    (frame,) = Framer().feed(wire)
    assert isinstance(frame, Frame)
    assert (frame.message_id, frame.body, frame.serial) == (message_id, body, serial)
    assert (frame.device_id, frame.edition, frame.parts) == (number, edition, 0)


@given(bodies, numbers, serials, editions, st.integers(0, 65535))
def test_what_the_gateway_writes_a_terminal_reads(
    body: bytes, number: str, serial: int, edition: int, message_id: int
) -> None:
    (to,) = Framer().feed(write(2, b"", number=number, serial=1, edition=edition))
    assert isinstance(to, Frame)
    answer = terminal808.read(frames.encode(message_id, body, to, serial))
    assert answer[:2] == (message_id, serial)
    assert answer.number.lstrip("0") == number
    assert answer.body == body


@given(
    st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30)).map(  # noqa: DTZ001
        lambda time: time.replace(microsecond=0, tzinfo=timezone.utc)
    ),
    st.integers(-180_000_000, 180_000_000),
    st.integers(-90_000_000, 90_000_000),
    st.integers(0, 9999),
    st.integers(0, 359),
)
def test_a_position_is_read_as_it_was_meant(
    time: datetime, lon: int, lat: int, decikmh: int, heading: int
) -> None:
    body = position(time, lon / 1e6, lat / 1e6, kmh=decikmh / 10, heading=heading)
    (place,) = report(write(0x0200, body, number=NUMBER, serial=2), NUMBER).positions
    assert (place.time, place.lon, place.lat) == (time, lon / 1e6, lat / 1e6)
    assert place.speed_mps == pytest.approx(decikmh / 36)
    assert (place.heading_deg, place.source) == (float(heading), "gnss")


def chunked(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for begin, end in pairwise(edges):
        yield data[begin:end]


garbage = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from([b"\x7e", b"\x7d", b"\x7d\x01", b"\x02\x00", b"\0"]), max_size=60).map(
        b"".join
    ),
)


@given(st.lists(st.tuples(garbage, bodies), max_size=6), garbage, st.lists(st.integers(0)))
def test_messages_amid_garbage_are_found_however_the_bytes_are_cut(
    told: list[tuple[bytes, bytes]], last: bytes, cuts: list[int]
) -> None:
    data, wanted = b"", []
    for serial, (noise, body) in enumerate(told):
        data += noise + write(0x0900, body, number=NUMBER, serial=serial)
        wanted.append((serial, body))
    framer = Framer()
    found = [frame for piece in chunked(data + last, cuts) for frame in framer.feed(piece)]
    good = [(frame.serial, frame.body) for frame in found if isinstance(frame, Frame)]
    assert good == wanted
    assert len(framer._rest) <= LONGEST


@given(st.lists(st.binary(max_size=3000), max_size=5), st.booleans())
def test_any_bytes_do_no_harm(pieces: list[bytes], proved: bool) -> None:
    talk = signed_in() if proved else talk_of(known())
    for piece in pieces:
        for turn in talk.receive(piece, NOW_S):
            assert turn.unreadable or turn.device or turn.away or turn.answer
        talk.tick(NOW_S)
    assert len(talk._framer._rest) <= LONGEST


@given(st.sampled_from([0x0100, 0x0102, 0x0200, 0x0201, 0x0704]), bodies, editions)
def test_any_body_does_no_harm(message_id: int, body: bytes, edition: int) -> None:
    talk = signed_in(edition=edition)
    wire = write(message_id, body, number=NUMBER, serial=5, edition=edition)
    (turn,) = talk.receive(wire, NOW_S)
    assert turn.device is not None or turn.away or turn.answer


@given(bodies, st.integers(1, 255))
def test_a_wrong_checksum_is_said(body: bytes, spoil: int) -> None:
    wire = write(0x0200, body, number=NUMBER, serial=5, spoil=spoil)
    (turn,) = signed_in().receive(wire, NOW_S)
    assert (turn.unreadable, turn.answer, turn.close) == ("bad_checksum", b"", False)


def test_a_wrong_length_is_said() -> None:
    for size in (9, 11):
        plain = bytes.fromhex("0200") + bytes([0, 10]) + bytes(8) + bytes(size)
        wire = b"\x7e" + plain + bytes((frames.checksum(plain),)) + b"\x7e"
        (turn,) = signed_in().receive(wire, NOW_S)
        assert turn.unreadable == "bad_length"
    framer = Framer()
    assert framer.feed(b"\x7e" + bytes(LONGEST)) == []
    (bad,) = framer.feed(bytes(2))
    assert isinstance(bad, BadFrame)
    assert (bad.reason, framer._rest) == ("bad_length", b"")
    wire = write(0x0002, b"", number=NUMBER, serial=5)
    assert isinstance(framer.feed(wire)[-1], Frame)


def test_a_broken_escape_is_said() -> None:
    for broken in (b"\x7e\x7d\x03\0\0\0\0\x7e", b"\x7e\0\0\0\0\0\x7d\x7e"):
        (bad,) = Framer().feed(broken)
        assert isinstance(bad, BadFrame)
        assert bad.reason == "not_of_protocol"
