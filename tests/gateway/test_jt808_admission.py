"""Who a JT/T 808 terminal is: the code it has to show, and what becomes of one that does not."""

from __future__ import annotations

import pytest
import terminal808
from talks808 import CODE, NOON, NOW_S, NUMBER, known, signed_in, talk_of
from terminal808 import position, write

from geomon.gateway.jt808 import Jt808Talk
from geomon.gateway.registry import Device, NotReady
from geomon.gateway.talk import Turn


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
