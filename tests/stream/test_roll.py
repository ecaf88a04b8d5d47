"""The people of one partition: what of the changelog counts, and which messages they have."""

from __future__ import annotations

import msgspec
import pytest

from geomon.core.person import Checks, Person
from geomon.errors import StateError
from geomon.settings import Settings, rules_from
from geomon.stream.record import (
    MARKER,
    REMEDY,
    Marker,
    Stamp,
    open_record,
    rules_mark,
    seal,
    stamp_of,
)
from geomon.stream.roll import Roll

RULES = rules_from(Settings())
STRICTER = rules_from(Settings(phone_silence_min=[1, 1, 1]))
ALL = 1_000


def record(whose: str, newest_s: int, offset: int, *, due_s: int = 0, clock_s: int = 0) -> bytes:
    person = Person(whose, due_s=due_s, clock_s=clock_s)
    return seal(person, Stamp(newest_s, offset), rules_mark(RULES.version))


def recovered(*records: tuple[str, int, int], marker: Marker | None = None) -> Roll:
    """A roll that has read (whose, newest_s, offset); the clock of each state says its offset."""
    roll = Roll()
    for whose, newest_s, offset in records:
        roll.recover(whose.encode(), record(whose, newest_s, offset, clock_s=offset))
    if marker:
        roll.recover(MARKER, msgspec.json.encode(marker))
    while roll.meet(RULES, ALL):
        pass
    return roll


def offset_of(roll: Roll, whose: str) -> int:
    """The offset that a state was written at, in `recovered`."""
    return roll.person(whose, RULES).clock_s


def stamps(roll: Roll, *whose: str) -> list[Stamp]:
    """The stamps with which states would be written now."""
    return [stamp_of(value) for key, value in roll.records(list(whose), RULES) if key != MARKER]


def test_of_two_records_of_one_person_the_later_counts_where_it_goes_further() -> None:
    assert offset_of(recovered(("A", 100, 5), ("A", 110, 9)), "A") == 9
    assert offset_of(recovered(("A", 100, 5), ("A", 100, 9)), "A") == 9


def test_a_record_written_late_does_not_count_and_the_better_one_is_written_again() -> None:
    roll = recovered(("A", 110, 9), ("B", 100, 5), ("A", 100, 5))
    assert offset_of(roll, "A") == 9
    assert roll.ledger.due(0, 60, ALL) == ["A"], "at once, before the topic is cleaned"
    assert roll.ledger.next_offset() == 0, "until then nothing may be committed"
    assert stamps(roll, "A") == [Stamp(110, 9)]


def test_a_state_of_a_topic_that_was_made_anew_goes_further_with_a_smaller_offset() -> None:
    assert offset_of(recovered(("A", 100, 500), ("A", 900, 3)), "A") == 3


def test_somebody_whose_record_was_deleted_is_not_known() -> None:
    roll = recovered(("A", 100, 5))
    roll.recover(b"A", None)
    assert list(roll.everybody()) == []
    roll.recover(b"B", None)
    assert roll.person("A", RULES) == Person("A")


def test_people_are_counted_when_all_are_met() -> None:
    roll = Roll()
    for whose in ("A", "B", "C"):
        roll.recover(whose.encode(), record(whose, 100, 5))
    assert roll.meet(RULES, 2)
    assert roll.ledger.kept == 0
    assert not roll.meet(RULES, 2)
    assert roll.ledger.kept == 3


def test_deadlines_of_people_who_were_recovered_are_noted_in_any_portions() -> None:
    for most in (1, 2, 3, ALL):
        roll = Roll()
        for number, whose in enumerate("ABCDE"):
            roll.recover(whose.encode(), record(whose, 100, 5, due_s=1_000 + number))
        roll.recover(b"F", record("F", 100, 5))
        while roll.meet(RULES, most):
            pass
        assert list(roll.deadlines.due(1_002, ALL)) == ["A", "B", "C"]
        assert list(roll.deadlines.due(9_999, ALL)) == ["D", "E"], "F has nothing due"


def test_kept_under_other_rules_what_these_ask_for_may_be_due_earlier() -> None:
    """A window that ends sooner than what was due under the rules of then."""
    window = Checks(window=(5_000, 6_000), due_s=7_000)
    person = Person("A", due_s=90_000, clock_s=5_500, checks=window)
    for rules, due_s in ((RULES, 90_000), (STRICTER, 7_000)):
        roll = Roll()
        roll.recover(b"A", seal(person, Stamp(100, 5), rules_mark(RULES.version)))
        roll.meet(rules, ALL)
        assert list(roll.deadlines.due(due_s - 1, ALL)) == []
        assert list(roll.deadlines.due(due_s, ALL)) == ["A"]


def test_a_state_knows_the_messages_up_to_its_stamp_and_no_others() -> None:
    roll = recovered(("A", 100, 50), ("B", 120, 60))
    assert roll.knows("A", 50, 100)
    assert roll.knows("A", 41, 90)
    assert not roll.knows("A", 51, 100)
    assert not roll.knows("A", 41, 101), "of a topic made anew"
    assert roll.knows("B", 51, 110)
    assert not roll.knows("C", 41, 90), "somebody never heard of"
    # And so it is when they have been met.
    roll.person("A", RULES)
    assert roll.knows("A", 50, 100)
    assert not roll.knows("A", 51, 100)


def test_a_message_that_was_judged_here_is_known_whoever_it_is_of() -> None:
    roll = recovered()
    roll.ledger.take(7, 100)
    assert roll.knows("nobody", 7, 100)
    assert not roll.knows("nobody", 8, 100)


def test_a_state_that_is_ahead_stays_ahead_whenever_it_is_written() -> None:
    """Read again from 41 on: A's state has the messages up to 50, and time changes it meanwhile."""
    roll = recovered(("A", 100, 50), ("B", 200, 60))
    person = roll.person("A", RULES)
    assert stamps(roll, "A") == [Stamp(200, 50)]
    roll.ledger.take(41, 90)
    roll.keep("A", person, 42, urgent=True, message=False)
    assert stamps(roll, "A", "B") == [Stamp(200, 50), Stamp(200, 60)]
    assert roll.knows("A", 50, 100)
    # Past it, it goes as far as everybody's.
    roll.ledger.take(61, 210)
    assert not roll.knows("A", 62, 220)
    assert stamps(roll, "A") == [Stamp(210, 61)]


def test_news_of_a_topic_made_anew_take_the_place_of_offsets_that_mean_nothing_now() -> None:
    roll = recovered(("A", 100, 50))
    person = roll.person("A", RULES)
    assert not roll.knows("A", 0, 900)
    roll.ledger.take(0, 900)
    roll.keep("A", person, 0, urgent=False)
    assert stamps(roll, "A") == [Stamp(900, 0)]
    assert not roll.knows("A", 1, 900), "or it would be lost"


def test_a_marker_counts_those_who_have_a_state_once_the_round_is_written() -> None:
    roll = recovered(("A", 100, 5), ("B", 100, 6))
    for offset, whose in ((7, "C"), (8, "D")):
        roll.ledger.take(offset, 100 + offset)
        roll.keep(whose, Person(whose), offset, urgent=False)
    begun = roll.ledger.begin(["C"])
    *states, (key, marker) = roll.records(list(begun), RULES)
    assert [name for name, _ in states] == [b"C"]
    assert key == MARKER
    assert msgspec.json.decode(marker, type=Marker) == Marker(3, 8, 108)


def test_how_new_messages_were_that_changed_nobody_is_known_from_the_marker() -> None:
    """States written from here on must not seem to go less far than a frozen worker's."""
    roll = recovered(("A", 100, 5), marker=Marker(1, 7, 300))
    roll.ledger.take(7, 250)
    roll.keep("A", roll.person("A", RULES), 7, urgent=False)
    assert stamps(roll, "A") == [Stamp(300, 7)]


def test_a_marker_written_late_does_not_lower_how_many_people_there_must_be() -> None:
    roll = recovered(("A", 100, 5), marker=Marker(9, 70, 300))
    roll.recover(MARKER, msgspec.json.encode(Marker(1, 7, 200)))
    assert roll.marker is not None
    assert roll.marker.people == 9
    assert roll.ledger.newest_s == 300


@pytest.mark.parametrize("record", [b"", b"{", b"[1, 2]", b'{"people": "many"}'])
def test_a_marker_that_cannot_be_read_is_one_clear_error(record: bytes) -> None:
    with pytest.raises(StateError) as error:
        Roll().recover(MARKER, record)
    assert str(error.value).endswith(REMEDY)
    assert "\n" not in str(error.value)


def test_somebody_new_is_counted_once_though_another_worker_writes_them_first() -> None:
    for newest_s, offset in ((150, 9), (90, 1)):
        roll = Roll()
        roll.ledger.take(5, 100)
        roll.keep("A", Person("A"), 5, urgent=False)
        roll.recover(b"A", record("A", newest_s, offset))
        roll.meet(RULES, ALL)
        assert roll.ledger.kept == 1
        roll.ledger.end(roll.ledger.begin(["A"]), roll.ledger.next_offset())
        assert roll.ledger.kept == 1


def test_a_state_is_opened_when_its_person_is_met_and_not_before() -> None:
    roll = recovered(("A", 100, 5), ("B", 100, 6))
    roll.person("A", RULES)
    assert isinstance(roll.people["A"], Person)
    assert isinstance(roll.people["B"], bytes)
    # Written again as it was, without being opened.
    [(_, written), _] = roll.records(["B"], RULES)
    assert open_record(written) == (Person("B", clock_s=6), Stamp(100, 6))
    assert written is roll.people["B"]
