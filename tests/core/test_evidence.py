"""What one fix is worth, and what the docstrings say of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timeline import Fix, Story, weight

from geomon.core.evidence import (
    DEEP,
    DEEP_WEIGHT,
    LIMIT,
    PLAIN,
    PLAIN_WEIGHT,
    SINGLE,
    SOURCES,
    grade,
)
from geomon.core.tuning import CEILING, DOUBT, SURE

SOURCE_NAMES = [source.name for source in SOURCES]


@pytest.mark.parametrize(
    ("source", "outside_m", "nats"),
    [("cell", 2_000, 2.5), ("gnss", 500, 4.8), ("gnss", 20_000, 8.0)],
)
def test_the_weights_that_the_documentation_quotes(
    source: str, outside_m: float, nats: float
) -> None:
    assert weight(Fix(0, outside_m, source)) == pytest.approx(nats, abs=0.1)


def test_on_the_line_a_fix_says_nothing() -> None:
    assert [weight(Fix(0, 0.0, source)) for source in SOURCE_NAMES] == [0.0] * len(SOURCE_NAMES)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.floats(0, 100_000),
    st.floats(0, 100_000),
    st.floats(1, 5_000),
    st.sampled_from(SOURCE_NAMES),
)
def test_farther_says_more_and_both_sides_alike(
    near_m: float, far_m: float, accuracy_m: float, source: str
) -> None:
    near_m, far_m = sorted([near_m, far_m])
    near, far = (weight(Fix(0, m, source, accuracy_m)) for m in (near_m, far_m))
    assert 0 <= near <= far <= LIMIT
    assert weight(Fix(0, -far_m, source, accuracy_m)) == -far


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.floats(0, 50_000),
    st.floats(1, 5_000),
    st.floats(1, 5_000),
    st.sampled_from(SOURCE_NAMES),
)
def test_a_less_accurate_fix_never_says_more(
    outside_m: float, one_m: float, other_m: float, source: str
) -> None:
    better_m, worse_m = sorted([one_m, other_m])
    worse = weight(Fix(0, outside_m, source, worse_m))
    assert worse <= weight(Fix(0, outside_m, source, better_m))


def test_satellite_says_more_than_wifi_and_wifi_more_than_cell() -> None:
    gnss, wifi, cell = (weight(Fix(0, 800, source)) for source in ("gnss", "wifi", "cell"))
    assert gnss > wifi > cell > 0


def test_grades_are_cut_where_they_say() -> None:
    weights = np.array([3.0, PLAIN_WEIGHT + 0.01, PLAIN_WEIGHT, DEEP_WEIGHT + 0.01, DEEP_WEIGHT])
    assert grade(weights).tolist() == [SINGLE, SINGLE, PLAIN, PLAIN, DEEP]


def alarms_after(outside_m: float, source: str, minutes: int, *, seen: str = "09:00") -> bool:
    story = Story()
    story.stay("07:00", seen)
    story.stay("09:00", f"09:{minutes:02}", outside_m, source=source)
    return bool(story.alerts)


def test_one_satellite_fix_is_enough_beyond_about_six_kilometres() -> None:
    assert CEILING + SURE == 6.5
    assert not alarms_after(3_000, "gnss", 1, seen="08:58")
    assert alarms_after(7_000, "gnss", 1, seen="08:58")


def test_after_an_hour_of_silence_one_satellite_fix_well_outside_is_enough() -> None:
    assert alarms_after(1_000, "gnss", 1, seen="08:00")
    assert not alarms_after(1_000, "gnss", 1)


def test_near_the_line_silence_makes_no_fix_say_more() -> None:
    assert not alarms_after(250, "gnss", 1, seen="08:00")


def test_a_satellite_fix_that_nobody_can_have_come_to_does_not_count() -> None:
    assert not alarms_after(7_000, "gnss", 1)


@pytest.mark.parametrize("outside_m", [1_500, 3_000, 5_000])
def test_nearer_a_second_one_a_minute_later_must_agree(outside_m: float) -> None:
    assert not alarms_after(outside_m, "gnss", 1)
    assert alarms_after(outside_m, "gnss", 2)


@pytest.mark.parametrize("outside_m", [1_000, 5_000, 10_000, 14_500])
def test_a_cell_fix_is_never_enough_alone_within_fifteen_kilometres(outside_m: float) -> None:
    assert not alarms_after(outside_m, "cell", 1)


def test_evidence_below_doubt_never_adds_up_to_an_absence() -> None:
    outside_m = 60.0
    assert 0 < weight(Fix(0, outside_m, "wifi")) < DOUBT
    story = Story()
    story.stay("08:00", "09:00")
    story.stay("09:00", "18:00", outside_m, source="wifi", every_s=300)
    assert story.told() == []
