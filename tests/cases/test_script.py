"""The recordings of cases A, B and C: what they must contain, and that the script makes them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from shapely.geometry import Point, box

from geomon.cases import CASES, expected, recording_path
from geomon.cases.journey import Journey, Leg, Spot, Window, clock, crossings, distance_m
from geomon.cases.script import build, city_test, main, record, truth
from geomon.datum import to_wgs84
from geomon.zones.files import read_zone_file, zone_directory

Event = dict[str, Any]


@cache
def events(case: str) -> tuple[Event, ...]:
    lines = gzip.decompress(recording_path(case).read_bytes()).decode().splitlines()
    return tuple(json.loads(line) for line in lines)


def uploads(case: str, device: str = "") -> list[Event]:
    return [e for e in events(case) if e["type"] == "upload" and e["device"].startswith(device)]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@pytest.fixture(scope="module")
def inside() -> Callable[[Spot], bool]:
    city = read_zone_file(zone_directory() / "city-440300.geojson").features[0].geometry
    return city_test(city)


def errors_m(
    case: str, device: str, source: str, datum: str = ""
) -> tuple[list[float], list[float]]:
    """Distance of each fix from the truth and its stated accuracy, metres."""
    journey = build(case).journey
    off, stated = [], []
    for upload in uploads(case, device):
        for fix in upload["fixes"]:
            if fix["source"] == source:
                lon, lat = to_wgs84(fix["lon"], fix["lat"], datum or upload["datum"])
                here = journey.at(at(fix["time"])).spot
                off.append(distance_m(here, Spot(float(lon), float(lat))))
                stated.append(fix["accuracy_m"])
    return off, stated


def test_committed_recordings_and_truth_are_what_the_script_makes(
    inside: Callable[[Spot], bool],
) -> None:
    for case in CASES:
        # Not the packed bytes: another build of zlib may pack the same lines in another way.
        assert gzip.decompress(recording_path(case).read_bytes()) == record(case)
    assert expected() == truth(inside)


def test_the_command_writes_all_files_to_a_folder(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--out", str(tmp_path / "new")])
    assert result.exit_code == 0, result.output
    written = {p.name: p.read_bytes() for p in (tmp_path / "new").iterdir()}
    assert sorted(written) == ["a.ndjson.gz", "b.ndjson.gz", "c.ndjson.gz", "expected.json"]
    assert json.loads(written["expected.json"]) == expected()
    assert written["a.ndjson.gz"][4:8] == b"\0\0\0\0", "no time of making in the gzip header"


def test_unknown_case_has_no_recording() -> None:
    with pytest.raises(KeyError):
        recording_path("D")


@pytest.mark.parametrize("case", CASES)
def test_recording_is_small_and_in_order_of_arrival(case: str) -> None:
    assert recording_path(case).stat().st_size < 200_000
    received = [at(e["received"]) for e in events(case)]
    assert received == sorted(received)
    assert {e["supervisee_id"] for e in events(case)} == {expected()[case]["supervisee_id"]}
    assert events(case)[0]["type"] == "supervisee"
    assert events(case)[-1] == {
        "type": "clock",
        "supervisee_id": expected()[case]["supervisee_id"],
        "received": build(case).window.end.isoformat(),
    }


@pytest.mark.parametrize("case", CASES)
def test_uploads_keep_the_contract(case: str) -> None:
    for upload in uploads(case):
        assert upload["datum"] in ("wgs84", "gcj02", "bd09")
        assert 0 <= upload["battery_pct"] <= 100
        assert len(upload["fixes"]) <= 1000
        assert upload["device"] == "phone" or upload["strap"] == "closed"
        for fix in upload["fixes"]:
            low, high = {"gnss": (5, 30), "wifi": (20, 100), "cell": (200, 3000)}[fix["source"]]
            assert low <= fix["accuracy_m"] <= high
            assert at(fix["time"]) <= at(upload["received"])
            assert fix["lon"] == round(fix["lon"], 6)
            assert 104 < fix["lon"] < 116
            assert 21 < fix["lat"] < 34


@pytest.mark.parametrize("case", CASES)
def test_person_is_truly_out_of_the_city_once(case: str, inside: Callable[[Spot], bool]) -> None:
    plan, told = build(case), expected()[case]
    left, back = at(told["left_city"]), at(told["episodes"][0]["until"])
    time = plan.window.start
    while time < plan.window.end:
        assert inside(plan.journey.at(time).spot) == (not left <= time < back), time
        time += timedelta(minutes=1)


def test_absences_are_those_of_the_news() -> None:
    days = {
        case: [
            (e["kind"], at(e["since"]).astimezone(clock("01-01 00:00").tzinfo).date().isoformat())
            for e in told["episodes"]
        ]
        for case, told in expected().items()
    }
    assert days["A"] == [("leave_city", "2024-02-05")]
    assert expected()["A"]["episodes"][0]["until"].startswith("2024-02-21")
    assert expected()["B"]["episodes"][0]["kind"] == "overdue_return"
    assert expected()["B"]["episodes"][0]["since"] == "2024-02-09T16:00:00Z"
    assert expected()["B"]["episodes"][0]["until"].startswith("2024-02-16")
    assert days["C"] == [("leave_city", "2024-02-13")]
    assert expected()["C"]["episodes"][0]["until"].startswith("2024-02-13")


def test_home_in_case_c_is_six_hundred_metres_from_hong_kong() -> None:
    river = Spot(114.1133, 22.52997)
    home = build("C").journey.at(clock("02-09 01:00")).spot
    assert distance_m(home, river) < 1200
    city = read_zone_file(zone_directory() / "city-440300.geojson").features[0].geometry
    assert 400 < city.boundary.distance(Point(home)) * 111_195 < 800


def test_leave_in_case_b_is_granted_before_and_reported_back_after() -> None:
    papers = [e for e in events("B") if e["type"] in ("permit", "return")]
    assert [e["type"] for e in papers] == ["permit", "return"]
    assert papers[0]["until"] == "2024-02-09T24:00:00+08:00"
    assert at(papers[0]["received"]) < at(papers[0]["from"])
    assert at(papers[1]["time"]) > at(expected()["B"]["episodes"][0]["until"])
    assert at(expected()["B"]["left_city"]) > at(papers[0]["from"])


def test_nothing_is_heard_when_the_leave_in_case_b_ends() -> None:
    ends = clock("02-10 00:00")
    heard = [at(e["received"]) for e in events("B")]
    assert ends - max(t for t in heard if t <= ends) > timedelta(hours=3)
    assert min(t for t in heard if t > ends) - ends > timedelta(hours=7)


def test_wristband_of_case_b_comes_after_the_return() -> None:
    first = min(at(e["received"]) for e in uploads("B", "wristband"))
    assert clock("02-17 00:00") < first < clock("02-18 00:00")
    assert not uploads("A", "wristband")
    assert not uploads("C", "phone")


def test_memory_of_case_c_arrives_newest_first_after_hours_without_coverage() -> None:
    stored = [e for e in uploads("C") if e.get("stored") and "02-13" in e["received"]]
    times = [at(f["time"]) for e in stored for f in e["fixes"]]
    assert len(stored) > 1
    assert max(times) - min(times) > timedelta(hours=2)
    late = [at(e["received"]) - at(f["time"]) for e in stored for f in e["fixes"]]
    assert max(late) > timedelta(hours=2)
    unique = list(dict.fromkeys(times))  # an upload may have come twice
    assert unique == sorted(unique, reverse=True)


@pytest.mark.parametrize("case", CASES)
def test_everyday_trouble_is_in_every_recording(case: str) -> None:
    sent = [(e["device_id"], json.dumps(e["fixes"])) for e in uploads(case) if e["fixes"]]
    assert len(sent) > len(set(sent)), "some upload arrives twice"
    assert any(not e["fixes"] for e in uploads(case)), "some heartbeat carries no position"
    fixes = [[f["time"] for f in e["fixes"]] for e in uploads(case) if e.get("stored")]
    assert any(times != sorted(times) for times in fixes), "some memory comes newest first"
    gnss_off, gnss_stated = errors_m(case, "", "gnss")
    assert any(o > 170 and s <= 25 for o, s in zip(gnss_off, gnss_stated, strict=True)), "multipath"


def test_phones_die_once_for_want_of_charging() -> None:
    for case in ("A", "B"):
        lowest = min(e["battery_pct"] for e in uploads(case, "phone"))
        assert lowest <= 4
    assert min(e["battery_pct"] for e in uploads("C")) > 30


@pytest.mark.parametrize("case", CASES)
def test_plain_point_in_polygon_would_raise_false_absences(
    case: str, inside: Callable[[Spot], bool]
) -> None:
    """Were the cell jumps not in the recordings, this project would be easy."""
    left, back = (
        at(expected()[case][key])
        if key == "left_city"
        else at(expected()[case]["episodes"][0][key])
        for key in ("left_city", "until")
    )
    false = 0
    for upload in uploads(case):
        lon, lat = to_wgs84(
            [f["lon"] for f in upload["fixes"]],
            [f["lat"] for f in upload["fixes"]],
            upload["datum"],
        )
        for fix, x, y in zip(upload["fixes"], lon.tolist(), lat.tolist(), strict=True):
            if not left <= at(fix["time"]) < back and not inside(Spot(x, y)):
                assert fix["source"] == "cell"
                false += 1
    assert false >= 5


@pytest.mark.parametrize(("case", "wrong_m"), [("A", 500), ("B", 800)])
def test_datum_must_be_believed(case: str, wrong_m: float) -> None:
    rightly, _ = errors_m(case, "phone", "gnss")
    wrongly, _ = errors_m(case, "phone", "gnss", datum="wgs84")
    assert np.median(rightly) < 15
    assert np.median(wrongly) > wrong_m


@pytest.mark.parametrize("source", ["gnss", "wifi"])
def test_stated_accuracy_holds_for_about_two_fixes_in_three(source: str) -> None:
    for case, device in (("B", "wristband"), ("C", "wristband")):
        off, stated = errors_m(case, device, source)
        share = np.mean(np.array(off) <= np.array(stated))
        assert 0.60 < share < 0.72


def test_crossings_can_be_told_to_a_quarter_of_an_hour() -> None:
    """Something is heard on both sides of each crossing, and near it by satellite at least once.

    Where a crossing falls among cell fixes alone nobody could name its moment.
    """
    quarter = timedelta(minutes=15)
    for case in CASES:
        told = expected()[case]
        fixes = [(at(f["time"]), f["source"]) for e in uploads(case) for f in e["fixes"]]
        for moment in (at(told["left_city"]), at(told["episodes"][0]["until"])):
            before = {source for t, source in fixes if moment - quarter < t < moment}
            after = {source for t, source in fixes if moment <= t < moment + quarter}
            assert before
            assert after
            assert "gnss" in before | after


def test_crossing_is_found_to_the_second() -> None:
    west, east = Spot(113.9, 22.5), Spot(114.1, 22.5)
    start = clock("02-05 08:00")
    journey = Journey(west, [Leg(start, start + timedelta(seconds=2000), "road", (west, east))])
    found = crossings(
        journey,
        city_test(box(113.0, 22.0, 114.0, 23.0)),
        Window(start - timedelta(hours=1), start + timedelta(hours=1)),
    )
    assert [now_inside for _, now_inside in found] == [False]
    assert abs(found[0][0] - start - timedelta(seconds=1000)) <= timedelta(seconds=1)


def test_person_stays_where_the_last_leg_ended() -> None:
    home, shop = Spot(114.0, 22.5), Spot(114.01, 22.5)
    start = clock("02-05 08:00")
    leg = Leg(start, start + timedelta(minutes=20), "walk", (home, shop))
    journey = Journey(home, [leg])
    assert journey.at(start - timedelta(hours=1)).spot == home
    assert journey.at(start + timedelta(hours=5)).spot == shop
    moving = journey.at(start + timedelta(minutes=10))
    assert moving.by == "walk"
    assert moving.spot.lon == pytest.approx(114.005)
    assert moving.speed_mps == pytest.approx(distance_m(home, shop) / 1200)


def test_legs_must_follow_from_each_other() -> None:
    home, shop, far = Spot(114.0, 22.5), Spot(114.01, 22.5), Spot(114.2, 22.5)
    start = clock("02-05 08:00")
    there = Leg(start, start + timedelta(minutes=20), "walk", (home, shop))
    with pytest.raises(ValueError, match="does not follow"):
        Journey(
            home,
            [
                there,
                Leg(start + timedelta(hours=1), start + timedelta(hours=2), "road", (far, home)),
            ],
        )
    with pytest.raises(ValueError, match="does not follow"):
        Journey(
            home,
            [
                there,
                Leg(start + timedelta(minutes=5), start + timedelta(hours=2), "road", (shop, home)),
            ],
        )


def test_truth_refuses_a_case_that_never_leaves() -> None:
    with pytest.raises(ValueError, match="exactly once"):
        truth(lambda _spot: True)
