"""A person's record in the changelog: its stamp, and records that nobody can go on with."""

from __future__ import annotations

import struct

import msgspec
import pytest
from everykind import everything
from hypothesis import given
from hypothesis import strategies as st

from geomon.core.person import Person, freeze
from geomon.decoding import decode
from geomon.errors import Refusal, StateError
from geomon.intake import Intake
from geomon.replay import Replay
from geomon.settings import Settings, rules_from
from geomon.stream.record import (
    MARKER,
    REMEDY,
    Stamp,
    due_of,
    open_record,
    rules_mark,
    seal,
    stamp_of,
)
from geomon.stream.roll import Roll
from geomon.zones.index import ZoneIndex

RULES = rules_from(Settings())
MARK = rules_mark(RULES.version)
SOMEBODY = Person("SZ-0042", clock_s=1_707_000_000, due_s=1_707_000_600, inside=(1 << 700, 3, 0, 1))
STAMPS = st.builds(Stamp, st.integers(0, 1 << 40), st.integers(-1, 1 << 62))


def test_what_is_sealed_is_opened_as_it_was() -> None:
    record = seal(SOMEBODY, Stamp(1_707_000_001, 77), MARK)
    assert open_record(record) == (SOMEBODY, Stamp(1_707_000_001, 77))
    assert stamp_of(record) == Stamp(1_707_000_001, 77)
    assert due_of(record) == (1_707_000_600, MARK)


def test_everybody_of_every_kind_is_opened_as_they_were(zones: ZoneIndex) -> None:
    replay = Replay(Intake(zones), RULES)
    assert list(replay.feed(everything()))
    for person in replay.people.values():
        opened, _ = open_record(seal(person, Stamp(1, 1), MARK))
        assert opened == person


@given(STAMPS)
def test_any_stamp_is_read_as_it_was_written(stamp: Stamp) -> None:
    assert stamp_of(seal(SOMEBODY, stamp, MARK)) == stamp


def test_of_two_stamps_the_one_that_goes_further_is_the_greater() -> None:
    """By offset while the topic stands; by time when it was made anew and counts from 0."""
    in_order = [Stamp(0, -1), Stamp(100, 5), Stamp(100, 6), Stamp(160, 7), Stamp(3_000, 0)]
    assert sorted(in_order, reverse=True) == in_order[::-1]
    assert max(in_order) == Stamp(3_000, 0)


def test_other_rules_have_another_mark() -> None:
    stricter = rules_from(Settings(phone_silence_min=[1, 1, 1]))
    assert rules_mark(stricter.version) != MARK
    assert rules_mark(rules_from(Settings()).version) == MARK


SEALED = seal(SOMEBODY, Stamp(100, 7), MARK)
HEAD_SIZE = struct.calcsize(">BqqqI")
#: A layout that no version has: the first number of the state.
OTHER_LAYOUT = msgspec.msgpack.encode([99, [b""] * 4, ["SZ-0042"]])
UNREADABLE = {
    "empty": b"",
    "the form and nothing else": SEALED[:1],
    "a head without a state": SEALED[:HEAD_SIZE],
    "a state without a head, as it was before there were stamps": freeze(SOMEBODY),
    "a form to come": bytes([SEALED[0] + 1]) + SEALED[1:],
    "a form long past": bytes([SEALED[0] - 1]) + SEALED[1:],
    "text": b'{"supervisee_id": "SZ-0042", "clock_s": 1707000000}',
}
UNREADABLE_STATES = {
    "another layout": SEALED[:HEAD_SIZE] + OTHER_LAYOUT,
    "a state of another shape": SEALED[:HEAD_SIZE] + msgspec.msgpack.encode({"a": 1}),
}


@pytest.mark.parametrize("record", UNREADABLE.values(), ids=UNREADABLE)
def test_a_record_of_another_form_is_one_clear_error(record: bytes) -> None:
    for read in (stamp_of, due_of, open_record):
        with pytest.raises(StateError) as error:
            read(record)
        assert str(error.value) == f"the kept states are of another form; {REMEDY}"


@pytest.mark.parametrize("record", UNREADABLE.values(), ids=UNREADABLE)
def test_a_roll_says_so_when_it_is_recovered(record: bytes) -> None:
    with pytest.raises(StateError, match="another form"):
        Roll().recover(b"SZ-0042", record)


@pytest.mark.parametrize("record", UNREADABLE_STATES.values(), ids=UNREADABLE_STATES)
def test_a_state_that_cannot_be_read_is_one_clear_error(record: bytes) -> None:
    assert stamp_of(record) == Stamp(100, 7)
    with pytest.raises(StateError) as error:
        open_record(record)
    assert str(error.value).startswith("a kept state cannot be read (")
    assert str(error.value).endswith(REMEDY)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("end", [1, 9, 17, HEAD_SIZE, HEAD_SIZE + 1, len(SEALED) - 1])
def test_a_record_cut_short_is_never_taken_for_somebody(end: int) -> None:
    with pytest.raises(StateError):
        open_record(SEALED[:end])


def test_nobody_has_the_key_of_the_marker() -> None:
    event = {
        "type": "clock",
        "supervisee_id": MARKER.decode(),
        "received": "2024-02-13T09:30:05+08:00",
    }
    with pytest.raises(Refusal, match="bad_id"):
        decode(msgspec.json.encode(event))
