"""Sorting more fixes than memory should hold."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from geomon.tracks.timeorder import in_time_order
from geomon.tracks.trackfix import TrackFix

T = datetime(2024, 2, 13, 1, 30, tzinfo=timezone.utc)


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 50))
def test_fixes_are_in_time_order_and_ties_in_order_of_arrival(
    seconds: list[int], run_length: int
) -> None:
    arrived = [
        TrackFix(
            str(n), T + timedelta(seconds=s, microseconds=1), 114.1 + n / 7, 22.5, None, "gnss"
        )
        for n, s in enumerate(seconds)
    ]
    expected = sorted(arrived, key=lambda fix: (fix.time, int(fix.track_id or "")))
    assert list(in_time_order(iter(arrived), run_length=run_length)) == expected
