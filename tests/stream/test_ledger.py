"""What of a partition is judged, what is written, and what may be committed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from geomon.stream.ledger import Ledger
from geomon.stream.record import Stamp

ALL = 1_000


def judged(*offsets: int) -> Ledger:
    """A ledger of a partition of which these messages are judged, each one second after another."""
    ledger = Ledger()
    for offset in offsets:
        ledger.take(offset, 1_000 + offset)
    return ledger


def write_all(ledger: Ledger) -> None:
    begun = ledger.begin(ledger.all_due())
    ledger.end(begun, ledger.next_offset())


def test_nothing_is_safe_before_something_is_written() -> None:
    ledger = judged(100, 101)
    ledger.change("A", 100)
    assert (ledger.safe, ledger.next_offset()) == (0, 100)


def test_what_is_judged_of_nobody_is_safe_with_the_next_round() -> None:
    """Refused messages change no state: they hold nothing back."""
    ledger = judged(100, 101, 102)
    assert ledger.next_offset() == 103
    ledger.end(ledger.begin([]), ledger.next_offset())
    assert ledger.safe == 103


def test_the_picture_of_the_module() -> None:
    """Judged up to 220; A's written state lacks 140, B's 180."""
    ledger = judged(100)
    ledger.change("C", 100)
    write_all(ledger)
    assert ledger.safe == 101
    for offset, whose in ((140, "A"), (180, "B"), (200, "A"), (220, "C")):
        ledger.take(offset, 0)
        ledger.change(whose, offset)
    assert ledger.next_offset() == 140
    a = ledger.begin(["A"])
    assert ledger.next_offset() == 180
    ledger.end(a, ledger.next_offset())
    assert ledger.safe == 180
    write_all(ledger)
    assert ledger.safe == 221


def test_a_state_that_changes_while_it_is_written_is_written_again() -> None:
    ledger = judged(5)
    ledger.change("A", 5)
    begun = ledger.begin(["A"])
    next_offset = ledger.next_offset()
    ledger.take(6, 1_006)
    ledger.change("A", 6)
    ledger.end(begun, next_offset)
    assert ledger.safe == 6
    assert ledger.all_due() == ["A"]
    assert ledger.next_offset() == 6


def test_a_round_that_fails_is_as_if_it_had_not_begun() -> None:
    ledger = judged(5, 6, 7)
    for whose, offset in (("A", 5), ("B", 6)):
        ledger.change(whose, offset)
    begun = ledger.begin(["A", "B"])
    assert ledger.next_offset() == 8
    for whose in ("C", "A"):
        ledger.change(whose, 7)
    ledger.fail(begun)
    assert (ledger.safe, ledger.next_offset()) == (0, 5)
    assert ledger.all_due() == ["A", "B", "C"], "in the order of what they lack"
    assert sorted(ledger.due(0.0, 60.0, ALL)) == ["A", "B"], "and does not wait again"


def test_what_was_told_is_as_urgent_after_a_round_that_failed() -> None:
    ledger = judged(5)
    ledger.change("A", 5, urgent=True)
    ledger.fail(ledger.begin(["A"]))
    assert ledger.is_urgent
    assert ledger.due(0.0, 60.0, ALL) == ["A"]


def test_a_state_is_due_when_its_first_unwritten_change_is_old_enough() -> None:
    ledger = Ledger()
    for time_s, offset, whose in ((0, 1, "A"), (10, 2, ""), (20, 3, "B"), (25, 4, "A")):
        ledger.take(offset, 0)
        if whose:
            ledger.change(whose, offset)
        assert ledger.due(time_s, 30, ALL) == []
    assert ledger.due(29, 30, ALL) == []
    assert ledger.due(30, 30, ALL) == ["A"]
    assert ledger.due(39, 30, ALL) == ["A"]
    assert ledger.due(50, 30, ALL) == ["A", "B"]


def test_what_time_changes_is_due_though_no_message_comes_any_more() -> None:
    ledger = judged(7)
    ledger.due(0, 30, ALL)
    ledger.change("A", 8)
    assert ledger.due(1, 30, ALL) == []
    assert ledger.due(31, 30, ALL) == ["A"]


def test_somebody_found_in_the_changelog_is_counted_there() -> None:
    """Another worker has written them meanwhile: `kept` is set anew, and they are not new to it."""
    ledger = judged(1)
    ledger.change("A", 1, fresh=True)
    ledger.found("A")
    ledger.kept = 1
    write_all(ledger)
    assert (ledger.kept, ledger.fresh) == (1, 0)


def test_what_is_left_of_a_round_is_due_in_the_next_one() -> None:
    ledger = judged(1, 2, 3)
    for offset, whose in enumerate("ABC", 1):
        ledger.change(whose, offset)
    assert ledger.due(0, 0, 2) == ["A", "B"]
    ledger.end(ledger.begin(["A", "B"]), ledger.next_offset())
    assert ledger.due(0, 0, 2) == ["C"]


def test_what_was_told_is_due_at_once_and_first() -> None:
    ledger = judged(1, 2, 3)
    ledger.change("A", 1)
    ledger.change("B", 2)
    assert ledger.due(0, 60, ALL) == []
    ledger.change("B", 3, urgent=True)
    assert ledger.is_urgent
    assert ledger.due(0, 60, ALL) == ["B"]
    assert ledger.due(60, 60, ALL) == ["B", "A"], "and nobody twice"
    assert ledger.due(60, 60, 0) == ["B"], "however few of the others may be written"
    ledger.end(ledger.begin(["B"]), ledger.next_offset())
    assert ledger.due(60, 60, ALL) == ["A"]
    assert ledger.safe == 1, "A's written state lacks message 1 still"


def test_people_are_counted_once_they_have_a_written_state() -> None:
    ledger = judged(1, 2)
    ledger.change("A", 1, fresh=True)
    ledger.change("B", 2, fresh=True)
    assert (ledger.kept, ledger.fresh) == (0, 2)
    begun = ledger.begin(["A"])
    assert (ledger.kept, ledger.kept_after(begun)) == (0, 1)
    ledger.fail(begun)
    assert (ledger.kept, ledger.fresh) == (0, 2)
    write_all(ledger)
    assert (ledger.kept, ledger.fresh, ledger.waiting) == (2, 0, 0)
    ledger.change("A", 3)
    write_all(ledger)
    assert ledger.kept == 2


def test_a_message_that_comes_again_is_known_but_not_one_of_a_topic_made_anew() -> None:
    ledger = judged(5, 6)
    assert ledger.has_judged(5, 1_005)
    assert ledger.has_judged(6, 1_006)
    assert not ledger.has_judged(7, 1_006)
    assert not ledger.has_judged(0, 2_000), "its offsets count from 0 again"
    assert ledger.stamp == Stamp(1_006, 6)


def test_a_broker_whose_time_goes_back_makes_no_smaller_stamp() -> None:
    ledger = judged(5)
    ledger.take(6, 900)
    assert ledger.stamp == Stamp(1_005, 6)


# A life of a ledger: (what, whose). "message": the next one, which changes somebody's state, or
# nobody's; "clock": a deadline of somebody; "begin", "end", "fail": of a round of somebody or, with
# nobody, of all who are due.
WHOSE = st.sampled_from(["", "A", "B", "C", "D"])
LIVES = st.lists(
    st.tuples(
        st.sampled_from(["message", "message", "message", "clock", "begin", "end", "fail"]),
        WHOSE,
        st.booleans(),
    ),
    max_size=60,
)


@settings(max_examples=500, deadline=None)
@given(LIVES, st.integers(0, 50), st.integers(0, 8))
def test_no_more_is_safe_than_what_written_states_have(  # noqa: PLR0915
    life: list[tuple[str, str, bool]], first: int, after_s: int
) -> None:
    """Against a model that keeps, for everybody, each change and what of them is written."""
    ledger = Ledger()
    next_message = first
    lacking: dict[str, list[int]] = {}  # whose -> changes not in the written state
    under_way: dict[str, list[int]] | None = None
    begun: dict[str, int] = {}
    wanted_offset = 0
    kept: set[str] = set()
    known: set[str] = set()
    told_of: set[str] = set()  # since their states were written
    for now_s, (what, whose, told) in enumerate(life):
        if what == "message":
            ledger.take(next_message, now_s)
            if whose:
                ledger.change(whose, next_message, fresh=whose not in known, urgent=told)
                told_of |= {whose} if told else set()
                lacking.setdefault(whose, []).append(next_message)
                known.add(whose)
            next_message += 1
        elif what == "clock" and whose in known:
            at = ledger.done + 1
            ledger.change(whose, at, urgent=told)
            told_of |= {whose} if told else set()
            lacking.setdefault(whose, []).append(at)
        elif what == "begin" and under_way is None:
            people = ledger.due(now_s, after_s, 3)
            assert len(people) == len(set(people))
            assert len([p for p in people if p not in told_of]) <= 3
            people = [p for p in people if whose in ("", p)]
            begun = ledger.begin(people)
            told_of.difference_update(people)
            under_way = {p: lacking.pop(p) for p in people}
            wanted_offset = ledger.next_offset()
        elif what == "end" and under_way is not None:
            ledger.end(begun, wanted_offset)
            kept |= under_way.keys()
            under_way = None
        elif what == "fail" and under_way is not None:
            ledger.fail(begun)
            told_of |= begun.keys()
            for name, offsets in under_way.items():
                lacking[name] = offsets + lacking.get(name, [])
            under_way = None
        first_missing = min(
            (o for of in (lacking, under_way or {}) for offsets in of.values() for o in offsets),
            default=next_message,
        )
        assert ledger.safe <= first_missing
        assert sorted(ledger.all_due()) == sorted(lacking)
        if under_way is None:
            assert ledger.next_offset() == min(first_missing, ledger.done + 1)
            assert ledger.kept == len(kept)
    # In the end, to write all makes all safe that was judged.
    if under_way is not None:
        ledger.end(begun, wanted_offset)
    write_all(ledger)
    assert ledger.safe == ledger.next_offset() == ledger.done + 1
    assert ledger.kept == len(known)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from("ABCD")), min_size=1, max_size=40),
    st.integers(1, 12),
)
def test_each_change_is_due_when_it_is_old_and_not_before(
    steps: list[tuple[int, str]], after_s: int
) -> None:
    """Asked every second, as the worker does; nothing is written meanwhile.

    Only what comes next after a pause may be taken for as old as the pause: it is written early.
    """
    ledger = Ledger()
    changed_s: dict[str, int] = {}
    now_s = 0
    for offset, (pause_s, whose) in enumerate(steps):
        for _ in range(pause_s):
            now_s += 1
            wanted = {w for w, when in changed_s.items() if when <= now_s - after_s}
            due = set(ledger.due(now_s, after_s, ALL))
            assert wanted <= due
            assert len(due - wanted) <= 1
        ledger.take(offset, 0)
        ledger.change(whose, offset)
        changed_s.setdefault(whose, now_s)
        ledger.due(now_s, after_s, ALL)
    assert set(ledger.due(now_s + after_s, after_s, ALL)) == set(changed_s)
