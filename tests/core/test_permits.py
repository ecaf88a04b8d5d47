"""Permits over time: what is covered, by which, and what they name."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geomon.core.permits import (
    announce,
    covered,
    end_of,
    is_destination,
    report_back,
    uncovered,
)
from geomon.core.person import Permit

DAY = 86_400


def permit(
    begin_s: int, end_s: int, *to: str, permit_id: str = "L-1", cancelled_s: int = 0
) -> Permit:
    return Permit(permit_id, "leave", begin_s, end_s, to or ("410000",), cancelled_s)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 30)), max_size=6))
def test_covered_and_uncovered_are_the_whole_without_overlap(spans: list[tuple[int, int]]) -> None:
    permits = [permit(a, a + n, permit_id=f"L-{i}") for i, (a, n) in enumerate(spans)]
    pieces = [(s.from_s, s.until_s) for s in covered(permits, 5, 60)] + uncovered(permits, 5, 60)
    pieces.sort()
    assert pieces[0][0] == 5
    assert pieces[-1][1] == 60
    assert all(a[1] == b[0] for a, b in pairwise(pieces))
    for time in range(5, 60):
        holds = any(p.from_s <= time < end_of(p) for p in permits)
        assert holds == any(s.from_s <= time < s.until_s for s in covered(permits, 5, 60))


def test_a_cancellation_ends_a_leave_and_one_before_it_began_leaves_none() -> None:
    assert end_of(permit(100, 200, cancelled_s=150)) == 150
    assert covered([permit(100, 200, cancelled_s=50)], 0, 300) == []


def test_a_cancellation_sent_again_does_not_move() -> None:
    permits = announce((), permit(100, 200, cancelled_s=120), 120)
    permits = announce(permits, permit(100, 200, cancelled_s=180), 180)
    assert end_of(permits[0]) == 120


def test_granted_again_after_a_cancellation_counts_in_full() -> None:
    permits = announce((), permit(100, 200, cancelled_s=120), 120)
    assert end_of(announce(permits, permit(100, 200), 130)[0]) == 200


def test_a_repeat_keeps_the_report_of_return_and_an_extension_does_not() -> None:
    permits = announce((), permit(100, 200), 90)
    returned = report_back(permits, "L-1", 150)
    assert returned is not None
    assert end_of(announce(returned, permit(100, 200), 160)[0]) == 150
    assert end_of(announce(returned, permit(100, 300), 160)[0]) == 300


def test_the_first_report_of_return_stands() -> None:
    permits = report_back(announce((), permit(100, 200), 90), "L-1", 150)
    assert permits is not None
    again = report_back(permits, "L-1", 170)
    assert again is not None
    assert end_of(again[0]) == 150
    assert report_back(permits, "L-2", 150) is None


def test_old_permits_are_forgotten_only_when_the_law_no_longer_looks_back() -> None:
    old = announce((), permit(0, 10 * DAY), 0)
    two_months = announce(old, permit(70 * DAY, 71 * DAY, permit_id="L-2"), 71 * DAY)
    assert [p.permit_id for p in two_months] == ["L-1", "L-2"]
    year = announce(two_months, permit(365 * DAY, 366 * DAY, permit_id="L-3"), 365 * DAY)
    assert [p.permit_id for p in year] == ["L-3"]


@pytest.mark.parametrize(
    ("place", "destination", "agrees"),
    [
        ("411727", "410000", True),
        ("411727", "411700", True),
        ("411727", "411727", True),
        ("411727", "411728", False),
        ("411727", "440000", False),
        ("410000", "411727", True),
        ("411700", "411727", True),
        ("", "410000", False),
        ("", "000000", True),
        ("810000", "810000", True),
        ("810000", "820000", False),
    ],
)
def test_destinations_are_compared_as_far_as_both_say(
    place: str, destination: str, agrees: bool
) -> None:
    assert is_destination(place, [permit(0, 1, destination)]) is agrees
