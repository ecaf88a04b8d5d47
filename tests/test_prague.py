"""A real phone of four days that never crossed a border: what a fence through its life would say.

The phone lay at one home for three nights, 30 to 40 m accurate, and was carried about the city by
day. Circles of 2 km are laid so that their line passes home at some distance. In the nights nobody
moved: whatever crosses the line then is noise. By day the phone went five kilometres off: that is
real, whatever the circle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from geomon.core.rules import Rules
from geomon.intake import Intake, Raw
from geomon.replay import Replay
from geomon.tracks.formats import read_track, sniff
from geomon.tracks.layout import Layout
from geomon.tracks.trackfile import open_track
from geomon.tracks.trackfix import TrackFix
from geomon.tracks.uploads import Carrier, uploads
from geomon.zones.index import ZoneIndex

RADIUS_M = 2_000.0
M_PER_DEGREE = 111_195.0
#: From the first fix at home of an evening to the last before setting out: (UTC).
NIGHTS = [
    ("2014-04-25T20:20:00Z", "2014-04-26T07:35:00Z"),
    ("2014-04-26T22:00:00Z", "2014-04-27T07:05:00Z"),
    ("2014-04-27T22:15:00Z", "2014-04-28T06:50:00Z"),
]
#: Five kilometres to the north west, for an hour and more.
AWAY = "2014-04-26T09:30:00Z"


def time_s(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@pytest.fixture(scope="module")
def phone(recorded: Callable[[str], Path]) -> list[TrackFix]:
    path = recorded("phone_with_accuracy_prague.json")
    with open_track(path) as track:
        fixes = [f for f in read_track(track, sniff(path), Layout()) if isinstance(f, TrackFix)]
    return sorted(fixes, key=lambda fix: fix.time)


def at_night(phone: Sequence[TrackFix]) -> list[TrackFix]:
    spans = [(time_s(a), time_s(b)) for a, b in NIGHTS]
    return [f for f in phone if any(a <= f.time.timestamp() <= b for a, b in spans)]


def circle(phone: Sequence[TrackFix], bearing_deg: float, inside_m: float) -> ZoneIndex:
    """A circle whose line passes home at `inside_m`, on the side that lies at a bearing."""
    home_lon = float(np.median([fix.lon for fix in at_night(phone)]))
    home_lat = float(np.median([fix.lat for fix in at_night(phone)]))
    away_m, bearing = RADIUS_M - inside_m, np.radians(bearing_deg)
    angle = np.linspace(0, 2 * np.pi, 361)[:-1]
    east_m = -away_m * np.sin(bearing) + RADIUS_M * np.cos(angle)
    north_m = -away_m * np.cos(bearing) + RADIUS_M * np.sin(angle)
    lon = home_lon + east_m / (M_PER_DEGREE * np.cos(np.radians(home_lat)))
    ring = shapely.Polygon(np.column_stack([lon, home_lat + north_m / M_PER_DEGREE]))
    return ZoneIndex(ring, [], [], "circle", adcode="999999")


def absences(phone: Sequence[TrackFix], zones: ZoneIndex, source: str) -> list[dict[str, Any]]:
    replay = Replay(Intake(zones), Rules())
    events = uploads(phone, Carrier(datum="wgs84", person="phone", source=source))
    alerts = list(replay.feed(Raw(event, f"phone:{n}") for n, event in enumerate(events)))
    alerts += replay.finish()
    latest = {alert["data"]["episode"]: alert["data"] for alert in alerts}
    return [data for data in latest.values() if data["reason"] != "withdrawn"]


def flips(phone: Sequence[TrackFix], zones: ZoneIndex) -> int:
    """How often a plain point-in-polygon test changes its mind."""
    lon, lat = [fix.lon for fix in phone], [fix.lat for fix in phone]
    inside = zones.classify(lon, lat).inside
    return int((inside[1:] != inside[:-1]).sum())


@pytest.mark.parametrize("source", ["unknown", "gnss", "wifi"])
@pytest.mark.parametrize("inside_m", [-20.0, 0.0, 20.0, 50.0, 100.0])
@pytest.mark.parametrize("bearing_deg", [0, 90, 180, 270])
def test_no_exit_by_noise_alone(
    phone: list[TrackFix], source: str, inside_m: float, bearing_deg: float
) -> None:
    """Whoever lies in bed leaves nothing, though the line run through the bed."""
    found = absences(phone, circle(phone, bearing_deg, inside_m), source)
    for begin, end in NIGHTS:
        assert [a["since"] for a in found if begin < a["since"] < end] == []


def test_the_nights_are_noisy_enough_to_test_with(phone: list[TrackFix]) -> None:
    nights = at_night(phone)
    assert len(nights) > 800
    counts = [flips(nights, circle(phone, bearing_deg, 0)) for bearing_deg in (0, 90, 180, 270)]
    assert min(counts) > 100


@pytest.mark.parametrize("bearing_deg", [0, 45, 90, 135, 180, 225, 270, 315])
@pytest.mark.parametrize("inside_m", [50.0, 100.0, 500.0])
def test_real_absences_are_found_and_end_at_home(
    phone: list[TrackFix], inside_m: float, bearing_deg: float
) -> None:
    found = absences(phone, circle(phone, bearing_deg, inside_m), "unknown")
    assert any(a["since"] < AWAY and (a["until"] or "9") > AWAY for a in found)
    for begin, end in NIGHTS:
        middle = (time_s(begin) + time_s(end)) / 2
        asleep = [
            a
            for a in found
            if time_s(a["since"]) < middle and (not a["until"] or time_s(a["until"]) > middle)
        ]
        assert asleep == [], "said to be away while asleep at home"
