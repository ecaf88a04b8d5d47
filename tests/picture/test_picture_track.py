"""A recording, read as the track that is drawn."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from sketches import NOON, alert, line, permit, sent, upload

from geomon.picture import stories_from


@pytest.mark.parametrize(
    ("datum", "lon", "lat"),
    [
        ("wgs84", 114.113700, 22.531800),
        ("gcj02", 114.118806, 22.529113),
        ("bd09", 114.125219, 22.535451),
    ],
)
def test_the_same_spot_in_any_datum_is_drawn_at_the_same_spot(
    datum: str, lon: float, lat: float
) -> None:
    [story] = stories_from([upload(sent("12:00:00", lon, lat), datum=datum)], [], {})
    assert story.track[0].lon == pytest.approx(114.1137, abs=2e-6)
    assert story.track[0].lat == pytest.approx(22.5318, abs=2e-6)


def test_a_burst_newest_first_and_sent_twice_is_a_track_in_order() -> None:
    burst = upload(sent("12:20:00"), sent("12:10:00"), sent("12:00:00"))
    [story] = stories_from([upload(sent("12:30:00")), burst, burst], [], {"SZ-1": "Case"})
    assert [p.time.minute for p in story.track] == [0, 10, 20, 30]
    assert all(p.time.utcoffset() == timedelta(0) for p in story.track)
    assert story.title == "Case"


def test_positions_without_a_datum_and_broken_lines_are_not_drawn() -> None:
    lines: list[bytes | str] = [
        upload(sent("12:00:00"), datum=None),
        b"{broken",
        "\n",
        upload(sent("12:05:00", lat=95.0), sent("12:10:00")),
        line({"type": "check_in", "device_id": "p", "time": "2024-02-13T12:00:00+08:00"}),
    ]
    [story] = stories_from(lines, [], {})
    assert [p.time.minute for p in story.track] == [10]


def test_an_extension_replaces_the_leave_and_24_00_is_the_next_midnight() -> None:
    lines = [permit("2024-02-09T24:00:00+08:00"), permit("2024-02-12T24:00:00+08:00")]
    [first] = stories_from(lines[:1], [], {})
    [extended] = stories_from(lines, [], {})
    assert first.leaves[0].until == datetime(2024, 2, 9, 16, tzinfo=timezone.utc)
    assert [leave.until.day for leave in extended.leaves] == [12]
    assert extended.leaves[0].destinations == ("410000",)


def test_a_cancelled_leave_is_gone_and_a_return_ends_one_early() -> None:
    granted = permit("2024-02-09T24:00:00+08:00")
    cancelled = permit("2024-02-09T24:00:00+08:00", status="cancelled")
    back = line({"type": "return", "permit_id": "L-1", "time": "2024-02-07T18:00:00+08:00"})
    assert stories_from([granted, cancelled], [], {})[0].leaves == []
    [returned] = stories_from([granted, back], [], {})
    assert returned.leaves[0].until == datetime(2024, 2, 7, 10, tzinfo=timezone.utc)


def test_each_person_has_a_story_with_their_own_alerts() -> None:
    lines = [upload(sent("12:00:00")), upload(sent("12:00:00")).replace(b"SZ-1", b"SZ-2")]
    alerts = [alert("leave_city", "opened", NOON, subject="SZ-2")]
    one, two = stories_from(lines, alerts, {})
    assert (one.supervisee_id, len(one.alerts)) == ("SZ-1", 0)
    assert (two.supervisee_id, len(two.alerts)) == ("SZ-2", 1)
