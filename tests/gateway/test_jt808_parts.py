"""Messages of JT/T 808 in parts: in any order, twice, or never whole."""

from __future__ import annotations

from datetime import timedelta

import pytest
import terminal808
from msgspec.structs import replace
from talks808 import CODE, NOON, NOW_S, NUMBER, known, signed_in, talk_of
from terminal808 import batch, position, write


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


def test_parts_from_before_a_terminal_was_handed_on_are_not_told_of_the_next_person() -> None:
    parts, _ = parts_of(2)
    devices = known()
    talk = talk_of(devices)
    talk.receive(write(0x0102, CODE.encode(), number=NUMBER, serial=1), NOW_S)
    talk.receive(parts[0], NOW_S)
    devices[NUMBER] = replace(devices[NUMBER], supervisee_id="SZ-0002")
    (turn,) = talk.receive(parts[1], NOW_S)
    assert turn.device is not None
    assert turn.device.supervisee_id == "SZ-0002"
    assert turn.reports == []


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
