"""GT06: messages of public documents with what they say, and any other by a writer of our own.

Sources, read as facts:

    vl03     Concox, GPS Tracker Communication Protocol JM-VL03, V1.1.2, as in fcode09/jimi-vl103m,
             docs/README_VL03_Protocol.md
    traccar  traccar/traccar, src/test/java/org/traccar/protocol/Gt06ProtocolDecoderTest.java
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomon.gateway.gt06 import Gt06Talk
from geomon.gateway.gt06.frames import LONGEST, Frame, Framer, encode
from geomon.gateway.gt06.messages import ALARMS, READERS
from geomon.gateway.registry import Device, NotAdmitted, NotReady
from geomon.gateway.reports import AccessPoint, Position, Report, Tower
from geomon.gateway.talk import BadFrame

NOW_S = 1_451_347_221.0  # 2015-12-29 00:00:21 UTC
IMEI = "752533678900242"
NOON = datetime(2024, 2, 13, 4, 0, tzinfo=timezone.utc)
UTC = timezone.utc


def device(model: str = "", **secrets: object) -> Device:
    return Device(
        device_id=IMEI,
        supervisee_id="SZ-0001",
        device="wristband",
        datum="wgs84",
        model=model,
        **secrets,  # type: ignore[arg-type]
    )


def talk_of(*devices: Device) -> Gt06Talk:
    def find(device_id: str) -> Device:
        for one in devices:
            if one.device_id == device_id:
                return one
        raise NotAdmitted("unknown_device")

    return Gt06Talk(find)


def crc_itu(data: bytes) -> int:
    """The CRC bit by bit: X.25's polynomial, reflected; all ones before and after."""
    rest = 0xFFFF
    for byte in data:
        rest ^= byte
        for _ in range(8):
            rest = rest >> 1 ^ (0x8408 if rest & 1 else 0)
    return rest ^ 0xFFFF


def write(number: int, content: bytes, serial: int = 1, *, long: bool = False) -> bytes:
    """A message, as a terminal writes it."""
    size = (len(content) + 5).to_bytes(2 if long else 1, "big")
    inner = size + bytes([number]) + content + serial.to_bytes(2, "big")
    start = b"\x79\x79" if long else b"\x78\x78"
    return start + inner + crc_itu(inner).to_bytes(2, "big") + b"\x0d\x0a"


def clock(time: datetime) -> bytes:
    return bytes([time.year - 2000, time.month, time.day, time.hour, time.minute, time.second])


def place(
    time: datetime,
    lon: float,
    lat: float,
    *,
    located: bool = True,
    kmh: int = 0,
    course: int = 0,
    satellites: int = 9,
) -> bytes:
    """Time and position, as they stand in a message."""
    status = course + (0x1000 if located else 0)
    status += (0x0400 if lat >= 0 else 0) + (0x0800 if lon < 0 else 0)
    return (
        clock(time)
        + bytes([0xC0 + satellites])
        + round(abs(lat) * 1_800_000).to_bytes(4, "big")
        + round(abs(lon) * 1_800_000).to_bytes(4, "big")
        + bytes([kmh])
        + status.to_bytes(2, "big")
    )


LOGIN = write(0x01, bytes.fromhex("0" + IMEI))


def logged_in(model: str = "", login: bytes = LOGIN) -> Gt06Talk:
    talk = talk_of(device(model))
    (turn,) = talk.receive(login, NOW_S)
    assert turn.device is not None
    return talk


def report(wire: bytes | str, model: str = "", login: bytes = LOGIN) -> Report:
    """What the gateway makes of one message of a terminal that has logged in."""
    raw = bytes.fromhex(wire) if isinstance(wire, str) else wire
    (turn,) = logged_in(model, login).receive(raw, NOW_S)
    assert turn.device is not None
    (found,) = turn.reports
    return found


# -- messages of public documents ------------------------------------------------------------------


def test_a_login_and_its_answer() -> None:
    # vl03, 1: IMEI 752533678900242, type 0x7002, GMT+8, serial 5; and the answer there.
    wire = bytes.fromhex("78781101075253367890024270003201000512790d0a")
    talk = talk_of(device())
    (turn,) = talk.receive(wire, NOW_S)
    assert turn.answer.hex() == "7878050100059ff80d0a"
    assert turn.device == talk.device == device()


def test_a_heartbeat_and_its_answer() -> None:
    # vl03, 2: state 0x40 (positioned), voltage level 4, signal level 4, serial 15.
    (turn,) = logged_in().receive(bytes.fromhex("78780a134004040001000fdcee0d0a"), NOW_S)
    (found,) = turn.reports
    assert (found.positions, found.charging, found.battery_pct) == ([], False, 55.0)
    assert found.signs == ["voltage level 4", "signal level 4"]
    assert turn.answer == write(0x13, b"", 15)
    # vl03, 2: the answer there, to serial 0x0100.
    assert encode(0x13, b"", 0x0100).hex() == "787805130100e1a00d0a"


def test_a_position_that_was_kept_and_sent_again() -> None:
    # vl03, 3: 2015-12-29 02:51:05, 23.111693 N, 114.409298 E, 9 satellites, 460-0-10365-8049.
    found = report("787822220f0c1d023305c9027ac8180c46586000140001cc00287d001f71000001000820860d0a")
    time = datetime(2015, 12, 29, 2, 51, 5, tzinfo=UTC)
    lon, lat = 0x0C465860 / 1_800_000, 0x027AC818 / 1_800_000
    assert (round(lon, 6), round(lat, 6)) == (114.409298, 23.111693)
    assert found.positions == [
        Position(time, lon, lat, "gnss", speed_mps=0.0, heading_deg=0.0),
    ]
    assert found.stored
    assert found.towers == [Tower(460, 0, 10365, 8049, time=time)]
    assert (found.signs, found.seq) == (["satellites 9"], 8)


def test_an_alarm_for_tampering() -> None:
    # vl03, 5: alarm 0x13 (tamper), state 0x80, voltage 4, signal 4; not positioned; serial 12.
    found = report(
        "787825260f0c1d030b26c9027ac8180c4658600004000901cc00287d001f718004041302000c472a0d0a"
    )
    assert (found.strap, found.case, found.positions) == ("open", None, [])
    assert found.signs == ["satellites 9", "voltage level 4", "signal level 4", "tamper"]
    # vl03, 5: the answer there, to serial 28.
    assert encode(0x26, b"", 28).hex() == "78780526001c9d860d0a"


def test_an_alarm_of_one_of_many_fences() -> None:
    # vl03, 5: alarm 0x0c (powered on), no cell, fence 0xff: none.
    found = report(
        "78782627100419092d07c5027ac91c0c4658000005370900000000000000008002000c01ff00004df60d0a"
    )
    assert (found.power, found.towers, found.battery_pct) == ("on", [], 15.0)
    assert found.signs[-1] == "powered on"
    at_fence = place(NOON, 114, 22.5) + bytes([1, 0, 4, 4, 0x05, 1, 3])
    assert report(write(0x27, at_fence)).signs[-2:] == ["left fence", "fence 3"]


def test_towers_of_a_terminal_without_satellites() -> None:
    # vl03, 4: 2016-01-13 02:02:02, four towers of 460-0-10365, and three that are not there.
    found = report(
        "78783b2810010d02020201cc00287d001f713e287d001f7231287d001e232d287d001f4018000000000000"
        "000000000000000000000000ff00020005b14b0d0a"
    )
    time = datetime(2016, 1, 13, 2, 2, 2, tzinfo=UTC)
    assert found.positions == []
    assert found.towers == [
        Tower(460, 0, 10365, cell, time=time) for cell in (0x1F71, 0x1F72, 0x1E23, 0x1F40)
    ]


def test_access_points_and_towers() -> None:
    # traccar: 2017-03-11 01:28:31, seven towers of 310-4, one access point.
    found = report(
        "7878412c11030b011c1f013604cb8a00b17754cb8a00bef357cb8a00b73f5fcb8900b0e25fcb8900b6655fcb"
        "8a00b74960cb8a00b178620701001801eb40393800bbbde10d0a"
    )
    time = datetime(2017, 3, 11, 1, 28, 31, tzinfo=UTC)
    assert len(found.towers) == 7
    assert found.towers[0] == Tower(310, 4, 0xCB8A, 0xB177, time=time)
    assert found.access_points == [AccessPoint("00:18:01:eb:40:39", time=time)]


def test_a_tower_and_a_state_alone() -> None:
    # traccar: 655-10-10721-14065, state 0x20 (SOS), voltage 3, signal 4, alarm 1 (SOS).
    found = report("78781219028f0a29e10036f12003040102000875dc0d0a")
    assert found.towers == [Tower(655, 10, 10721, 14065)]
    assert (found.signs[-1], found.battery_pct) == ("SOS", 35.0)


def test_a_wish_for_the_time() -> None:
    # vl03, 8: serial 6; and the answer there, at 2015-12-29 00:00:21.
    (turn,) = logged_in().receive(bytes.fromhex("7878058a000688290d0a"), NOW_S)
    assert turn.answer.hex() == "78780b8a0f0c1d0000150006f0860d0a"
    assert turn.reports == []


def test_a_position_in_the_old_form() -> None:
    # traccar: 2018-06-12 06:56:22 (0x0c 0x03 0x0c...) of the alarm 0x26 with mileage.
    found = report(
        "7878252612030c063816c3026c10540c38c9700144030901cc002866000eee0c06040302000da2db0d0a"
    )
    assert found.refused == []
    assert found.signs[-1] == "vibration"
    # traccar: 0x12, positioned, north, east.
    found = report("787821121303120b2524c70138e363085b549003d43301940057d200cd52c000006aa1ca0d0a")
    (found_place,) = found.positions
    assert found_place.time == datetime(2019, 3, 18, 11, 37, 36, tzinfo=UTC)
    assert (round(found_place.lon, 4), round(found_place.lat, 4)) == (77.8906, 11.3919)
    assert found_place.speed_mps == pytest.approx(3 / 3.6)


# -- times -----------------------------------------------------------------------------------------


def login_in_zone(zone: int) -> bytes:
    return write(0x01, bytes.fromhex("0" + IMEI) + b"\x36\x08" + zone.to_bytes(2, "big"))


@pytest.mark.parametrize(
    ("number", "zone", "model", "behind_h"),
    [
        (0x12, None, "", 0.0),
        (0x12, 0x3200, "", 8.0),  # vl03, 1: GMT+8:00
        (0x12, 0x4DD8, "", -12.75),  # vl03, 1: GMT-12:45
        (0x12, 0xFFF0, "", 0.0),  # no zone that there is
        (0x12, 0x3200, "GT06N utc+0", 0.0),
        (0x12, None, "GT06N utc+8", 8.0),
        (0x22, 0x3200, "", 0.0),  # UTC by the protocol
        (0x22, 0x3200, "GT06N utc+8", 8.0),
    ],
)
def test_in_which_zone_a_time_is(
    number: int, zone: int | None, model: str, behind_h: float
) -> None:
    login = LOGIN if zone is None else login_in_zone(zone)
    found = report(write(number, place(NOON, 114, 22.5)), model, login)
    assert found.positions[0].time == NOON - timedelta(hours=behind_h)


# -- states and alarms -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "strap", "case", "power"),
    [
        (0x00, None, None, None),
        (0x01, None, None, None),
        (0x0C, None, None, "on"),
        (0x11, None, None, "off"),
        (0x13, "open", None, None),
        (0x15, None, None, "off"),
        (0x18, None, "open", None),
    ],
)
def test_what_an_alarm_comes_to(
    code: int, strap: str | None, case: str | None, power: str | None
) -> None:
    for number in (0x16, 0x26):
        body = place(NOON, 114, 22.5) + bytes([1, 0x04, 6, 4, code, 1])
        found = report(write(number, body))
        assert (found.strap, found.case, found.power) == (strap, case, power)
        assert (found.charging, found.battery_pct) == (True, 100.0)
        assert found.signs[3:] == ([ALARMS[code]] if code else [])
        assert len(found.positions) == 1


def test_a_removal_among_the_bits_of_the_state() -> None:
    body = place(NOON, 114, 22.5) + bytes([1, 7 << 3, 9, 4, 0, 1])
    found = report(write(0x16, body))
    assert (found.strap, found.battery_pct) == ("open", None)
    assert found.signs[-1] == "removed"


def test_towers_of_lte() -> None:
    # vl03, 10 and 11: the top bit of the MCC says that the MNC has two bytes.
    lte = bytes.fromhex("81cc00010000249d000000000a1b2c3d")
    found = report(write(0xA0, place(NOON, 114, 22.5) + lte + bytes([0, 0, 1])))
    assert found.towers == [Tower(460, 1, 0x249D, 0x0A1B2C3D, time=NOON)]
    assert found.stored
    cell = bytes.fromhex("0000249d000000000a1b2c3d40")
    heard = clock(NOON) + bytes.fromhex("01cc00") + cell + bytes(13 * 6) + b"\xff\0\2"
    assert report(write(0xA1, heard)).towers == [Tower(460, 0, 0x249D, 0x0A1B2C3D, time=NOON)]


def test_what_is_wrong_is_kept_with_its_reason() -> None:
    for number, body, reason in (
        (0x22, place(NOON, 114, 22.5)[:17], "bad_length"),
        (0x22, b"\x18\x0d\x01" + place(NOON, 114, 22.5)[3:], "bad_time"),
        (0x26, place(NOON, 114, 22.5), "bad_length"),
        (0x2C, clock(NOON) + bytes(46) + b"\5" + bytes(9), "bad_length"),
    ):
        wire = write(number, body, 3)
        (turn,) = logged_in().receive(wire, NOW_S)
        assert [part.reason for part in turn.reports[0].refused] == [reason]
        assert turn.raw == wire.hex().encode()
        assert turn.answer == write(number, b"", 3)


def test_what_is_not_understood_was_still_heard() -> None:
    found = report(write(0x94, b"\x0a" + bytes(26), long=True))
    assert found.signs == [f"packet 94: 0a{'00' * 26}"]
    found = report(write(0x21, bytes(4) + b"\x01" + b"STATUS OK", long=True))
    assert found.signs == ["says STATUS OK"]


# -- who it is -------------------------------------------------------------------------------------


def test_nothing_is_taken_before_a_login() -> None:
    for number in (0x12, 0x13, 0x26, 0x8A):
        (turn,) = talk_of(device()).receive(write(number, bytes(40)), NOW_S)
        assert (turn.away, turn.close, turn.answer) == ("unknown_device", True, b"")


def test_who_is_not_announced_or_has_a_secret_is_not_let_in() -> None:
    (turn,) = talk_of().receive(LOGIN, NOW_S)
    assert (turn.away, turn.close, turn.answer) == ("unknown_device", True, b"")
    for secret in ({"token_hashes": (bytes(32),)}, {"keys": (bytes(32),)}, {"auth_code": ""}):
        (turn,) = talk_of(device(**secret)).receive(LOGIN, NOW_S)
        assert (turn.away, turn.close, turn.answer) == ("no_secret", True, b"")


def test_while_the_registry_is_not_read_nobody_is_refused() -> None:
    def find(_: str) -> Device:
        raise NotReady

    (turn,) = Gt06Talk(find).receive(LOGIN, NOW_S)
    assert (turn.later, turn.close, turn.away, turn.answer) == (True, True, "", b"")


def test_an_imei_that_is_none_ends_the_line() -> None:
    for content in (bytes(7), bytes.fromhex("0abcdef123456789")):
        (turn,) = talk_of(device()).receive(write(0x01, content), NOW_S)
        assert (turn.unreadable, turn.close) == ("not_of_protocol", True)


# -- any bytes -------------------------------------------------------------------------------------

contents = st.binary(max_size=250)
serials = st.integers(0, 65535)


@given(st.integers(0, 255), st.binary(max_size=1000), serials)
def test_what_a_terminal_writes_is_read_as_it_was_meant(
    number: int, content: bytes, serial: int
) -> None:
    wire = write(number, content, serial, long=len(content) > 250)
    assert Framer().feed(wire) == [Frame(number, content, serial, wire)]


@given(st.integers(0, 255), contents, serials)
def test_the_gateway_writes_as_a_terminal_does(number: int, content: bytes, serial: int) -> None:
    assert encode(number, content, serial) == write(number, content, serial)


@given(
    st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30)).map(  # noqa: DTZ001
        lambda time: time.replace(microsecond=0, tzinfo=UTC)
    ),
    st.integers(-180 * 1_800_000, 180 * 1_800_000),
    st.integers(-90 * 1_800_000, 90 * 1_800_000),
    st.integers(0, 255),
    st.integers(0, 359),
)
def test_a_position_is_read_as_it_was_meant(
    time: datetime, lon: int, lat: int, kmh: int, course: int
) -> None:
    body = place(time, lon / 1_800_000, lat / 1_800_000, kmh=kmh, course=course)
    found = report(write(0x22, body))
    assert found.positions == [
        Position(
            time,
            lon / 1_800_000,
            lat / 1_800_000,
            "gnss",
            speed_mps=kmh / 3.6,
            heading_deg=float(course),
        )
    ]


def chunked(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for begin, end in pairwise(edges):
        yield data[begin:end]


garbage = st.one_of(
    st.binary(max_size=120),
    st.lists(
        st.sampled_from([b"\x78\x78", b"\x79\x79", b"\x78", b"\x0d\x0a", b"\x05\x13", b"\0\x20"]),
        max_size=40,
    ).map(b"".join),
)


@given(st.lists(st.tuples(garbage, contents), max_size=5), garbage, st.lists(st.integers(0)))
def test_messages_amid_garbage_are_found_however_the_bytes_are_cut(
    told: list[tuple[bytes, bytes]], last: bytes, cuts: list[int]
) -> None:
    data, wanted = b"", []
    for serial, (noise, content) in enumerate(told):
        data += noise + write(0x94, content, serial)
        wanted.append((serial, content))
    framer = Framer()
    found = [frame for piece in chunked(data + last, cuts) for frame in framer.feed(piece)]
    good = [(frame.serial, frame.content) for frame in found if isinstance(frame, Frame)]
    assert good == wanted
    assert len(framer._rest) < LONGEST


def test_a_message_behind_the_beginning_of_a_long_one_is_not_waited_for() -> None:
    talk = talk_of(device())
    turns = talk.receive(b"\x79\x79\x0f\x00" + LOGIN, NOW_S)
    assert [(turn.unreadable, turn.device is not None) for turn in turns] == [
        ("not_of_protocol", False),
        ("", True),
    ]


@given(st.lists(st.binary(max_size=3000), max_size=5), st.booleans())
def test_any_bytes_do_no_harm(pieces: list[bytes], proved: bool) -> None:
    talk = logged_in() if proved else talk_of(device())
    for piece in pieces:
        for turn in talk.receive(piece, NOW_S):
            assert turn.unreadable or turn.device or turn.away
    assert len(talk._framer._rest) < LONGEST


@given(st.sampled_from([0x01, 0x99, *READERS]), contents)
def test_any_content_does_no_harm(number: int, content: bytes) -> None:
    (turn,) = logged_in().receive(write(number, content), NOW_S)
    assert turn.device is not None or turn.away or turn.unreadable


@given(contents, st.integers(1, 0xFFFF))
def test_a_wrong_crc_is_said(content: bytes, spoil: int) -> None:
    wire = bytearray(write(0x12, content))
    wire[-4] ^= spoil >> 8
    wire[-3] ^= spoil & 0xFF
    found = Framer().feed(bytes(wire))
    assert not any(isinstance(frame, Frame) for frame in found)
    if b"\x78" not in content and b"\x79" not in content and 0x78 not in wire[-4:]:
        assert [bad.reason for bad in found if isinstance(bad, BadFrame)] == ["bad_checksum"]


def test_a_wrong_length_is_said() -> None:
    short = bytearray(write(0x12, bytes(20)))
    short[2] -= 1
    for wire in (bytes(short), b"\x78\x78\x04" + bytes(4) + b"\x0d\x0a", b"\x79\x79\xff\xff\0"):
        (bad,) = Framer().feed(wire)
        assert isinstance(bad, BadFrame)
        assert bad.reason == "bad_length"
