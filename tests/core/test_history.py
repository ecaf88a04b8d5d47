"""The last hours as sets: order and repetition leave no trace."""

from __future__ import annotations

import random
from time import perf_counter

from hypothesis import given, settings
from hypothesis import strategies as st
from timeline import Story, fixes, moment

from geomon.core.evidence import DEEP_WEIGHT, PLAIN_WEIGHT
from geomon.core.history import (
    Inside,
    add_marks,
    add_minutes,
    first_inside,
    last_before,
    walk,
)
from geomon.core.person import Mark, freeze

NONE = (0, 0, 0, 0)

marks = st.builds(
    Mark,
    time_s=st.integers(0, 600),
    weight=st.integers(-400, 800),
    source=st.integers(0, 3),
    device=st.integers(0, 1),
    place=st.sampled_from(["", "441900"]),
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.lists(marks, max_size=30), st.randoms(use_true_random=False), st.integers(1, 30))
def test_marks_added_in_any_order_and_cut_are_the_same(
    new: list[Mark], rng: random.Random, cut: int
) -> None:
    at_once = add_marks((), new)
    shuffled = rng.sample(new, len(new))
    in_parts = add_marks(add_marks((), shuffled[:cut]), shuffled[cut:])
    assert in_parts == at_once
    assert add_marks(at_once, shuffled) is at_once
    assert list(at_once) == sorted(at_once)
    kept = {(m.time_s // 60, m.device, m.weight > 0): m for m in sorted(new, reverse=True)}
    assert set(at_once) == set(kept.values())


def test_minutes_are_a_set() -> None:
    once = add_minutes(NONE, 1_000, 1, [2 * 1_005 + 1, 2 * 1_007])
    assert add_minutes(once, 1_000, 1, [2 * 1_007, 2 * 1_005 + 1]) == once
    assert once == (0, 0, 1 << 7, 1 << 5)


def test_the_walk_goes_through_minutes_and_marks_in_time_order() -> None:
    inside = add_minutes(NONE, 0, 0, [2 * 1, 2 * 2 + 1, 2 * 9])
    mark = Mark(5 * 60 + 30, 300, 0, 0, "441900")
    first, middle, last = walk(inside, 0, (mark,))
    assert isinstance(first, Inside)
    assert [(i.time_s, i.weight) for i in first.items()] == [(60, PLAIN_WEIGHT), (120, DEEP_WEIGHT)]
    assert middle == mark
    assert isinstance(last, Inside)
    assert [i.time_s for i in last.items()] == [540]
    assert (last.last_s(0), last.last_s(1)) == (540, 0)


def test_of_both_in_one_minute_the_deeper_stands() -> None:
    inside = add_minutes(NONE, 0, 0, [2 * 1, 2 * 1 + 1])
    [stretch] = walk(inside, 0, ())
    assert isinstance(stretch, Inside)
    assert [i.weight for i in stretch.items()] == [DEEP_WEIGHT]


def test_last_before_and_first_inside() -> None:
    inside = add_minutes(NONE, 0, 0, [2 * 2, 2 * 9])
    seen = (Mark(200, 300, 0, 0, ""), Mark(400, -100, 0, 0, ""))
    assert last_before(inside, 0, seen, 100) == 0
    assert last_before(inside, 0, seen, 130) == 120
    assert last_before(inside, 0, seen, 399) == 200
    assert first_inside(inside, 0, seen, 121) == 400, "a mark outside is passed over"
    assert first_inside(inside, 0, (), 121) == 540
    assert first_inside(inside, 0, seen, 540) == 0


def test_a_week_out_with_a_wristband_stays_small_and_quick() -> None:
    """One fix a minute: the state is bounded by the horizon, not by the length of the leave."""
    story = Story()
    story.leave("05 08:00", "05 08:00", "13 08:00", to=["410000"])
    story.stay("05 09:00", "06 12:00", 40_000, place="411727")
    after_a_day = len(freeze(story.person))
    begun = perf_counter()
    story.stay("06 12:00", "12 12:00", 40_000, place="411727")
    a_fix_s = (perf_counter() - begun) / (6 * 1440)
    assert story.told() == []
    assert len(freeze(story.person)) < after_a_day + 2_000
    assert len(freeze(story.person)) < 40_000
    # The bound is loose for the sake of slow machines; the checks of `Story` are most of it.
    assert a_fix_s < 0.01


def test_an_upload_of_a_thousand_fixes_is_one_step() -> None:
    story = Story()
    story.upload("18:00", fixes("00:00", "16:40", 3_000), stored=True)
    assert len(story.person.marks) == 1_000
    assert story.person.newest_s == moment("16:39")
