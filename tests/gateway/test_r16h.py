"""The R16H wristband: the three messages that are public, and what follows from their form.

Source, read as facts: traccar/traccar, src/test/java/org/traccar/protocol/
R16hProtocolDecoderTest.java, R16hProtocolDecoder.java and R16hProtocol.java ("$" ends a message).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomon.gateway.r16h import LONGEST, Framer, R16hTalk
from geomon.gateway.registry import Device, NotAdmitted, NotReady
from geomon.gateway.reports import Position, Report, Tower
from geomon.gateway.talk import BadFrame, Turn

NOW_S = 1_780_000_000.0
IMEI = "356823031235028"
UTC = timezone.utc
LINK = f"@LINK,{IMEI}$"


def device(model: str = "", device_id: str = IMEI, **secrets: object) -> Device:
    return Device(
        device_id=device_id,
        supervisee_id="SZ-0001",
        device="wristband",
        datum="wgs84",
        model=model,
        **secrets,  # type: ignore[arg-type]
    )


def talk_of(*devices: Device) -> R16hTalk:
    def find(device_id: str) -> Device:
        for one in devices:
            if one.device_id == device_id:
                return one
        raise NotAdmitted("unknown_device")

    return R16hTalk(find)


def said(text: str, model: str = "") -> Turn:
    (turn,) = talk_of(device(model)).receive(text.encode(), NOW_S)
    return turn


def report(text: str, model: str = "") -> Report:
    (found,) = said(text, model).reports
    return found


def gpsd(**changed: str) -> str:
    """A position, with some of its fields changed."""
    fields = {
        **{"imei": IMEI, "kind": "R", "date": "20240213", "time": "040000"},
        **{"lat": "22.54310", "ns": "N", "lon": "114.05790", "ew": "E"},
        **{"speed": "3", "course": "90", "altitude": "-5", "battery": "71"},
        **{"strap": "L", "flag": ""},
    }
    return "@GPSD," + ",".join((fields | changed).values()) + "$"


def test_a_link_is_a_heartbeat_and_is_answered_nothing() -> None:
    turn = said("@LINK,356823031235028$")
    assert turn.device == device()
    assert turn.reports == [Report()]
    assert turn.answer == b""


def test_a_position_by_satellites() -> None:
    found = report("@GPSD,356823031235028,R,20260520,000133,01.34587,N,103.71993,E,0,111,36,72,L,$")
    assert found.positions == [
        Position(
            datetime(2026, 5, 20, 0, 1, 33, tzinfo=UTC),
            103.71993,
            1.34587,
            "gnss",
            speed_mps=0.0,
            heading_deg=111.0,
            altitude_m=36.0,
        )
    ]
    assert (found.battery_pct, found.strap, found.stored) == (72.0, "closed", False)
    assert (found.signs, found.refused, found.datum) == ([], [], None)


def test_a_tower_is_kept_and_is_no_position() -> None:
    found = report("@LBSD,356823031235028,R,20260616,092110,302-490-75f8-61c3715:-111,,,21,L,$")
    assert found.positions == []
    assert found.towers == [
        Tower(
            302,
            490,
            0x75F8,
            0x61C3715,
            signal_dbm=-111.0,
            time=datetime(2026, 6, 16, 9, 21, 10, tzinfo=UTC),
        )
    ]
    assert (found.battery_pct, found.strap) == (21.0, "closed")


def test_further_towers_and_what_else_was_heard() -> None:
    found = report(
        f"@LBSD,{IMEI},S,20260616,092110,460-0-75f8-1:-111,460-0-75f8-2:-90,aa:bb|-60,21,L,$"
    )
    assert [(tower.cell, tower.signal_dbm) for tower in found.towers] == [(1, -111.0), (2, -90.0)]
    assert (found.stored, found.signs) == (True, ["heard aa:bb|-60"])


def test_south_and_west_stored_and_late() -> None:
    found = report(gpsd(kind="S", ns="S", ew="W"))
    assert found.stored
    assert (found.positions[0].lon, found.positions[0].lat) == (-114.0579, -22.5431)


@pytest.mark.parametrize(
    ("strap", "flag", "state", "signs"),
    [
        ("L", "", "closed", []),
        ("R", "", "open", []),
        ("L", "SOS", "closed", ["SOS"]),
        ("L", "LBT", "closed", ["battery low"]),
        ("R", "ULK", "open", ["unlocked"]),
        ("L", "ULK", "open", ["unlocked"]),  # the alarm says more than the moment
        ("L", "XYZ", "closed", ["flag XYZ"]),
    ],
)
def test_the_strap_and_the_flags(strap: str, flag: str, state: str, signs: list[str]) -> None:
    found = report(gpsd(strap=strap, flag=flag))
    assert (found.strap, found.signs, len(found.positions)) == (state, signs, 1)


def test_a_clock_of_another_zone_is_told_by_the_registry() -> None:
    noon = datetime(2024, 2, 13, 4, 0, tzinfo=UTC)
    assert report(gpsd()).positions[0].time == noon
    assert report(gpsd(), "R16H utc+8").positions[0].time == noon - timedelta(hours=8)


@pytest.mark.parametrize(
    ("changed", "reason", "positions"),
    [
        ({"date": "20240230"}, "bad_time", 0),
        ({"time": "9:00"}, "bad_time", 0),
        ({"lat": "nan"}, "bad_value", 0),
        ({"ns": "X"}, "bad_value", 0),
        ({"speed": "1e5"}, "bad_value", 0),
        ({"battery": "101"}, "bad_value", 1),
        ({"battery": ""}, "bad_value", 1),
        ({"strap": "?"}, "bad_value", 1),
        ({"kind": "Q"}, "bad_value", 1),
    ],
)
def test_what_is_wrong_is_kept_with_its_reason(
    changed: dict[str, str], reason: str, positions: int
) -> None:
    turn = said(gpsd(**changed))
    (found,) = turn.reports
    assert [part.reason for part in found.refused] == [reason]
    assert len(found.positions) == positions
    assert turn.raw == gpsd(**changed).encode()


def test_too_few_fields_and_words_that_are_not_known() -> None:
    found = report(f"@GPSD,{IMEI},R,20240213$")
    assert [part.reason for part in found.refused] == ["missing_field"]
    assert report(f"@BOOT,{IMEI},1$").signs == [f"@BOOT,{IMEI},1"]
    assert said("@nothing$").unreadable == "not_of_protocol"


def test_who_is_not_announced_or_has_a_secret_is_not_let_in() -> None:
    for devices, reason in (
        ((), "unknown_device"),
        ((device(auth_code="x"),), "no_secret"),
        ((device(token_hashes=(bytes(32),)),), "no_secret"),
    ):
        (turn,) = talk_of(*devices).receive(LINK.encode(), NOW_S)
        assert (turn.away, turn.close, turn.reports) == (reason, True, [])


def test_one_line_speaks_for_one_wristband() -> None:
    talk = talk_of(device(), device(device_id="356823031235029"))
    talk.receive(LINK.encode(), NOW_S)
    (turn,) = talk.receive(b"@LINK,356823031235029$", NOW_S)
    assert (turn.away, turn.close) == ("another_device", True)


def test_while_the_registry_is_not_read_nobody_is_refused() -> None:
    def find(_: str) -> Device:
        raise NotReady

    (turn,) = R16hTalk(find).receive(LINK.encode(), NOW_S)
    assert (turn.later, turn.close, turn.away) == (True, True, "")


def test_line_ends_between_messages_are_nothing() -> None:
    turns = talk_of(device()).receive(f"{LINK}\r\n{LINK}\r\n".encode(), NOW_S)
    assert [turn.unreadable for turn in turns] == ["", ""]


def test_a_message_that_was_cut_short_does_not_cost_the_next() -> None:
    turns = talk_of(device()).receive(gpsd()[:40].encode() + gpsd().encode(), NOW_S)
    assert [(turn.unreadable, len(turn.reports)) for turn in turns] == [
        ("not_of_protocol", 0),
        ("", 1),
    ]


def chunked(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for begin, end in pairwise(edges):
        yield data[begin:end]


noise = st.one_of(
    st.binary(max_size=80),
    st.lists(st.sampled_from([b"@", b"@GPSD,", b"$", b"\r\n", b","])).map(b"".join),
)


@given(
    st.lists(st.tuples(noise, st.sampled_from(["SOS", "LBT", ""])), max_size=6),
    noise,
    st.lists(st.integers(0)),
)
def test_messages_amid_garbage_are_found_however_the_bytes_are_cut(
    told: list[tuple[bytes, str]], last: bytes, cuts: list[int]
) -> None:
    data, wanted = b"", []
    for number, (garbage, flag) in enumerate(told):
        text = gpsd(course=str(number), flag=flag)
        data += garbage + text.encode()
        wanted.append(text[:-1])
    framer = Framer()
    found = [text for piece in chunked(data + last, cuts) for text in framer.feed(piece)]
    good = [text for text in found if isinstance(text, str) and text.startswith("@GPSD,3")]
    assert good == wanted
    assert len(framer._rest) <= LONGEST


@given(st.lists(st.binary(max_size=2500), max_size=5))
def test_any_bytes_do_no_harm(pieces: list[bytes]) -> None:
    talk = talk_of(device())
    for piece in pieces:
        for turn in talk.receive(piece, NOW_S):
            assert turn.unreadable or turn.device or turn.away
    assert len(talk._framer._rest) <= LONGEST


@given(
    st.sampled_from(["GPSD", "LBSD"]),
    st.lists(st.text(st.characters(codec="ascii", exclude_characters="$@,")), max_size=16),
)
def test_any_fields_do_no_harm(kind: str, fields: list[str]) -> None:
    (turn,) = talk_of(device()).receive(f"@{kind},{IMEI},{','.join(fields)}$".encode(), NOW_S)
    assert turn.device is not None or turn.unreadable


@given(
    st.floats(-180, 180).map(lambda x: round(x, 5)),
    st.floats(-90, 90).map(lambda x: round(x, 5)),
    st.integers(0, 300),
    st.integers(0, 359),
    st.integers(-400, 9000),
    st.integers(0, 100),
)
def test_a_position_is_read_as_it_was_meant(
    lon: float, lat: float, kmh: int, course: int, altitude: int, battery: int
) -> None:
    found = report(
        gpsd(
            lat=f"{abs(lat):08.5f}",
            ns="S" if lat < 0 else "N",
            lon=f"{abs(lon):09.5f}",
            ew="W" if lon < 0 else "E",
            speed=str(kmh),
            course=str(course),
            altitude=str(altitude),
            battery=str(battery),
        )
    )
    (place,) = found.positions
    assert (place.lon, place.lat, found.battery_pct) == (lon, lat, battery)
    assert (place.speed_mps, place.heading_deg) == (kmh / 3.6, course)
    assert place.altitude_m == altitude


def test_a_message_that_does_not_end_is_given_up() -> None:
    framer = Framer()
    assert framer.feed(b"@GPSD," + bytes(LONGEST - 6)) == []
    (bad,) = framer.feed(b"1")
    assert isinstance(bad, BadFrame)
    assert (bad.reason, framer._rest) == ("bad_length", b"")
    assert framer.feed(LINK.encode()) == [LINK[:-1]]
