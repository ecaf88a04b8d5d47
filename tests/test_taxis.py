"""Sixteen real taxis over one day, watched as if they were wristbands without leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from taxitracks import TAXIS, taxi_fixes

from geomon.core.episodes import OF_CITY
from geomon.core.rules import Rules
from geomon.datum import from_wgs84
from geomon.intake import Intake, Raw
from geomon.replay import Replay
from geomon.tracks.timeorder import in_time_order
from geomon.tracks.trackfix import TrackFix
from geomon.tracks.uploads import Carrier, uploads
from geomon.zones.index import zones_for

#: Each left the city: 17 minutes in Dongguan, an evening in Dongguan, and one that was still in
#: Huizhou when the recording ended. Time, UTC: (since, until).
EXPECTED = {
    "22224": ("2013-10-22T15:50:57Z", None),
    "22225": ("2013-10-21T17:28:41Z", "2013-10-21T17:43:00Z"),
    "22226": ("2013-10-22T10:37:50Z", "2013-10-22T13:25:00Z"),
}


@pytest.fixture
def taxis(recorded: Callable[[str], Path]) -> tuple[TrackFix, ...]:
    return taxi_fixes(recorded(TAXIS))


def replayed(
    fixes: Sequence[TrackFix], *, datum: str = "wgs84", fixes_per_upload: int = 1
) -> list[dict[str, Any]]:
    carrier = Carrier(datum=datum, device="wristband", source="gnss")
    replay = Replay(Intake(zones_for("440300")), Rules())
    events = uploads(fixes, carrier, fixes_per_upload=fixes_per_upload)
    alerts = list(replay.feed(Raw(event, f"taxis:{n}") for n, event in enumerate(events)))
    alerts += replay.finish()
    assert replay.counts["fixes"] == 47_000
    assert not replay.rejections
    assert len(replay.people) == 16
    return alerts


def episodes(alerts: Sequence[dict[str, Any]]) -> dict[str, tuple[str, str | None]]:
    """The last word on each absence that was not withdrawn, by taxi; all must be leave_city.

    Taxis fall silent and come near the line; nothing about them is faked or cut.
    """
    told = {alert["data"]["kind"] for alert in alerts}
    assert told <= OF_CITY | {"lost_contact", "border_approach"}
    latest = {a["data"]["episode"]: a for a in alerts if a["data"]["kind"] in OF_CITY}
    standing = [a for a in latest.values() if a["data"]["reason"] != "withdrawn"]
    assert {a["data"]["kind"] for a in standing} == {"leave_city"}
    found = {a["subject"]: (a["data"]["since"], a["data"]["until"]) for a in standing}
    assert len(found) == len(standing), "two absences of one taxi"
    return found


def test_three_left_the_city_and_thirteen_did_not(taxis: tuple[TrackFix, ...]) -> None:
    alerts = replayed(list(in_time_order(taxis)))
    assert episodes(alerts) == EXPECTED
    assert [alert["id"] for alert in alerts if alert["data"]["kind"] in OF_CITY] == [
        "22225/leave_city/2013-10-21T17:28:41Z#1",
        "22225/leave_city/2013-10-21T17:28:41Z#2",
        "22226/leave_city/2013-10-22T10:37:50Z#1",
        "22226/leave_city/2013-10-22T10:37:50Z#2",
        "22224/leave_city/2013-10-22T15:50:57Z#1",
    ]


@pytest.mark.parametrize("fixes_per_upload", [30, 1000])
def test_the_size_of_uploads_does_not_matter(
    taxis: tuple[TrackFix, ...], fixes_per_upload: int
) -> None:
    alerts = replayed(list(in_time_order(taxis)), fixes_per_upload=fixes_per_upload)
    assert episodes(alerts) == EXPECTED


@pytest.mark.parametrize("datum", ["gcj02", "bd09"])
def test_the_same_in_the_datum_of_a_map_service(taxis: tuple[TrackFix, ...], datum: str) -> None:
    ordered = list(in_time_order(taxis))
    lon, lat = from_wgs84(
        np.array([fix.lon for fix in ordered]), np.array([fix.lat for fix in ordered]), datum
    )
    moved = [
        fix._replace(lon=x, lat=y)
        for fix, x, y in zip(ordered, lon.tolist(), lat.tolist(), strict=True)
    ]
    assert episodes(replayed(moved, datum=datum)) == EXPECTED


def test_a_datum_that_is_mistaken_accuses_others(taxis: tuple[TrackFix, ...]) -> None:
    """Why a position without a declared datum is not judged."""
    ordered = list(in_time_order(taxis))
    wrong = {a["subject"] for a in replayed(ordered, datum="bd09", fixes_per_upload=30)}
    assert wrong - set(EXPECTED)


@pytest.mark.parametrize("fixes_per_upload", [1, 30])
def test_the_unsorted_file_as_the_order_of_arrival(
    taxis: tuple[TrackFix, ...], fixes_per_upload: int
) -> None:
    times = [fix.time for fix in taxis]
    assert times != sorted(times)
    alerts = replayed(taxis, fixes_per_upload=fixes_per_upload)
    assert episodes(alerts) == EXPECTED
