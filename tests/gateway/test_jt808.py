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

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
import terminal808
from hypothesis import given
from hypothesis import strategies as st
from terminal808 import batch, position, write

from geomon.gateway.jt808 import Jt808Talk, frames
from geomon.gateway.jt808.frames import LONGEST, Frame, Framer
from geomon.gateway.jt808.messages import ALARMS, ALARMS_2019
from geomon.gateway.registry import Device, NotAdmitted, NotReady
from geomon.gateway.reports import AccessPoint, Position, Report, Tower
from geomon.gateway.talk import BadFrame, Turn

NOW_S = 1_700_000_000.0
NOON = datetime(2024, 2, 13, 4, 0, tzinfo=timezone.utc)
NUMBER, CODE = "13912344329", "open-sesame"


def known(number: str = NUMBER, model: str = "", code: str | None = CODE) -> dict[str, Device]:
    return {
        number: Device(
            device_id=number,
            supervisee_id="SZ-0001",
            device="wristband",
            datum="gcj02",
            model=model,
            auth_code=code,
        )
    }


def talk_of(devices: dict[str, Device], *, registration: bool = True) -> Jt808Talk:
    def find(device_id: str) -> Device:
        if device_id not in devices:
            raise NotAdmitted("unknown_device")
        return devices[device_id]

    return Jt808Talk(find, registration=registration)


def signed_in(number: str = NUMBER, *, edition: int = 2013, model: str = "") -> Jt808Talk:
    """A talk with a terminal that has shown its code."""
    talk = talk_of(known(number, model))
    shown = CODE.encode()
    if edition == 2019:
        shown = bytes([len(shown)]) + shown + bytes(35)
    (turn,) = talk.receive(write(0x0102, shown, number=number, serial=1, edition=edition), NOW_S)
    assert terminal808.read(turn.answer).result == 0
    return talk


def report(wire: bytes, number: str, model: str = "") -> Report:
    """What the gateway makes of one message of a terminal that has proved who it is."""
    (turn,) = signed_in(number, model=model).receive(wire, NOW_S)
    assert turn.device is not None
    (found,) = turn.reports
    return found


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


# -- who it is -------------------------------------------------------------------------------------


def answered(talk: Jt808Talk, message_id: int, body: bytes, **options: int) -> tuple[Turn, int]:
    wire = write(message_id, body, number=NUMBER, serial=7, **options)  # type: ignore[arg-type]
    (turn,) = talk.receive(wire, NOW_S)
    return turn, terminal808.read(turn.answer).result


@pytest.mark.parametrize("edition", [2013, 2019])
def test_nothing_is_taken_before_the_code_was_shown(edition: int) -> None:
    talk = talk_of(known())
    for message_id in (0x0002, 0x0003, 0x0200, 0x0704, 0x0900):
        turn, result = answered(talk, message_id, position(NOON, 114, 22.5), edition=edition)
        assert (turn.away, turn.reports, turn.close, result) == ("no_secret", [], True, 1)


@pytest.mark.parametrize("edition", [2013, 2019])
def test_the_code_is_shown_in_the_form_of_each_edition(edition: int) -> None:
    right = CODE.encode()
    wrong = b"open-barley"
    if edition == 2019:
        right, wrong = (bytes([len(code)]) + code + b"1" * 35 for code in (right, wrong))
    talk = talk_of(known())
    turn, result = answered(talk, 0x0102, wrong, edition=edition)
    assert (turn.away, turn.close, result, talk.device) == ("wrong_secret", True, 1, None)
    turn, result = answered(talk, 0x0102, right, edition=edition)
    assert (turn.away, turn.close, result) == ("", False, 0)
    assert talk.device is not None
    # Of the old form some end in a zero, and some have it under the new head.
    for form in (CODE.encode() + b"\0", CODE.encode()):
        assert answered(talk_of(known()), 0x0102, form, edition=edition)[1] == 0


def test_a_terminal_that_nobody_announced_is_refused() -> None:
    talk = talk_of({})
    for message_id, refusal in ((0x0100, 4), (0x0102, 1), (0x0200, 1)):
        turn, result = answered(talk, message_id, b"code")
        assert (turn.away, turn.close, result) == ("unknown_device", True, refusal)


def test_without_a_code_in_the_registry_there_is_no_way_in() -> None:
    talk = talk_of(known(code=None))
    for message_id, refusal in ((0x0100, 4), (0x0102, 1), (0x0200, 1)):
        turn, result = answered(talk, message_id, b"")
        assert (turn.away, turn.close, result) == ("no_secret", True, refusal)


def test_an_empty_code_is_none_wherever_it_came_from() -> None:
    turn, result = answered(talk_of(known(code="")), 0x0100, bytes(37))
    assert (turn.away, turn.close, result) == ("no_secret", True, 4)
    for edition, shown in ((2013, b""), (2013, b"\0"), (2019, b"\0" + b"1" * 35)):
        for code, reason in (("", "no_secret"), (CODE, "wrong_secret")):
            talk = talk_of(known(code=code))
            turn, result = answered(talk, 0x0102, shown, edition=edition)
            assert (turn.away, turn.close, result, talk.device) == (reason, True, 1, None)


def test_registration_can_be_closed() -> None:
    talk = talk_of(known(), registration=False)
    turn, result = answered(talk, 0x0100, bytes(37))
    assert (turn.away, turn.close, result) == ("no_secret", True, 4)
    assert answered(talk, 0x0102, CODE.encode())[1] == 0


def test_nobody_speaks_in_the_name_of_another() -> None:
    devices = known() | known("13800000000")
    talk = talk_of(devices)
    answered(talk, 0x0102, CODE.encode())
    (turn,) = talk.receive(write(0x0002, b"", number="13800000000", serial=8), NOW_S)
    assert (turn.away, turn.close) == ("another_device", True)


def test_who_is_withdrawn_while_connected_is_let_go() -> None:
    devices = known()
    talk = talk_of(devices)
    answered(talk, 0x0102, CODE.encode())
    del devices[NUMBER]
    turn, result = answered(talk, 0x0200, position(NOON, 114, 22.5))
    assert (turn.away, turn.close, result, turn.reports) == ("unknown_device", True, 1, [])


def test_when_its_code_is_changed_a_terminal_has_to_show_the_new_one() -> None:
    devices = known()
    talk = talk_of(devices)
    answered(talk, 0x0102, CODE.encode())
    devices |= known(code="another", model="another")
    turn, result = answered(talk, 0x0200, position(NOON, 114, 22.5))
    assert (turn.away, turn.close, result, turn.reports) == ("no_secret", True, 1, [])
    assert answered(talk_of(devices), 0x0102, CODE.encode())[0].away == "wrong_secret"
    again = talk_of(devices)
    assert answered(again, 0x0102, b"another")[1] == 0
    # What else is announced anew does not disturb it.
    devices |= known(code="another", model="B6")
    assert answered(again, 0x0200, position(NOON, 114, 22.5))[1] == 0


def test_while_the_registry_is_not_read_nobody_is_refused_and_nothing_is_said() -> None:
    def find(_: str) -> Device:
        raise NotReady

    for message_id in (0x0100, 0x0102, 0x0200):
        (turn,) = Jt808Talk(find).receive(write(message_id, b"", number=NUMBER, serial=1), NOW_S)
        assert (turn.later, turn.close, turn.away, turn.answer) == (True, True, "", b"")


def test_who_signs_off_has_to_show_the_code_again() -> None:
    talk = signed_in()
    turn, result = answered(talk, 0x0003, b"")
    assert (result, turn.close, turn.reports[0].signs) == (0, False, ["signed off"])
    assert answered(talk, 0x0002, b"")[0].away == "no_secret"


def test_what_is_not_understood_was_still_heard() -> None:
    turn, result = answered(signed_in(), 0x0900, b"\x41anything")
    assert (result, turn.reports[0].signs) == (3, ["message 0900"])
    (turn,) = signed_in().receive(write(0x0001, bytes(5), number=NUMBER, serial=3), NOW_S)
    assert (turn.answer, turn.reports, turn.away) == (b"", [], "")


def test_an_enciphered_message_is_refused_as_not_supported() -> None:
    wire = write(0x0200, bytes(128), number=NUMBER, serial=7, cipher=1)
    (turn,) = signed_in().receive(wire, NOW_S)
    assert (turn.unreadable, turn.reports, turn.close) == ("not_of_protocol", [], False)
    assert terminal808.read(turn.answer).result == 3


# -- parts -----------------------------------------------------------------------------------------


def parts_of(count: int, edition: int = 2013, serial: int = 100) -> tuple[list[bytes], int]:
    """A batch of 40 positions in parts, the first of which has this serial number."""
    bodies = [position(NOON - timedelta(minutes=n), 114, 22.5) for n in range(40)]
    whole = batch(bodies, stored=True)
    size = -(-len(whole) // count)
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    return [
        write(
            0x0704,
            piece,
            number=NUMBER,
            serial=(serial + n) % 65536,
            edition=edition,
            part=(len(pieces), n + 1),
        )
        for n, piece in enumerate(pieces)
    ], 40


def answers_in(wire: bytes) -> list[terminal808.Answer]:
    return [terminal808.read(b"\x7e" + one + b"\x7e") for one in wire.split(b"\x7e") if one]


@pytest.mark.parametrize("edition", [2013, 2019])
@pytest.mark.parametrize("order", ["in order", "backwards"])
def test_parts_are_put_together_and_acknowledged_with_the_whole(edition: int, order: str) -> None:
    parts, count = parts_of(3, edition, serial=65534)  # the serial number begins anew among them
    if order == "backwards":
        parts.reverse()
    talk = signed_in(edition=edition)
    for wire in parts[:-1]:
        (turn,) = talk.receive(wire, NOW_S)
        assert (turn.answer, turn.reports) == (b"", [])
    (turn,) = talk.receive(parts[-1], NOW_S)
    (found,) = turn.reports
    assert (len(found.positions), found.stored, found.refused) == (count, True, [])
    answers = answers_in(turn.answer)
    assert [(each.answers, each.result) for each in answers] == [(65534, 0), (65535, 0), (0, 0)]
    assert talk.due_s == float("inf")


def test_a_terminal_that_waits_for_each_part_gets_on_when_it_sends_it_again() -> None:
    parts, count = parts_of(3)
    talk = signed_in()
    for wire in parts[:-1]:
        (turn,) = talk.receive(wire, NOW_S)
        assert turn.answer == b""
        (turn,) = talk.receive(wire, NOW_S)
        (answer,) = answers_in(turn.answer)
        assert answer.result == 0
        assert turn.reports == []
    (turn,) = talk.receive(parts[-1], NOW_S)
    assert len(turn.reports[0].positions) == count


@pytest.mark.parametrize(
    ("edition", "wish"), [(2013, "00640200020003"), (2019, "0064000200020003")]
)
def test_parts_that_stay_away_are_asked_for_and_given_up(edition: int, wish: str) -> None:
    parts, _ = parts_of(3, edition)
    talk = signed_in(edition=edition)
    talk.receive(parts[0], NOW_S)
    assert talk.tick(NOW_S + 1) == []
    now_s = NOW_S
    for _ in range(3):
        assert now_s < talk.due_s < NOW_S + 60
        now_s = talk.due_s
        (turn,) = talk.tick(now_s)
        (answer,) = answers_in(turn.answer)
        assert (answer.message_id, answer.body.hex()) == (0x8003, wish)
    (turn,) = talk.tick(talk.due_s)
    assert (turn.unreadable, turn.answer) == ("bad_length", b"")
    assert talk.due_s == float("inf")
    # What comes after that begins anew.
    (turn,) = talk.receive(parts[1], now_s + 60)
    assert turn.reports == []


def test_parts_do_not_fill_the_memory() -> None:
    talk = signed_in()
    for message in range(50):
        for part in range(1, 120):
            wire = write(
                0x0704,
                bytes(1000),
                number=NUMBER,
                serial=(message * 500 + part) % 65536,
                part=(128, part),
            )
            talk.receive(wire, NOW_S)
    assert talk._parts is not None
    held = sum(
        len(frame.raw) for pile in talk._parts._piles.values() for frame in pile.parts.values()
    )
    assert held <= 256 << 10


def test_parts_that_cannot_be_are_refused() -> None:
    for part in ((3, 0), (3, 4), (129, 1)):
        wire = write(0x0704, bytes(9), number=NUMBER, serial=9, part=part)
        (turn,) = signed_in().receive(wire, NOW_S)
        assert turn.unreadable == "bad_length"
        assert terminal808.read(turn.answer).result == 2
    wire = write(0x0704, bytes(9), number=NUMBER, serial=9, part=(0, 0))
    (turn,) = signed_in().receive(wire, NOW_S)
    assert (turn.unreadable, turn.answer) == ("bad_length", b"")


# -- any bytes -------------------------------------------------------------------------------------

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
