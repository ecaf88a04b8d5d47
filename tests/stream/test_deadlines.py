"""When to look at whom again: never later than asked, and one note for each person."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from geomon.stream.deadlines import Deadlines

ALL = 1_000


def noted(*notes: tuple[str, int]) -> Deadlines:
    deadlines = Deadlines()
    for whose, due_s in notes:
        deadlines.note(whose, due_s)
    return deadlines


def test_who_is_due_is_given_once_the_earliest_first() -> None:
    deadlines = noted(("A", 30), ("B", 10), ("C", 20), ("D", 40))
    assert list(deadlines.due(9, ALL)) == []
    assert list(deadlines.due(30, ALL)) == ["B", "C", "A"]
    assert list(deadlines.due(30, ALL)) == []
    assert len(deadlines) == 1


def test_no_more_are_given_than_asked_for_and_the_rest_keeps() -> None:
    deadlines = noted(("A", 30), ("B", 10), ("C", 20))
    assert list(deadlines.due(100, 0)) == []
    assert list(deadlines.due(100, 2)) == ["B", "C"]
    assert list(deadlines.due(100, 2)) == ["A"]


def test_nothing_to_look_at_is_not_noted() -> None:
    assert len(noted(("A", 0))) == 0


def test_nobody_is_forgotten_for_having_nothing_to_look_at_any_more() -> None:
    """The note stays; whoever looks finds nothing."""
    assert list(noted(("A", 10), ("A", 0)).due(10, ALL)) == ["A"]


def test_an_earlier_time_takes_the_place_of_a_later_one() -> None:
    deadlines = noted(("A", 30), ("A", 10))
    assert len(deadlines) == 1
    assert list(deadlines.due(10, ALL)) == ["A"]
    assert list(deadlines.due(30, ALL)) == [], "not a second time at the time first noted"


def test_a_later_time_leaves_the_earlier_note_and_does_not_grow_the_heap() -> None:
    """Each upload moves the deadline of silence: a day of them must not be kept."""
    deadlines = Deadlines()
    for upload in range(10_000):
        deadlines.note("A", 600 + upload)
    assert len(deadlines._heap) == 1
    assert list(deadlines.due(600, ALL)) == ["A"]
    # Looked at, and nothing was there to see yet: the time at which there is something is noted.
    deadlines.note("A", 10_599)
    assert len(deadlines._heap) == 1
    assert list(deadlines.due(10_598, ALL)) == []
    assert list(deadlines.due(10_599, ALL)) == ["A"]


def test_somebody_may_be_noted_again_while_others_are_given() -> None:
    deadlines = noted(("A", 10), ("B", 20), ("C", 30))
    seen = []
    for whose in deadlines.due(20, ALL):
        seen.append(whose)
        deadlines.note(whose, 25)
    assert seen == ["A", "B"]
    assert list(deadlines.due(30, ALL)) == ["A", "B", "C"]


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from("ABCDE"), st.integers(0, 60)),  # note somebody
            st.tuples(st.integers(0, 60), st.integers(0, 6)),  # who is due until then, so many
        ),
        max_size=80,
    )
)
def test_everybody_is_given_by_the_earliest_time_noted(steps: list[tuple[str | int, int]]) -> None:
    """Against a model that keeps for each person the earliest time."""
    deadlines = Deadlines()
    earliest: dict[str, int] = {}
    notes = 0
    for who_or_until, number in steps:
        if isinstance(who_or_until, str):
            deadlines.note(who_or_until, number)
            if number and number < earliest.get(who_or_until, 1_000):
                earliest[who_or_until] = number
                notes += 1
        else:
            given_now = list(deadlines.due(who_or_until, number))
            due = sorted(when for when in earliest.values() if when <= who_or_until)
            # Of people with the same time any will do, but nobody before who is due earlier.
            assert [earliest.pop(whose) for whose in given_now] == due[:number]
        assert len(deadlines) == len(earliest)
        assert len(deadlines._heap) <= notes
    assert sorted(deadlines.due(1_000, ALL)) == sorted(earliest)
