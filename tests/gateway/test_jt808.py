"""JT/T 808: messages of public sources with what they say, and any other by a writer of our own.

Sources, read as facts:

    emqx     emqx/emqx, apps/emqx_gateway_jt808/test/emqx_jt808_parser_SUITE.erl
    xtream   hylexus/xtream-codec, debug/jt/jt-808-server-spring-boot-starter-debug-ui/src/utils/
             codec-utils.ts
    small    SmallChi/JT808, README.md, and the tests of 0x0100 of the 2019 edition
    traccar  traccar/traccar, src/test/java/org/traccar/protocol/Jt808ProtocolDecoderTest.java
    g10ls    AIPorto/GPS-Tracker-SDK, G10LS_Protocol.md
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
import terminal808
from talks808 import CODE, NOON, NOW_S, NUMBER, known, report, signed_in, talk_of
from terminal808 import batch, position, write

from geomon.gateway.jt808 import frames
from geomon.gateway.jt808.frames import Frame
from geomon.gateway.jt808.messages import ALARMS, ALARMS_2019
from geomon.gateway.reports import AccessPoint, Position, Tower
from geomon.gateway.talk import BadFrame

# -- messages of public sources --------------------------------------------------------------------


def test_the_example_of_escaping_in_the_standard() -> None:
    # JT/T 808, 4.4.2 (also g10ls, 1.4.2): 30 7e 08 7d 55 is sent as 7e 30 7d 02 08 7d 01 55 7e.
    plain = bytes([0x30, 0x7E, 0x08, 0x7D, 0x55])
    assert terminal808._escaped(plain).hex(" ") == "7e 30 7d 02 08 7d 01 55 7e"
    parsed = frames.parse(bytes.fromhex("307d02087d0155"))
    # It is no message: its checksum is not there.
    assert isinstance(parsed, BadFrame)


def test_a_position_with_escapes_in_its_serial_number_and_its_fuel() -> None:
    # small, README, example 1: serial 0x7e, fuel 0x7d, 2018-10-15 10:10:10, altitude 40 m, 6 km/h.
    wire = bytes.fromhex(
        "7e02000026123456789012007d02000000010000000200ba7f0e07e4f11c0028003c0000"
        "18101510101001040000006402020 07d01137e".replace(" ", "")
    )
    found = report(wire, "123456789012")
    assert found.positions == [
        Position(
            datetime(2018, 10, 15, 2, 10, 10, tzinfo=timezone.utc),
            132.444444,
            12.222222,
            "unknown",  # no bit says by which satellites
            speed_mps=60 / 36,
            heading_deg=0.0,
            altitude_m=40.0,
        )
    ]
    assert found.seq == 0x7E
    assert found.signs == ["emergency (SOS)", "mileage 10.0 km", "item 02: 007d"]
    assert found.refused == []


def test_a_position_that_the_terminal_does_not_have_is_left_out() -> None:
    # emqx, t_case04: status 0x40000 (GPS is used, nothing found), lat 20019815, lon 110323793,
    # 2017-10-19 19:35:38, mileage 16306, signal 31, no satellites.
    wire = bytes.fromhex(
        "7e0200003c01887663897200e5000000000004000001317a6706936851000e0000002717101919353801"
        "0400003fb2030200002504000000002a0200002b040000000030011f310100ab7e"
    )
    found = report(wire, "18876638972")
    assert found.positions == []
    assert found.refused == []
    assert {"mileage 1630.6 km", "signal 31", "satellites 0"} <= set(found.signs)


def test_a_batch_of_five() -> None:
    # emqx, t_case05: five positions on Hainan, of 2017-08-31 10:49:33 to 10:52:14, type 1: stored.
    wire = bytes.fromhex(
        "7e0704013901887663897200e7000501003c00000000000400030131732b0691d351001f00a600ab1708"
        "31104933010400003c55030200002504000000002a0200002b040000000030010031010c003c00000000"
        "000400030131724a0691d402001d00de007d02170831104938010400003c55030200002504000000002a"
        "0200002b040000000030010031010c003c000000000004000301316dde0691e150002501a9006d170831"
        "105011010400003c59030200002504000000002a0200002b040000000030010031010c003c0000000000"
        "04000301315aeb06920018002b02880072170831105111010400003c63030200002504000000002a0200"
        "002b040000000030010031010c003c000000000004000301315b7806922b15002b02f700531708311052"
        "14010400003c6f030200002504000000002a0200002b040000000030010031010c847e"
    )
    found = report(wire, "18876638972")
    assert found.stored
    assert found.refused == []
    assert [
        (
            (one.time + timedelta(hours=8)).strftime("%H:%M:%S"),
            round(one.lon * 1e6),
            round(one.lat * 1e6),
            one.altitude_m,
            one.heading_deg,
            one.source,
        )
        for one in found.positions
    ] == [
        ("10:49:33", 110220113, 20017963, 31.0, 171.0, "gnss"),
        ("10:49:38", 110220290, 20017738, 29.0, 126.0, "gnss"),
        ("10:50:11", 110223696, 20016606, 37.0, 109.0, "gnss"),
        ("10:51:11", 110231576, 20011755, 43.0, 114.0, "gnss"),
        ("10:52:14", 110242581, 20011896, 43.0, 83.0, "gnss"),
    ]
    assert found.positions[2].speed_mps == pytest.approx(42.5 / 3.6)


def test_positions_of_the_2019_edition() -> None:
    # xtream, BuiltinMessage0200: alarm 111, status 22 (located, south), 2025-01-29 22:33:44.
    talk = signed_in(edition=2019)
    one = bytes.fromhex(
        "7e02004026010000000001391234432900000000006f0000001601dc9a0707456246007b0042000325012922"
        "33440202006401040000000c417e"
    )
    # xtream, BuiltinMessage0704: two positions that are not located.
    two = bytes.fromhex(
        "7e0704403f01000000000139123443290000000200001c000000010000000101d907f2073d336c029a002100"
        "59241029213903001c000000010000000101d907f3073d336d03090043005a241029213903f87e"
    )
    first, second = talk.receive(one + two, NOW_S)
    (found,) = first.reports
    (place,) = found.positions
    assert (place.lon, place.lat, place.altitude_m) == (121.987654, -31.234567, 123.0)
    assert place.time == datetime(2025, 1, 29, 14, 33, 44, tzinfo=timezone.utc)
    assert (place.speed_mps, place.heading_deg) == (66 / 36, 3.0)
    assert found.signs[:6] == [ALARMS[bit] for bit in (0, 1, 2, 3, 5, 6)]
    (other,) = second.reports
    assert (other.positions, other.stored, other.refused) == ([], False, [])
    # xtream, BuiltinMessage8001, is the form of the answer; serial numbers differ.
    answer = terminal808.read(first.answer)
    assert (answer.message_id, answer.number) == (0x8001, NUMBER.rjust(20, "0"))
    assert answer.body.hex() == "0000020000"


def test_a_registration_of_the_2019_edition_is_answered_with_the_code() -> None:
    # small, test of 0x0100: terminal 123456789, serial 10.
    wire = bytes.fromhex(
        "7e010040540100000000000123456789000a002800323030303030303031323334303030303030303030"
        "30303030303030303030736d616c6c636869313233303030303030303030303030303030303030303030"
        "30303043484931323301d4c1413132333435b27e"
    )
    (turn,) = talk_of(known("123456789")).receive(wire, NOW_S)
    answer = terminal808.read(turn.answer)
    assert (answer.message_id, answer.answers, answer.result) == (0x8100, 10, 0)
    assert answer.code == CODE


def test_a_message_as_the_platform_writes_it() -> None:
    # xtream: BuiltinMessage8100 (code ok..ok..ok to message 111), 8003 in both editions.
    to = Frame(0x0100, 111, bytes.fromhex("00000000013912344329"), 2019, b"", b"")
    wire = frames.encode(0x8100, bytes.fromhex("006f00") + b"ok..ok..ok", to, 0)
    assert wire.hex() == "7e8100400d01000000000139123443290000006f006f6b2e2e6f6b2e2e6f6bd27e"
    body = bytes.fromhex("006f0003000200030004")
    assert frames.encode(0x8003, body, to, 0).hex() == (
        "7e8003400a01000000000139123443290000006f0003000200030004d57e"
    )
    old = Frame(0x0100, 111, bytes.fromhex("013912344323"), 2013, b"", b"")
    assert frames.encode(0x8003, bytes.fromhex("006f03000200030004"), old, 0).hex() == (
        "7e800300090139123443230000006f030002000300049d7e"
    )


@pytest.mark.parametrize(
    ("wire", "number", "battery_pct"),
    [
        # traccar: item e4, 99 %.
        (
            "7e02000048051160004464000d00000000000c00020159885e06cbf34400000000000020080718072201"
            "040000000130011c310109e4020063e50100e60100e7080000000000000000ee0a01cc01262c009a6743"
            "001e7e",
            "51160004464",
            99.0,
        ),
        # traccar: item d4, 63 %.
        (
            "7e0200004e08026300003006480000000000000007021477d90841920700000000005019110515194001"
            "040000167130011631010cd00400000400d3020027d4013fd61438393631303138323030303438333635"
            "32383330da0104897e",
            "80263000030",
            63.0,
        ),
        # traccar: item fe, 69 %.
        (
            "7e02000033202011200010001300020000000400020158b30006c93ee50020000000002011271629"
            "37010400000000fe0145ff0c01cc00000000263300000f3e627e",
            "202011200010",
            69.0,
        ),
        # traccar: item 56, nine tenths.
        (
            "7e0200003f014501643822000300020000000c000c000000000000000000000000000023061514390330"
            "0111310100530901027f0300456f073e56020900fe02001e57080002000200000000df7e",
            "14501643822",
            90.0,
        ),
    ],
)
def test_batteries_of_different_makers(wire: str, number: str, battery_pct: float) -> None:
    assert report(bytes.fromhex(wire), number).battery_pct == battery_pct


def test_towers_and_access_points_are_kept_where_there_is_no_position() -> None:
    # traccar: item 53, one tower; g10ls, table 20, says what its nine bytes are.
    wire = bytes.fromhex(
        "7e0200003f014501643822000300020000000c000c0000000000000000000000000000230615143903300111"
        "310100530901027f0300456f073e56020900fe02001e57080002000200000000df7e"
    )
    found = report(wire, "14501643822")
    assert found.positions == []
    time = datetime(2023, 6, 15, 6, 39, 3, tzinfo=timezone.utc)
    assert found.towers == [Tower(639, 3, 0x45, 0x6F07, "gsm", time=time)]
    # g10ls, table 20: 54 is WiFi, 5d a tower of LTE.
    wifi = bytes([2]) + bytes.fromhex("001122334455c4a0b1c2d3e4f541")
    lte = bytes([1]) + bytes.fromhex("01cc00249d0a1b2c3dba")
    body = position(NOON, 0, 0, located=False, items=[(0x54, wifi), (0x5D, lte)])
    found = report(write(0x0200, body, number=NUMBER, serial=2), NUMBER)
    assert found.positions == []
    assert found.access_points == [
        AccessPoint("00:11:22:33:44:55", -60.0, NOON),
        AccessPoint("a0:b1:c2:d3:e4:f5", None, NOON),  # in no unit that is documented
    ]
    assert found.towers == [Tower(460, 0, 0x249D, 0x0A1B2C3D, "lte", -70.0, NOON)]


# -- what else a position may say ------------------------------------------------------------------


def test_every_alarm_bit_has_a_word_in_each_edition() -> None:
    body = position(NOON, 114, 22.5, alarm=0xFFFFFFFF)
    for edition, named in ((2013, ALARMS), (2019, {**ALARMS, **ALARMS_2019})):
        talk = signed_in(edition=edition)
        wire = write(0x0200, body, number=NUMBER, serial=2, edition=edition)
        (found,) = talk.receive(wire, NOW_S)[0].reports
        words = [named.get(bit, f"alarm bit {bit}") for bit in range(32)]
        assert found.signs == words
        assert (found.strap, found.case, found.power) == (None, None, None)


def test_the_registry_says_which_bit_is_the_strap() -> None:
    body = position(NOON, 114, 22.5, alarm=1 << 17)
    cut = report(write(0x0200, body, number=NUMBER, serial=2), NUMBER, "B5 strap=17 case=16")
    assert (cut.strap, cut.case) == ("open", None)
    whole = position(NOON, 114, 22.5)
    assert (
        report(write(0x0200, whole, number=NUMBER, serial=2), NUMBER, "B5 strap=17").strap is None
    )


def test_a_clock_of_another_zone_is_told_by_the_registry() -> None:
    wire = write(0x0200, position(NOON, 114, 22.5), number=NUMBER, serial=2)
    assert report(wire, NUMBER).positions[0].time == NOON
    assert report(wire, NUMBER, "export utc+0").positions[0].time == NOON + timedelta(hours=8)


@pytest.mark.parametrize(
    ("wrong", "reason", "at"),
    [
        (position(NOON, 114, 22.5)[:27], "bad_length", -1),
        (position(NOON, 114, 22.5)[:22] + bytes.fromhex("240230120000"), "bad_time", 0),
        (position(NOON, 114, 22.5)[:22] + bytes(6), "bad_time", 0),
        (position(NOON, 114, 22.5)[:22] + bytes.fromhex("2a0213120000"), "bad_time", 0),
    ],
)
def test_what_is_wrong_in_a_position_is_kept_with_its_reason(
    wrong: bytes, reason: str, at: int
) -> None:
    (turn,) = signed_in().receive(write(0x0200, wrong, number=NUMBER, serial=2), NOW_S)
    (found,) = turn.reports
    assert [(part.reason, part.fix) for part in found.refused] == [(reason, at)]
    assert found.positions == []
    assert (
        bytes.fromhex(turn.raw.decode()).hex()
        in write(0x0200, wrong, number=NUMBER, serial=2).hex()
    )
    assert terminal808.read(turn.answer).result == (2 if reason == "bad_length" else 0)


def test_an_item_that_is_cut_off_does_not_cost_the_position() -> None:
    body = position(NOON, 114, 22.5, items=[(0x31, b"\x09")]) + bytes([0x30, 5, 1])
    found = report(write(0x0200, body, number=NUMBER, serial=2), NUMBER)
    assert len(found.positions) == 1
    assert found.signs == ["satellites 9", "item 30 cut off after 1 of 5 bytes"]


def test_a_batch_keeps_what_is_whole_of_it() -> None:
    good, bad = position(NOON, 114, 22.5), position(NOON, 114, 22.5)[:10]
    body = batch([good, bad, good], stored=True)
    found = report(write(0x0704, body, number=NUMBER, serial=2), NUMBER)
    assert len(found.positions) == 2
    assert [(part.reason, part.fix) for part in found.refused] == [("bad_length", 1)]
    found = report(write(0x0704, body[:-5], number=NUMBER, serial=2), NUMBER)
    assert len(found.positions) == 1
    assert [(part.reason, part.fix) for part in found.refused] == [
        ("bad_length", 1),
        ("bad_length", 2),
    ]


def test_of_a_batch_the_newest_says_how_the_battery_is() -> None:
    bodies = [
        position(NOON - timedelta(minutes=ago), 114, 22.5, items=[(0xD4, bytes([pct]))], alarm=1)
        for ago, pct in ((0, 40), (20, 60), (10, 50))
    ]
    found = report(write(0x0704, batch(bodies, stored=True), number=NUMBER, serial=2), NUMBER)
    assert (found.battery_pct, found.signs) == (40.0, ["emergency (SOS)"])
